package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// J9: one submission sent 50 times at once with one Idempotency-Key is one job, and all hear the same answer; the key
// with another body is refused.
func TestSameKeyFiftyTimesAtOnce(t *testing.T) {
	t.Parallel()
	up := startUpstream(t, nil)
	s := startServer(t, up.provider(""))
	file := s.input(numbered(1, 0))
	parts := []part{{"purpose", "", "batch"}, {"file", "in.jsonl", numbered(2000, 100)}}
	upload, contentType := form(parts...)
	other := strings.Replace(string(upload), "lorem", "ipsum", 1)
	batch := fmt.Sprintf(`{"input_file_id":%q,"endpoint":%q,"completion_window":"24h"}`, file, chat)
	for _, row := range []struct {
		name, path, body, other, contentType, list string
		status, made                               int
	}{
		{"J9 files", "/v1/files", string(upload), other, contentType, "/v1/files", 200, 2},
		{"J9 batches", "/v1/batches", batch, strings.Replace(batch, "24h", "23h", 1), "application/json", "/v1/batches", 200, 1},
		{"J9 generate", "/v1/generate", ask("once"), ask("twice"), "application/json", "/v1/jobs?kind=generation", 202, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			headers := []string{"Content-Type", row.contentType, "Idempotency-Key", "key" + row.path}
			first := s.atOnce(50, row.status, row.path, row.body, headers)
			again := s.call(row.status, "POST", row.path, row.body, headers...)
			require.Equal(t, first, string(again.body), "a retry gets the first answer")
			require.Len(t, s.read(row.list).get("data").Array(), row.made, "one is made")
			refused(t, s.call(http.StatusUnprocessableEntity, "POST", row.path, row.other, headers...))
			require.Len(t, s.read(row.list).get("data").Array(), row.made)
			s.kill9()
			s.restart()
			again = s.call(row.status, "POST", row.path, row.body, headers...)
			require.Equal(t, first, string(again.body), "also after a crash")
			require.Len(t, s.read(row.list).get("data").Array(), row.made)
		})
	}
	uploads := slices.DeleteFunc(s.blobs(), func(path string) bool { return filepath.Base(path) == "output" })
	require.Len(t, uploads, 2, "uploads that were answered from the key leave no bytes")
}

// atOnce sends a request n times and gives the one answer that all who were answered heard; the others were told to
// come back.
func (c *client) atOnce(n, status int, path, body string, headers []string) string {
	c.t.Helper()
	answers := make([]answer, n)
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { answers[i], errs[i] = c.do("POST", path, strings.NewReader(body), headers...) })
	}
	all.Wait()
	heard := map[string]int{}
	for i, a := range answers {
		require.NoError(c.t, errs[i])
		if a.status == http.StatusConflict {
			require.NotEmpty(c.t, a.header.Get("Retry-After"))
			require.NotEqual(c.t, "false", a.header.Get("x-should-retry"))
			refused(c.t, a)
			continue
		}
		require.Equal(c.t, status, a.status, "%s", a.body)
		heard[string(a.body)]++
	}
	require.Len(c.t, heard, 1, "all hear the same answer")
	for text, times := range heard {
		c.t.Logf("%s: %d of %d heard the answer at once", path, times, n)
		return text
	}
	return ""
}
