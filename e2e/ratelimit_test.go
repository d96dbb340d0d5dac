package e2e

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers/simulator"
)

// startSimulator is an upstream of its own, which outlives the server's kills, and the setting that routes all sim-* models
// there. more are further keys, as `, retries: 0`.
func startSimulator(t *testing.T, options simulator.Options, more string) (*client, string) {
	t.Helper()
	sim := simulator.New(options)
	server := httptest.NewServer(sim)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		require.NoError(t, sim.Close())
	})
	setting := fmt.Sprintf(`providers=[{name: up, base_url: "%s/v1", models: ["sim-*"], concurrency: %d%s}]`, server.URL, slots, more)
	return &client{t: t, http: server.Client(), url: server.URL}, setting
}

func simLines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"custom_id":%q,"method":"POST","url":%q,"body":{"model":"sim-small","messages":[{"role":"user","content":"%d"}]}}`+"\n", customID(i), chat, i)
	}
	return b.String()
}

// TestAnUpstreamsRateIsLearned: it takes 10 calls a second with a burst of 10, and refuses what is beyond, with and
// without saying when to come back. A batch of 300 lines loses none, has at most 5 % of its calls refused, and takes at
// most 1.2 times as long as it must.
func TestAnUpstreamsRateIsLearned(t *testing.T) {
	t.Parallel()
	const lines, rate, burst = 300, 10, 10
	for name, silent := range map[string]bool{"with Retry-After": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up, setting := startSimulator(t, simulator.Options{RPM: 60 * rate, Burst: burst, NoRetryAfter: silent, TTFT: 5 * time.Millisecond}, "")
			s := startServer(t, "simulator.enabled=false", setting)
			batch := s.batch(s.input(simLines(lines)), "")
			began := time.Now()
			eventually(t, "the batch has ended", func() bool { return terminal(s.read("/v1/jobs/" + batch + "?wait=30s").get("status").String()) })
			took := time.Since(began)
			done := s.read("/v1/batches/" + batch)
			require.Equal(t, "completed", done.get("status").String(), "%s", done.body)
			require.EqualValues(t, lines, done.get("request_counts.completed").Int(), "none is lost")
			told := up.read("/healthz")
			calls, refused := told.get("calls").Int(), told.get("refused").Int()
			require.EqualValues(t, lines, calls-refused)
			t.Logf("%d calls, %d refused (%.1f %%), %.1f s", calls, refused, 100*float64(refused)/float64(calls), took.Seconds())
			require.LessOrEqual(t, float64(refused), 0.05*float64(calls), "refused of %d calls", calls)
			ideal := time.Duration((lines - burst) * float64(time.Second) / rate)
			require.Less(t, took, ideal*12/10, "the least is %s", ideal)
		})
	}
}
