package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

func dependency(name string, weight Weight, err error) Check {
	return Check{Name: name, Weight: weight, Probe: func(context.Context) error { return err }}
}

func TestReadinessNamesEachDependencyAndNoReason(t *testing.T) {
	t.Parallel()
	away := errors.New("dial canary.internal")
	for name, tt := range map[string]struct {
		checks []Check
		status int
		says   string
	}{
		"all well":      {[]Check{dependency("database", Vital, nil), dependency("queue", Degrading, nil)}, 200, "ok"},
		"a vital one":   {[]Check{dependency("queue", Degrading, away), dependency("database", Vital, away), dependency("files", Degrading, away)}, 503, "unavailable"},
		"a degrading":   {[]Check{dependency("database", Vital, nil), dependency("queue", Degrading, away)}, 200, "degraded"},
		"one of others": {[]Check{dependency("database", Vital, nil), dependency("provider up", Told, away)}, 200, "ok"},
		"none":          {nil, 200, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, func(o *Options) { o.Ready = tt.checks })
			a := h.get("/readyz")
			require.Equal(t, tt.status, a.status)
			require.Equal(t, tt.says, gjson.Get(a.body, "status").Str, a.body)
			require.Len(t, gjson.Get(a.body, "checks").Map(), len(tt.checks))
			for _, c := range tt.checks {
				view := gjson.Get(a.body, "checks."+c.Name)
				want := "ok"
				if c.Probe(t.Context()) != nil {
					want = "failed"
					require.Contains(t, h.log.String(), "canary.internal")
				}
				require.Equal(t, want, view.Get("status").Str, a.body)
				require.Equal(t, gjson.Number, view.Get("ms").Type, a.body)
			}
			require.NotContains(t, a.body, "canary")
		})
	}
	require.JSONEq(t, `{"status":"ok","version":"test"}`, start(t).get("/healthz").body)
}

// TestADependencyThatHangsHangsNoProbe: nor does it gather goroutines, and the others are told of all the same.
func TestADependencyThatHangsHangsNoProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang, begun := make(chan struct{}), atomic.Int64{}
		stuck := Check{Name: "database", Probe: func(context.Context) error {
			if begun.Add(1) == 1 {
				<-hang
			}
			return nil
		}}
		probes := []*prober{newProber(stuck), newProber(dependency("queue", Degrading, nil))}
		for range 5 {
			start := time.Now()
			findings := probeAll(t.Context(), probes)
			require.LessOrEqual(t, time.Since(start), probeAtMost)
			require.ErrorIs(t, findings[0].err, errHangs)
			require.NoError(t, findings[1].err)
		}
		require.EqualValues(t, 1, begun.Load(), "one goroutine hangs, not five")
		close(hang)
		synctest.Wait()
		require.NoError(t, probeAll(t.Context(), probes)[0].err, "what it found in the end")
	})
}

// TestProbesAreSpared: whoever asks how often, a success stands for some seconds, a failure for a moment.
func TestProbesAreSpared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked int
		var err error
		p := []*prober{newProber(Check{Name: "database", Probe: func(ctx context.Context) error {
			asked++
			until, bounded := ctx.Deadline()
			require.True(t, bounded)
			require.LessOrEqual(t, time.Until(until), 2*time.Second)
			return err
		}})}
		for range 100 {
			require.NoError(t, probeAll(t.Context(), p)[0].err)
		}
		require.Equal(t, 1, asked)
		time.Sleep(goodFor)
		err = errors.New("disk full")
		require.Error(t, probeAll(t.Context(), p)[0].err)
		err = nil
		require.Error(t, probeAll(t.Context(), p)[0].err)
		require.Equal(t, 2, asked)
		time.Sleep(badFor)
		require.NoError(t, probeAll(t.Context(), p)[0].err)
	})
}

func TestAProbeThatPanicsFails(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) {
		o.Ready = []Check{{Name: "database", Probe: func(context.Context) error { panic("canary") }}}
	})
	require.Equal(t, http.StatusServiceUnavailable, h.get("/readyz").status)
}

func newProber(c Check) *prober {
	return &prober{Check: c, now: time.Now, log: slog.New(slog.DiscardHandler)}
}
