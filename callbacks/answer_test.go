package callbacks

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func zip(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

// bomb is 50 KB that unpack to 50 MB: a gzip file may have many members (RFC 1952, section 2.2).
func bomb(t *testing.T) []byte {
	t.Helper()
	b := bytes.Repeat(zip(t, make([]byte, 1<<20)), 50)
	require.InDelta(t, 50<<10, len(b), 10<<10)
	return b
}

// R2: compressed answers, honest or not, are kept within bounds and never decide.
func TestCompressedAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		encoding  string
		body      []byte
		want      string
		truncated bool
	}{
		"gzip":            {"gzip", zip(t, []byte("thanks")), "thanks", false},
		"GZIP":            {"GZIP", zip(t, []byte("thanks")), "thanks", false},
		"gzip bomb":       {"gzip", bomb(t), strings.Repeat("\x00", 16<<10), true},
		"bad gzip":        {"gzip", []byte("not gzip"), "not gzip", false},
		"broken gzip":     {"gzip", zip(t, []byte("thanks"))[:12], "t", false},
		"br claim":        {"br", []byte("plain after all"), "plain after all", false},
		"deflate claim":   {"deflate", []byte("plain after all"), "plain after all", false},
		"exactly the cap": {"", []byte(strings.Repeat("x", 16<<10)), strings.Repeat("x", 16<<10), false},
		"one byte more":   {"", []byte(strings.Repeat("x", 16<<10+1)), strings.Repeat("x", 16<<10), true},
	} {
		t.Run("R2 "+name, func(t *testing.T) {
			t.Parallel()
			r := receive(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", c.encoding)
				_, _ = w.Write(c.body)
			})
			got := postOnce(t.Context(), openPoster(t), claim(r.URL), 1)
			require.Equal(t, 200, got.StatusCode)
			require.Empty(t, got.ErrorClass)
			require.Equal(t, c.want, string(got.Snippet))
			require.Equal(t, c.truncated, got.Truncated)
		})
	}
}
