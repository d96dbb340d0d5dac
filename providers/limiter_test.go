package providers

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// testLimiter returns a limiter that has grown to its full concurrency. It must be
// called inside the bubble whose clock it is to follow.
func testLimiter(t *testing.T, c Config, random float64) *Limiter {
	t.Helper()
	l := newTestLimiter(t, c, random)
	l.pace.limit, l.pace.slow = l.pace.ceiling, false
	return l
}

func newTestLimiter(t *testing.T, c Config, random float64) *Limiter {
	t.Helper()
	c.Name, c.BaseURL, c.Models = "up", "http://127.0.0.1:9/v1", []string{"*"}
	r, err := New(Options{Providers: []Config{c}, Rand: func() float64 { return random }})
	require.NoError(t, err)
	return r.Providers()[0].Limiter("m")
}

func take(t *testing.T, l *Limiter, n int) []*Slot {
	t.Helper()
	var slots []*Slot
	for range n {
		s, err := l.Acquire(t.Context(), Turn{Project: "p", Job: "j"}, 0)
		require.NoError(t, err)
		slots = append(slots, s)
	}
	return slots
}

func requireBusy(t *testing.T, l *Limiter, reason string, wait time.Duration) {
	t.Helper()
	_, err := l.Acquire(t.Context(), Turn{Project: "p", Job: "j"}, 0)
	var busy *BusyError
	require.ErrorAs(t, err, &busy)
	require.Equal(t, reason, busy.Reason)
	require.Contains(t, busy.Error(), "("+reason+"); ask again at 20")
	require.Equal(t, wait, time.Until(busy.Until).Round(time.Microsecond))
}

func limited(after time.Duration) *Error { return &Error{Kind: RateLimited, Retry: true, After: after} }

func TestLimiterIsOneForEachModel(t *testing.T) {
	t.Parallel()
	p := providerAt(t, "http://127.0.0.1:9/v1")
	require.Same(t, p.Limiter("a"), p.Limiter("a"))
	require.NotSame(t, p.Limiter("a"), p.Limiter("b"))
	for i := range 2 * maxLimiters {
		p.Limiter(fmt.Sprint(i))
	}
	require.Len(t, p.limiters, maxLimiters)
	require.Same(t, p.Limiter("new"), p.Limiter("newer"))
	require.NotSame(t, p.Limiter("new"), p.Limiter("a"))
}

func TestLimiterHoldsTheConcurrency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 3}, 0)
		slots := take(t, l, 3)
		requireBusy(t, l, AllSlotsTaken, comeBack)
		require.Equal(t, State{Limit: 3, InFlight: 3, Reason: AllSlotsTaken}, l.State())
		slots[0].Release(nil, Usage{})
		slots[0].Release(nil, Usage{}) // a second release gives nothing
		take(t, l, 1)
		requireBusy(t, l, AllSlotsTaken, comeBack)
	})
}

func TestAcquireWaitsForItsPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 1}, 0)
		slot := take(t, l, 1)[0]
		start := time.Now()
		_, err := l.Acquire(t.Context(), Turn{}, 2*time.Second)
		var busy *BusyError
		require.ErrorAs(t, err, &busy)
		require.Equal(t, 2*time.Second, time.Since(start))
		require.Equal(t, State{Limit: 1, InFlight: 1, Reason: AllSlotsTaken}, l.State())

		time.AfterFunc(time.Second, func() { slot.Release(nil, Usage{}) })
		start = time.Now()
		slot, err = l.Acquire(t.Context(), Turn{}, 2*time.Second)
		require.NoError(t, err)
		require.Equal(t, time.Second, time.Since(start))
		slot.Release(nil, Usage{})
		require.Equal(t, State{Limit: 1}, l.State())
	})
}

func TestAcquireSaysAtOnceThatItIsShut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 4}, 0)
		take(t, l, 1)[0].Release(limited(10*time.Second), Usage{})
		start := time.Now()
		_, err := l.Acquire(t.Context(), Turn{}, 9*time.Second)
		var busy *BusyError
		require.ErrorAs(t, err, &busy)
		require.Equal(t, start, time.Now())
		require.Equal(t, start.Add(10*time.Second), busy.Until)
		reason, until := l.Blocked()
		require.Equal(t, ShutByProvider, reason)
		require.Equal(t, busy.Until, until)
		_, err = l.Acquire(t.Context(), Turn{}, 11*time.Second)
		require.NoError(t, err)
		require.Equal(t, 10*time.Second, time.Since(start))
		reason, until = l.Blocked()
		require.Equal(t, LearnedRate, reason) // 10 a second is the first guess
		require.Equal(t, time.Now().Add(100*time.Millisecond), until)
		time.Sleep(time.Until(until))
		reason, until = l.Blocked()
		require.Empty(t, reason)
		require.Zero(t, until)
	})
}

// serve lets every turn's callers wait behind one taken slot, then frees it
// again and again, and returns the order of the grants.
func serve(t *testing.T, turns ...Turn) []Turn {
	l := testLimiter(t, Config{Concurrency: 1}, 0)
	first := take(t, l, 1)[0]
	var order []Turn
	for _, turn := range turns {
		go func() {
			s, err := l.Acquire(t.Context(), turn, time.Hour)
			if err == nil {
				order = append(order, turn)
				s.Release(nil, Usage{})
			}
		}()
		synctest.Wait()
	}
	first.Release(nil, Usage{})
	synctest.Wait()
	require.Equal(t, State{Limit: 1}, l.State())
	require.Empty(t, l.line.byName)
	return order
}

func TestSlotsGoRoundProjectsThenJobs(t *testing.T) {
	t.Parallel()
	big, small, other := Turn{Project: "a", Job: "big"}, Turn{Project: "a", Job: "small"}, Turn{Project: "b", Job: "one"}
	urgent, idle, hurried := Turn{"a", "urgent", 5}, Turn{"a", "idle", -1}, Turn{"a", "big", 1}
	tests := []struct {
		name string
		wait []Turn
		want []Turn
	}{
		{"one job in order", []Turn{big, big}, []Turn{big, big}},
		{"a small job beside a big one", []Turn{big, big, big, big, small, small}, []Turn{big, small, big, small, big, big}},
		{"two projects", []Turn{big, big, big, big, other, other}, []Turn{big, other, big, other, big, big}},
		{
			"a project's many jobs give it no more",
			[]Turn{big, big, big, small, small, other, other, other},
			[]Turn{big, other, small, other, big, other, small, big},
		},
		{"a higher priority goes first", []Turn{big, big, urgent, small, urgent}, []Turn{urgent, urgent, big, small, big}},
		{"a lower one goes last", []Turn{idle, idle, big, small, big}, []Turn{big, small, big, idle, idle}},
		{"one job at two priorities", []Turn{big, hurried, big, hurried}, []Turn{hurried, hurried, big, big}},
		{
			"a priority takes nothing from another project",
			[]Turn{urgent, urgent, urgent, big, other, other, other},
			[]Turn{urgent, other, urgent, other, urgent, other, big},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { require.Equal(t, tt.want, serve(t, tt.wait...)) })
		})
	}
}

func TestRequestsPerMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 1000, RequestsPerMinute: 120}, 0)
		start := time.Now()
		var mu sync.Mutex
		var inFirst, all int
		var callers sync.WaitGroup
		for range 240 {
			callers.Go(func() {
				s, err := l.Acquire(t.Context(), Turn{}, time.Hour)
				if err != nil {
					return
				}
				mu.Lock()
				all++
				if time.Since(start) < time.Minute {
					inFirst++
				}
				mu.Unlock()
				s.Release(nil, Usage{})
			})
		}
		callers.Wait()
		require.Equal(t, 240, all)
		require.InDelta(t, 121, inFirst, 1) // a second's worth, two, is there at the start
		require.InDelta(t, 119, time.Since(start).Seconds(), 0.1)
		requireBusy(t, l, RequestsPerMinute, 500*time.Millisecond)
	})
}

func TestTokensPerMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 4, TokensPerMinute: 6000}, 0)
		start := time.Now()
		// The first call costs 300 tokens: 3 s at 100 a second. One second's worth
		// was there, one token must be.
		take(t, l, 1)[0].Release(nil, Usage{TotalTokens: 300})
		requireBusy(t, l, TokensPerMinute, 2010*time.Millisecond)
		for range 100 {
			s, err := l.Acquire(t.Context(), Turn{}, time.Hour)
			require.NoError(t, err)
			s.Release(nil, Usage{TotalTokens: 300})
		}
		require.InDelta(t, 300, time.Since(start).Seconds(), 3)

		// What calls use is expected of the next: they do not start all at once.
		s, err := l.Acquire(t.Context(), Turn{}, time.Hour)
		require.NoError(t, err)
		requireBusy(t, l, TokensPerMinute, 3*time.Second)
		s.Release(&Error{Kind: Rejected}, Usage{}) // used nothing: given back
		take(t, l, 1)
	})
}

func TestFailuresHalveTheLimitOnceAFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 32}, 0)
		flight := take(t, l, 32)
		for i, s := range flight[:31] {
			if i%outageAfter == outageAfter-1 {
				s.Release(&Error{Kind: Rejected}, Usage{}) // or it would be an outage
				continue
			}
			s.Release(&Error{Kind: Overloaded, Retry: true}, Usage{})
		}
		require.Equal(t, 16, l.State().Limit)
		flight[31].Release(nil, Usage{}) // from before the cut: no reason to raise
		require.InDelta(t, 16, l.pace.limit, 0)
		for want := range 6 {
			take(t, l, 1)[0].Release(&Error{Kind: Overloaded}, Usage{})
			require.Equal(t, max(1, 8>>want), l.State().Limit)
			take(t, l, 1)[0].Release(&Error{Kind: Rejected}, Usage{})
		}
		for range 700 {
			take(t, l, 1)[0].Release(nil, Usage{})
		}
		require.Equal(t, 32, l.State().Limit)
	})
}

func TestSuccessRaisesTheLimitByOneAFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 32}, 0)
		take(t, l, 1)[0].Release(&Error{Kind: Overloaded}, Usage{})
		require.Equal(t, 16, l.State().Limit)
		for _, s := range take(t, l, 16) {
			s.Release(nil, Usage{})
		}
		require.InDelta(t, 17, l.pace.limit, 0.05)
	})
}

func TestOtherErrorsLeaveTheLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 8}, 0)
		for _, kind := range []Kind{Rejected, Unauthorized, QuotaExceeded, InvalidAnswer, AnswerTooLarge, Timeout, Connection, Canceled} {
			take(t, l, 1)[0].Release(&Error{Kind: kind, Retry: true, After: time.Minute}, Usage{})
		}
		require.Equal(t, State{Limit: 8}, l.State())
	})
}

func TestTheLongestWaitWins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 8}, 0)
		flight := take(t, l, 4)
		start := time.Now()
		flight[0].Release(limited(20*time.Second), Usage{})
		flight[1].Release(limited(5*time.Second), Usage{})
		_, until := l.Blocked()
		require.Equal(t, start.Add(20*time.Second), until)
		flight[2].Release(&Error{Kind: Overloaded, After: 40 * time.Second}, Usage{})
		_, until = l.Blocked()
		require.Equal(t, start.Add(40*time.Second), until)
		flight[3].Release(limited(100*time.Hour), Usage{})
		_, until = l.Blocked()
		require.Equal(t, start.Add(time.Hour), until)
		require.Equal(t, 4, l.State().Limit)
	})
}

func TestRateLimitsWithoutRetryAfterBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 8}, 0.5) // half of the 20 % of jitter
		hit := func(want time.Duration, calls int) {
			t.Helper()
			for _, s := range take(t, l, calls) {
				s.Release(limited(0), Usage{})
			}
			_, until := l.Blocked()
			require.Equal(t, want*11/10, time.Until(until))
			time.Sleep(time.Until(until))
		}
		hit(500*time.Millisecond, 8)
		for _, want := range []time.Duration{1000, 2000, 4000, 8000, 16000, 30000, 30000} {
			hit(want*time.Millisecond, 1)
		}
		take(t, l, 1)[0].Release(nil, Usage{})
		time.Sleep(time.Second)
		hit(500*time.Millisecond, 1)
	})
}

func TestWaitersResumeSlowlyAfterARateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 8}, 0)
		flight := take(t, l, 8)
		granted := make(chan *Slot, 20)
		for range 20 {
			go func() {
				if s, err := l.Acquire(t.Context(), Turn{}, time.Hour); err == nil {
					granted <- s
				}
			}()
		}
		synctest.Wait()
		for _, s := range flight {
			s.Release(limited(3*time.Second), Usage{})
		}
		time.Sleep(3*time.Second - 1)
		synctest.Wait()
		require.Empty(t, granted)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Len(t, granted, 1) // and the others evenly
		start := time.Now()
		for range 20 {
			(<-granted).Release(nil, Usage{})
		}
		require.InDelta(t, 1.75, time.Since(start).Seconds(), 0.1) // 10 a second is the first guess, and grows
		require.Equal(t, 7, l.State().Limit)                       // 4, raised by 20 answers
	})
}

func TestAcquireEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 1}, 0)
		ctx, cancel := context.WithCancel(t.Context())
		slot := take(t, l, 1)[0]
		done := make(chan error, 1)
		go func() {
			_, err := l.Acquire(ctx, Turn{}, time.Hour)
			done <- err
		}()
		synctest.Wait()
		require.Equal(t, 1, l.State().Waiting)
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		require.Zero(t, l.State().Waiting)
		slot.Release(nil, Usage{})
		_, err := l.Acquire(ctx, Turn{}, 0)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, State{Limit: 1}, l.State())
	})
}

// A slot that is granted in the very moment in which its caller gives up must
// come back, with the request that it was charged.
func TestAGrantThatComesTooLateIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 1, RequestsPerMinute: 60}, 0)
		take(t, l, 1)[0].Release(nil, Usage{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := l.Acquire(ctx, Turn{}, time.Hour)
			done <- err
		}()
		synctest.Wait()
		l.mu.Lock()
		cancel() // whichever it sees first, it must wait for the lock
		l.requests.take(-1)
		l.dispatch()
		require.Equal(t, 1, l.inFlight)
		l.mu.Unlock()
		require.ErrorIs(t, <-done, context.Canceled)
		take(t, l, 1)
	})
}

func TestAGrantThatIsGivenBackGoesToTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 1}, 0)
		slot := take(t, l, 1)[0]
		ctx, cancel := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		for _, who := range []context.Context{ctx, t.Context()} {
			callers.Go(func() {
				if s, err := l.Acquire(who, Turn{}, time.Hour); err == nil {
					s.Release(nil, Usage{})
				}
			})
			synctest.Wait()
		}
		l.mu.Lock()
		cancel()
		slot.released = true
		l.inFlight--
		l.dispatch()
		l.mu.Unlock()
		start := time.Now()
		callers.Wait()
		require.Equal(t, start, time.Now())
		require.Equal(t, State{Limit: 1}, l.State())
	})
}

func TestReleaseAfterReleaseIsHarmless(t *testing.T) {
	t.Parallel()
	l := testLimiter(t, Config{Concurrency: 2}, 0)
	slots := take(t, l, 2)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() { slots[0].Release(limited(time.Hour), Usage{}) })
	}
	callers.Wait()
	require.Equal(t, 1, l.State().InFlight)
	require.Equal(t, 1, l.State().Limit)
}
