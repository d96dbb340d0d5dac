package jobs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTexts reads back what was kept, as text and as bytes; an empty list is none.
func TestTexts(t *testing.T) {
	t.Parallel()
	kept, err := Texts{"a", `b"<`}.Value()
	require.NoError(t, err)
	for _, form := range []any{kept, []byte(kept.(string))} {
		got := Texts{"old"}
		require.NoError(t, got.Scan(form))
		require.Equal(t, Texts{"a", `b"<`}, got)
	}
	kept, err = Texts{}.Value()
	require.NoError(t, err)
	require.Nil(t, kept)
	got := Texts{"old"}
	require.NoError(t, got.Scan(kept))
	require.Nil(t, got)
	require.Error(t, got.Scan(7))
	require.Error(t, got.Scan("{"))
}
