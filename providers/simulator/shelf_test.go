package simulator

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestARecordKeepsItsPlaceOnTheShelf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	place := func() (string, error) { return dir, nil }
	s := newShelf[string](place)
	for _, id := range []string{"a", "b", "c"} {
		require.NoError(t, s.put(id, id))
	}
	require.NoError(t, s.put("a", "<a>"))
	_, p := s.change("a", func(record *string) *problem {
		*record = "lost"
		return missing("a")
	})
	require.NotNil(t, p)
	found, err := s.remove("c")
	require.NoError(t, err)
	require.True(t, found)
	found, err = s.remove("c")
	require.NoError(t, err)
	require.False(t, found)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "d.json.new"), []byte("{"), 0o600), "a write that was cut off")
	again := newShelf[string](place)
	require.NoError(t, again.load())
	for _, shelf := range []*shelf[string]{s, again} {
		require.Equal(t, []string{"b", "<a>"}, shelf.all())
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "e.json"), []byte("{"), 0o600))
	require.ErrorContains(t, newShelf[string](place).load(), "e.json")
}
