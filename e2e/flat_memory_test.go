package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// resident is the memory that the server has in hand at a moment, in bytes. It is Linux's.
func (s *server) resident(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			require.NoError(t, err)
			return kib << 10
		}
	}
	t.Fatal("/proc/PID/status has no VmRSS")
	return 0
}

// badAnswers are what receivers do to who calls them.
func badAnswers() map[string]http.HandlerFunc {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	zeros := make([]byte, 1<<20)
	for range 50 {
		_, _ = z.Write(zeros) // a buffer takes all
	}
	_ = z.Close()
	return map[string]http.HandlerFunc{
		"never answers": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"trickles headers and then one byte at a time": func(w http.ResponseWriter, r *http.Request) {
			for w.WriteHeader(http.StatusInternalServerError); r.Context().Err() == nil; time.Sleep(50 * time.Millisecond) {
				_, _ = w.Write([]byte("x")) // until the caller goes away
				_ = http.NewResponseController(w).Flush()
			}
		},
		"1 GB": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(1<<30))
			w.WriteHeader(http.StatusInternalServerError)
			for range 1 << 10 {
				if _, err := w.Write(zeros); err != nil {
					return
				}
			}
		},
		"gzip bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write(bomb.Bytes())
		},
		"1 MB header": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
		},
	}
}

// R1, R2: a hundred receivers at once that never answer, trickle, or send far too much cost the server next to no
// memory; each attempt ends within its timeout, is kept in bounds, and healthy receivers hear meanwhile.
func TestBadReceiversCostNothing(t *testing.T) {
	const each, grows = 20, 20 << 20
	hook := startReceiver(t)
	s := startServer(t, append(openCallbacks(), startUpstream(t, nil).provider(""), "callbacks.timeout=2s", "callbacks.schedule=[0s]")...)
	for range 200 { // what a server that works has in hand anyway
		s.generate("hello", hook.field())
	}
	s.quiet()
	before := s.resident(t)

	jobs := map[string]string{}
	for name, answer := range badAnswers() {
		for range each { // each a host of its own
			bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // else a handler does not see that the caller is gone
				answer(w, r)
			}))
			t.Cleanup(bad.Close)
			jobs[s.generate("hello", fmt.Sprintf(`,"webhook":"%s/hook"`, bad.URL))] = name
		}
	}
	most, healthy := int64(0), 0
	for deadline := time.Now().Add(1500 * time.Millisecond); time.Now().Before(deadline); healthy++ {
		hook.wait(s.generate("hello", hook.field()), "generation.completed")
		most = max(most, s.resident(t))
	}
	for job, name := range jobs {
		d := s.settled(job)[0]
		most = max(most, s.resident(t))
		require.Equal(t, "failed", d.Get("status").String(), name)
		require.Less(t, d.Get("attempts.0.duration_ms").Int(), int64(5000), "%s: within its timeout: %s", name, d.Get("attempts.0").Raw)
		require.LessOrEqual(t, len(d.Get("attempts.0.response_snippet").String()), 16<<10)
		if name == "1 GB" || name == "gzip bomb" {
			require.True(t, d.Get("attempts.0.response_truncated").Bool(), name)
			require.Equal(t, "status_500", d.Get("reason").String(), name)
		}
	}
	require.Greater(t, healthy, 5, "a healthy receiver waits for nobody")
	t.Logf("%d bad receivers: %.1f MB more at most, over %.1f MB; %d healthy callbacks meanwhile", len(jobs), float64(most-before)/1e6, float64(before)/1e6, healthy)
	require.Less(t, most-before, int64(grows))
	require.Equal(t, "delivered", s.settled(s.generate("hello", hook.field()))[0].Get("status").String(), "the slots are free again")
}
