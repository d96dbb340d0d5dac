//go:build !race

package providers

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Whatever an upstream's limit is and however long its calls take: no caller waits
// for ever, little is refused, and most of what it allows is used. Five minutes are
// short: finding a limit out is a large part of them. The first flight that is
// refused has 4 calls, and one for each two of the burst.
func TestAnyLimitIsLearned(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		rate := rapid.SampledFrom([]float64{0.5, 1, 2, 5, 10, 25}).Draw(rt, "rate")
		burst := rapid.SampledFrom([]float64{1, 2, 5, 10, 50}).Draw(rt, "burst")
		latency := time.Duration(rapid.IntRange(1, 1000).Draw(rt, "latency")) * time.Millisecond
		concurrency := rapid.IntRange(1, 64).Draw(rt, "concurrency")
		silent := rapid.Bool().Draw(rt, "silent")
		l := &load{latency: latency, silent: silent, callers: 40}
		var took time.Duration
		synctest.Test(t, func(t *testing.T) {
			l.limiter = newTestLimiter(t, Config{Concurrency: concurrency}, 0.5)
			l.until, l.allowance = time.Now().Add(5*time.Minute), newRefill(rate, burst)
			took = l.run(t)
		})
		possible := min(rate, float64(concurrency)/latency.Seconds()) * took.Seconds()
		require.GreaterOrEqual(rt, float64(l.answered), 0.55*possible)
		require.LessOrEqual(rt, float64(l.refused), 25+burst/2+0.1*float64(l.answered))
		require.Less(rt, l.slowest, 30*time.Second)
		require.Zero(rt, l.limiter.inFlight)
		require.Zero(rt, l.limiter.line.waiting)
	})
}
