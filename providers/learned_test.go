package providers

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// An upstream that takes 10 calls a second with a burst of 10 takes a batch of 300
// in 29 s at best.
func TestARateIsLearned(t *testing.T) {
	t.Parallel()
	for _, latency := range []time.Duration{time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond} {
		for _, concurrency := range []int{16, 32, 64} {
			for _, silent := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %d at once, silent %t", latency, concurrency, silent), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						l := &load{
							limiter: newTestLimiter(t, Config{Concurrency: concurrency}, 0.5), latency: latency, silent: silent,
							callers: 100, calls: 300, allowance: newRefill(10, 10),
						}
						took := l.run(t)
						require.Equal(t, 300, l.answered)
						require.LessOrEqual(t, l.refused, 12)
						require.Less(t, took.Seconds(), 1.1*29)
					})
				})
			}
		}
	}
}

func TestALearnedRateFollowsTheUpstream(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		allowance func() allowance
		rate      float64 // what it takes in the long run
		refused   float64 // the most that may be refused
	}{
		{"10 a second, burst 10", func() allowance { return newRefill(10, 10) }, 10, 0.01},
		{"10 a second, no burst", func() allowance { return newRefill(10, 1) }, 10, 0.01},
		{"10 a second, burst 100", func() allowance { return newRefill(10, 100) }, 10, 0.02},
		{"100 a second", func() allowance { return newRefill(100, 10) }, 100, 0.005},
		{"1 a second", func() allowance { return newRefill(1, 1) }, 1, 0.05},
		{"1 in 10 s", func() allowance { return newRefill(0.1, 1) }, 0.1, 0.22},
		{"60 in each minute", func() allowance { return &window{calls: 60, length: time.Minute} }, 1, 0.13},
		{"600 in each minute", func() allowance { return &window{calls: 600, length: time.Minute} }, 10, 0.03},
		{"10 in each second", func() allowance { return &window{calls: 10, length: time.Second} }, 10, 0.01},
	}
	for _, tt := range tests {
		for _, latency := range []time.Duration{time.Millisecond, 200 * time.Millisecond} {
			for _, silent := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, silent %t", tt.name, latency, silent), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						l := &load{
							limiter: newTestLimiter(t, Config{}, 0.5), latency: latency, silent: silent,
							callers: 50, until: time.Now().Add(10 * time.Minute), allowance: tt.allowance(),
						}
						took := l.run(t)
						require.GreaterOrEqual(t, float64(l.answered), 0.79*tt.rate*took.Seconds())
						require.LessOrEqual(t, float64(l.refused), tt.refused*float64(l.answered+l.refused))
					})
				})
			}
		}
	}
}

// changing is an upstream whose limit is another one after each stretch of time.
type changing struct {
	rates  []float64
	each   time.Duration
	start  time.Time
	refill *refill
}

func (c *changing) take(now time.Time) (bool, time.Duration) {
	c.refill.rate = c.rates[min(len(c.rates)-1, int(now.Sub(c.start)/c.each))]
	return c.refill.take(now)
}

func TestALearnedRateFollowsALimitThatChanges(t *testing.T) {
	t.Parallel()
	for _, rates := range [][]float64{{10, 1, 10}, {10, 100, 10}} {
		for _, silent := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, silent %t", rates, silent), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					const each = 400 * time.Second
					l := &load{
						limiter: newTestLimiter(t, Config{}, 0.5), latency: 50 * time.Millisecond, silent: silent, callers: 50,
						allowance: &changing{rates: rates, each: each, start: time.Now(), refill: newRefill(rates[0], 10)},
					}
					for _, rate := range rates {
						before, refused := l.answered, l.refused
						l.until = time.Now().Add(each)
						l.run(t)
						require.GreaterOrEqual(t, float64(l.answered-before), 0.6*rate*each.Seconds(), "at %v", rate)
						require.LessOrEqual(t, l.refused-refused, 60, "at %v", rate)
					}
				})
			})
		}
	}
}

// chance is an upstream that refuses by chance, however slow the calls.
type chance struct {
	share float64
	dice  *rand.Rand
}

func (c *chance) take(time.Time) (bool, time.Duration) {
	return c.dice.Float64() >= c.share, time.Second
}

func TestRefusalsByChanceTeachNoRate(t *testing.T) {
	t.Parallel()
	for _, silent := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := &load{
				limiter: newTestLimiter(t, Config{}, 0.5), latency: 50 * time.Millisecond, silent: silent, callers: 50,
				until: time.Now().Add(20 * time.Minute), allowance: &chance{0.2, rand.New(rand.NewPCG(1, 2))},
			}
			l.run(t)
			// Four answers and a wait of half a second or one, most of the time.
			require.Greater(t, l.answered, 20*60)
		})
	}
}

func TestARateThatHoldsNobodyBackIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 8}, 0)
		take(t, l, 1)[0].Release(limited(10*time.Second), Usage{})
		time.Sleep(10 * time.Second)
		take(t, l, 1)[0].Release(nil, Usage{})
		requireBusy(t, l, LearnedRate, 100*time.Millisecond)
		for range 50 { // calls that come one a second are held back by nothing
			time.Sleep(time.Second)
			take(t, l, 1)[0].Release(nil, Usage{})
		}
		require.InDelta(t, 10, l.pace.learned.paced.rate, 0) // and nothing says that it could be more
		time.Sleep(15 * time.Second)
		take(t, l, 4)
		require.False(t, l.pace.learned.on())
	})
}

// The first guess is what was taken in the last second; the next refusal measures.
func TestRefusalsOfOneFlightCountOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 64}, 0)
		for range 5 {
			for _, s := range take(t, l, 8) {
				s.Release(nil, Usage{})
			}
			time.Sleep(100 * time.Millisecond)
		}
		for _, s := range take(t, l, 16) {
			s.Release(limited(time.Second), Usage{})
		}
		require.Equal(t, 32, l.State().Limit)
		time.Sleep(time.Second)
		take(t, l, 1)[0].Release(nil, Usage{})
		require.InDelta(t, 40, l.pace.learned.paced.rate, 0)

		for range 29 {
			time.Sleep(100 * time.Millisecond)
			take(t, l, 1)[0].Release(nil, Usage{})
		}
		time.Sleep(100 * time.Millisecond)
		flight := take(t, l, 2)
		flight[0].Release(limited(time.Second), Usage{})
		flight[1].Release(limited(time.Second), Usage{})
		time.Sleep(time.Second)
		take(t, l, 1)
		// 30 calls, and half of one, since the first refusal 4 s ago.
		require.InDelta(t, keepUnder*30.5/4, l.pace.learned.paced.rate, 1e-9)
	})
}

// afterMeasure returns a limiter of 64 with a rate that was measured: 10 a second.
func afterMeasure(t *testing.T) *Limiter {
	l := testLimiter(t, Config{Concurrency: 64}, 0)
	now := time.Now()
	l.pace.learned = learned{base: 10, since: now, last: now, held: now, paced: &bucket{level: 1, filled: now}}
	l.pace.learned.paced.limit(10)
	return l
}

// hold takes calls as soon as the learned rate allows, and answers them.
func hold(t *testing.T, l *Limiter, calls int) {
	t.Helper()
	for range calls {
		s, err := l.Acquire(t.Context(), Turn{}, time.Second)
		require.NoError(t, err)
		s.Release(nil, Usage{})
	}
}

func TestARefusalOfHeldCallsLeavesTheLimitOfCallsInFlight(t *testing.T) {
	t.Parallel()
	for _, held := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			l := afterMeasure(t)
			hold(t, l, 30)
			if !held {
				time.Sleep(time.Second)
			}
			s, err := l.Acquire(t.Context(), Turn{}, time.Second)
			require.NoError(t, err)
			s.Release(limited(time.Second), Usage{})
			require.Equal(t, map[bool]int{true: 64, false: 32}[held], l.State().Limit)
		})
	}
}

// What few calls measure, after a wait in which the upstream may have let an
// allowance lapse, is not believed in full; many at an even rate say more than the
// measure.
func TestAMeasureLowersTheRateByAShareAtMost(t *testing.T) {
	t.Parallel()
	for calls, share := range map[int]float64{3: shortShare, 40: longShare} {
		synctest.Test(t, func(t *testing.T) {
			l := afterMeasure(t)
			hold(t, l, calls)
			time.Sleep(time.Minute / 2)
			was := l.pace.learned.paced.rate
			take(t, l, 1)[0].Release(limited(time.Second), Usage{})
			time.Sleep(time.Second)
			require.NotEqual(t, ShutByProvider, l.State().Reason)
			require.InDelta(t, share*was, l.pace.learned.paced.rate, 1e-9)
		})
	}
}

// A Retry-After that is wrong each time is not taken at its word for ever.
func TestARetryAfterThatIsTooShortIsStretched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 8}, 0)
		for _, want := range []time.Duration{1, 1, 2, 4, 8, 16, 30, 30} {
			take(t, l, 1)[0].Release(limited(time.Second), Usage{})
			_, until := l.Blocked()
			require.Equal(t, want*time.Second, time.Until(until))
			time.Sleep(time.Until(until))
		}
		take(t, l, 1)[0].Release(nil, Usage{})
		time.Sleep(time.Second)
		take(t, l, 1)[0].Release(limited(time.Second), Usage{})
		requireBusy(t, l, ShutByProvider, time.Second)
	})
}

// After two refusals without an answer in between calls go out one by one.
func TestRefusalsInARowAreProbedOneByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 8}, 0)
		for range 2 {
			take(t, l, 1)[0].Release(limited(time.Second), Usage{})
			time.Sleep(time.Second)
		}
		probe := take(t, l, 1)[0]
		requireBusy(t, l, ShutByProvider, time.Second)
		l.mu.Lock()
		l.giveBack(probe) // one that was not made is none
		l.mu.Unlock()
		probe = take(t, l, 1)[0]
		requireBusy(t, l, ShutByProvider, time.Second)
		probe.Release(nil, Usage{})
		requireBusy(t, l, LearnedRate, 100*time.Millisecond)
	})
}
