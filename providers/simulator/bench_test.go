package simulator_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers/simulator"
)

// endless is a body of spaces.
type endless struct{ left int64 }

func (e *endless) Read(p []byte) (int, error) {
	n := min(int64(len(p)), e.left)
	if e.left -= n; n == 0 {
		return 0, io.EOF
	}
	for i := range p[:n] {
		p[i] = ' '
	}
	return int(n), nil
}

func record(t *testing.T, h http.Handler, body io.Reader, length int64) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "POST", chatPath, body)
	r.ContentLength = length
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func BenchmarkChat(b *testing.B) {
	sim := simulator.New(simulator.Options{})
	body := `{"model":"sim-small","messages":[{"role":"system","content":"Solve the problem step by step."},` +
		`{"role":"user","content":"` + strings.Repeat("A robe takes 2 bolts of blue fiber. ", 8) + `How many in all?"}],"max_tokens":256}`
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		r := httptest.NewRequestWithContext(b.Context(), "POST", chatPath, nil)
		r.ContentLength = int64(len(body))
		for pb.Next() {
			r.Body = io.NopCloser(strings.NewReader(body))
			w := httptest.NewRecorder()
			sim.ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				b.Errorf("status %d", w.Code)
				return
			}
		}
	})
	require.Positive(b, sim.Calls())
}
