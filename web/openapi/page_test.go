package openapi

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// What was taken from others is what the list says.
func TestVendoredFilesAreTheirSums(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("page/README.md")
	require.NoError(t, err)
	sums := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)\\.gz` .*`([0-9a-f]{64})` \\|$").FindAllStringSubmatch(string(text), -1) {
		sums[row[1]] = row[2]
	}
	for _, s := range Scripts() {
		if !s.Pinned {
			continue // our own
		}
		plain, err := s.Plain()
		require.NoError(t, err)
		sum := sha256.Sum256(plain)
		require.Equal(t, sums[s.Name], hex.EncodeToString(sum[:]), s.Name)
		require.Contains(t, string(Page()), "docs/"+s.Name)
		delete(sums, s.Name)
	}
	require.Empty(t, sums)
}
