package providers

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A limit that was low for an hour and is high again is used within minutes, the
// sooner the less low it was.
func TestALowRateRecovers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		low     float64 // a second
		minutes int     // until 8 a second of 10 are answered
	}{{1. / 60, 20}, {2. / 60, 15}, {0.1, 6}, {1, 4}}
	for _, tt := range tests {
		for _, silent := range []bool{false, true} {
			t.Run(fmt.Sprintf("%.3f, silent %t", tt.low, silent), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					l := &load{
						limiter: newTestLimiter(t, Config{}, 0.5), latency: 50 * time.Millisecond, silent: silent, callers: 50,
						allowance: &changing{rates: []float64{10, tt.low, 10}, each: time.Hour, start: time.Now(), refill: newRefill(10, 10)},
						until:     time.Now().Add(2 * time.Hour),
					}
					l.run(t)
					for range tt.minutes {
						before := l.answered
						l.until = time.Now().Add(time.Minute)
						l.run(t)
						if l.answered-before > 8*60 {
							return
						}
					}
					require.Fail(t, "still slow", "%v a second after %d minutes", l.limiter.pace.learned.paced.rate, tt.minutes)
				})
			})
		}
	}
}

// Looking for more costs about one call in ten where calls are slow.
func TestASteadyLowRateIsRefusedLittle(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{1. / 60, 2. / 60, 0.1, 1} {
		for _, burst := range []float64{1, 10} {
			for _, silent := range []bool{false, true} {
				t.Run(fmt.Sprintf("%.3f, burst %v, silent %t", rate, burst, silent), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						l := &load{
							limiter: newTestLimiter(t, Config{}, 0.5), latency: 50 * time.Millisecond, silent: silent, callers: 50,
							until: time.Now().Add(2 * time.Hour), allowance: newRefill(rate, burst),
						}
						l.run(t) // finds the rate
						answered, refused := l.answered, l.refused
						const long = 8 * time.Hour
						l.until = time.Now().Add(long)
						l.run(t)
						answered, refused = l.answered-answered, l.refused-refused
						t.Logf("%.3f refused, %.2f used", float64(refused)/float64(answered+refused), float64(answered)/(rate*long.Seconds()))
						require.LessOrEqual(t, float64(refused), 0.15*float64(answered+refused))
						require.GreaterOrEqual(t, float64(answered), 0.6*rate*long.Seconds())
					})
				})
			}
		}
	}
}

// Where refusals come by chance, the limit of calls in flight halves with each, and
// no rate makes it much slower than that, while they are few. Where each of many
// shuts the limiter, a rate may be mistaken for their cause for minutes.
func TestRefusalsByChanceSlowLittle(t *testing.T) {
	t.Parallel()
	for _, share := range []float64{0.005, 0.01, 0.03} {
		for silent, least := range map[bool]float64{true: 0.5, false: 0.2} {
			t.Run(fmt.Sprintf("%v, silent %t", share, silent), func(t *testing.T) {
				t.Parallel()
				learning, plain := byChance(t, share, silent, true), byChance(t, share, silent, false)
				t.Logf("%d answers of %d", learning, plain)
				require.Greater(t, float64(learning), least*float64(plain))
			})
		}
	}
}

// byChance is how many answers come in 20 minutes.
func byChance(t *testing.T, share float64, silent, learning bool) (answers int) {
	synctest.Test(t, func(t *testing.T) {
		l := &load{
			limiter: newTestLimiter(t, Config{Concurrency: 32}, 0.5), latency: 100 * time.Millisecond, silent: silent, callers: 100,
			until: time.Now().Add(20 * time.Minute), allowance: &chance{share, rand.New(rand.NewPCG(1, 2))},
		}
		if !learning {
			l.limiter.pace.learned.off = time.Now().Add(time.Hour)
		}
		l.run(t)
		answers = l.answered
	})
	return answers
}
