package providers

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func missed(kind Kind) *Error { return &Error{Kind: kind, Retry: true} }

// bringDown makes an outage of a flight of calls that all find nobody.
func bringDown(t *testing.T, l *Limiter, flight []*Slot) {
	t.Helper()
	for i, s := range flight {
		require.Equal(t, i >= outageAfter-1, s.Release(missed(Connection), Usage{}), "failure %d", i+1)
	}
	requireBusy(t, l, ProviderDown, backoffStart)
}

// probe waits until the limiter opens, and takes the one slot that it gives.
func probe(t *testing.T, l *Limiter) *Slot {
	t.Helper()
	reason, until := l.Blocked()
	require.Equal(t, ProviderDown, reason)
	time.Sleep(time.Until(until))
	return take(t, l, 1)[0]
}

func TestTheFifthFailureInARowIsAnOutage(t *testing.T) {
	t.Parallel()
	for _, kinds := range [][]Kind{{Connection}, {Overloaded}, {Timeout}, {Timeout, Connection, Overloaded}} {
		t.Run(string(kinds[len(kinds)-1]), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := testLimiter(t, Config{Concurrency: 32}, 0.5)
				for i := range outageAfter - 1 {
					require.False(t, take(t, l, 1)[0].Release(missed(kinds[i%len(kinds)]), Usage{}))
					reason, _ := l.Blocked()
					require.Empty(t, reason)
				}
				fifth := take(t, l, 1)[0]
				require.True(t, fifth.Release(missed(kinds[0]), Usage{}))
				require.False(t, fifth.Release(missed(kinds[0]), Usage{})) // the first release counts
				requireBusy(t, l, ProviderDown, 550*time.Millisecond)
				require.Equal(t, State{Limit: 1, Reason: ProviderDown, Until: time.Now().Add(550 * time.Millisecond)}, l.State())

				require.False(t, probe(t, l).Release(nil, Usage{}))
				require.Equal(t, State{Limit: 16}, l.State()) // whatever the failures had made of it
			})
		})
	}
}

func TestAnAnswerEndsTheRunOfFailures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		other *Error
		ends  bool
	}{
		{"success", nil, true},
		{"rejected", &Error{Kind: Rejected, Status: http.StatusBadRequest}, true},
		{"unauthorized", &Error{Kind: Unauthorized, Status: http.StatusUnauthorized}, true},
		{"rate limited", limited(time.Nanosecond), true},
		{"request timeout", &Error{Kind: Timeout, Status: http.StatusRequestTimeout}, true},
		{"invalid", &Error{Kind: InvalidAnswer, Status: http.StatusOK}, true},
		{"too large", &Error{Kind: AnswerTooLarge, Status: http.StatusOK}, true},
		{"canceled", &Error{Kind: Canceled}, false},
		{"not sent", &Error{Kind: NoProvider}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := testLimiter(t, Config{Concurrency: 32}, 0)
				for range outageAfter - 1 {
					require.False(t, take(t, l, 1)[0].Release(missed(Connection), Usage{}))
				}
				require.False(t, take(t, l, 1)[0].Release(tt.other, Usage{}))
				time.Sleep(time.Second)
				require.Equal(t, !tt.ends, take(t, l, 1)[0].Release(missed(Connection), Usage{}))
				if !tt.ends {
					requireBusy(t, l, ProviderDown, backoffStart)
					return
				}
				for range outageAfter - 2 {
					time.Sleep(time.Second)
					require.False(t, take(t, l, 1)[0].Release(missed(Connection), Usage{}))
				}
				time.Sleep(time.Second)
				require.True(t, take(t, l, 1)[0].Release(missed(Connection), Usage{}))
			})
		})
	}
}

func TestFailuresAmongAnswersAreNoOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 8}, 0)
		for i := range 1000 {
			var err *Error
			if i%outageAfter != 0 {
				err = missed(Connection)
			}
			require.False(t, take(t, l, 1)[0].Release(err, Usage{}))
		}
		require.Equal(t, State{Limit: 8}, l.State())
	})
}

func TestSuspectsMakeNoOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 8}, 0)
		suspect := func() bool {
			slot := take(t, l, 1)[0]
			slot.Suspect()
			return slot.Release(missed(Connection), Usage{})
		}
		for range 3 * outageAfter {
			require.False(t, suspect())
		}
		for range outageAfter {
			take(t, l, 1)[0].Release(missed(Connection), Usage{})
		}
		requireBusy(t, l, ProviderDown, backoffStart)
		time.Sleep(backoffStart)
		require.True(t, suspect(), "in an outage that others made it is one look of many")
		requireBusy(t, l, ProviderDown, 2*backoffStart)
	})
}

func TestAnsweredIsWhenTheProviderWasLastThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 8}, 0)
		slot := take(t, l, 1)[0]
		require.Zero(t, slot.Answered())
		take(t, l, 1)[0].Release(&Error{Kind: Rejected, Status: http.StatusBadRequest}, Usage{})
		then := time.Now()
		time.Sleep(time.Second)
		take(t, l, 1)[0].Release(missed(Connection), Usage{})
		take(t, l, 1)[0].Release(&Error{Kind: Canceled}, Usage{})
		require.Equal(t, then, slot.Answered())
	})
}

func TestAnOutageLetsOutOneProbeAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 8}, 0)
		flight := take(t, l, 8)
		bringDown(t, l, flight[:6]) // two hang
		granted := make(chan *Slot, 20)
		for range 20 {
			go func() {
				if s, err := l.Acquire(t.Context(), Turn{}, time.Hour); err == nil {
					granted <- s
				}
			}()
		}
		for _, wait := range []time.Duration{500, 1000, 2000} {
			time.Sleep(wait*time.Millisecond - 1)
			synctest.Wait()
			require.Empty(t, granted)
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			require.Len(t, granted, 1)
			time.Sleep(time.Hour / 10) // nobody follows while the probe is out
			require.Len(t, granted, 1)
			require.Equal(t, ProviderDown, l.State().Reason)
			require.True(t, (<-granted).Release(missed(Timeout), Usage{}))
		}
		time.Sleep(4 * time.Second)
		require.False(t, (<-granted).Release(&Error{Kind: Canceled}, Usage{}))
		require.False(t, (<-granted).Release(nil, Usage{})) // the next went out at once
		synctest.Wait()
		require.Len(t, granted, 2) // half of 8, of which two hang
		require.Equal(t, 4, l.State().InFlight)
	})
}

func TestWhileAProbeIsOutNoTimeIsKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 8}, 0)
		bringDown(t, l, take(t, l, 5))
		out := probe(t, l)
		require.Equal(t, State{Limit: 1, InFlight: 1, Reason: ProviderDown}, l.State())
		requireBusy(t, l, ProviderDown, comeBack)
		l.mu.Lock()
		l.giveBack(out)
		l.mu.Unlock()
		take(t, l, 1)
	})
}

func TestProbesThatFailDoubleTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 32}, 0.5) // half of the 20 % of jitter
		for range outageAfter {
			take(t, l, 1)[0].Release(missed(Connection), Usage{})
		}
		for _, want := range []time.Duration{500, 1000, 2000, 4000, 8000, 16000, 30000, 30000} {
			requireBusy(t, l, ProviderDown, want*time.Millisecond*11/10)
			require.True(t, probe(t, l).Release(missed(Overloaded), Usage{}))
		}
		probe(t, l).Release(nil, Usage{})
		require.Equal(t, State{Limit: 16}, l.State())
		for range outageAfter {
			take(t, l, 1)[0].Release(missed(Connection), Usage{})
		}
		requireBusy(t, l, ProviderDown, 550*time.Millisecond) // from the start again
	})
}

func TestFailuresFromBeforeTheShutDoNotDoubleIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 32}, 0)
		flight := take(t, l, 32)
		bringDown(t, l, flight[:20])
		require.True(t, probe(t, l).Release(missed(Connection), Usage{}))
		requireBusy(t, l, ProviderDown, time.Second)
		for _, s := range flight[20:31] {
			require.True(t, s.Release(missed(Timeout), Usage{}))
		}
		requireBusy(t, l, ProviderDown, time.Second)
		flight[31].Release(nil, Usage{}) // somebody is there: no reason to wait on
		require.Equal(t, State{Limit: 16}, l.State())
	})
}

func TestAfterAnOutageTheLimitGrowsFromHalf(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		concurrency int
		end         *Error
		limit       float64
	}{
		{"half", 32, nil, 16},
		{"at least one", 1, nil, 1},
		{"a refusal is an answer", 8, &Error{Kind: Rejected}, 4},
		{"a rate limit does not halve again", 8, limited(time.Second), 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := testLimiter(t, Config{Concurrency: tt.concurrency}, 0)
				for range outageAfter {
					take(t, l, 1)[0].Release(missed(Overloaded), Usage{})
				}
				for range 3 {
					probe(t, l).Release(missed(Overloaded), Usage{})
				}
				require.False(t, probe(t, l).Release(tt.end, Usage{}))
				require.InDelta(t, tt.limit, l.pace.limit, 0)
				time.Sleep(time.Second)
				take(t, l, 1)[0].Release(nil, Usage{})
				require.InDelta(t, min(float64(tt.concurrency), tt.limit+1/tt.limit), l.pace.limit, 0)
			})
		})
	}
}

func TestAnOutageObeysRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 8}, 0)
		bringDown(t, l, take(t, l, 5))
		probe(t, l).Release(&Error{Kind: Overloaded, After: time.Minute}, Usage{})
		requireBusy(t, l, ShutByProvider, time.Minute)
	})
}

// A provider that is away for 40 s costs 2,000 callers four tries in all.
func TestAnOutageCostsFewTries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 32}, 0)
		start := time.Now()
		var mu sync.Mutex
		var tries, calls int
		var callers sync.WaitGroup
		for range 2000 {
			callers.Go(func() {
				for {
					s, err := l.Acquire(t.Context(), Turn{}, time.Hour)
					if err != nil {
						return
					}
					time.Sleep(time.Millisecond)
					var failure *Error
					if time.Since(start) < 40*time.Second {
						failure = missed(Connection)
					}
					outage := s.Release(failure, Usage{})
					if failure == nil {
						return
					}
					mu.Lock()
					calls++
					if !outage {
						tries++
					}
					mu.Unlock()
				}
			})
		}
		callers.Wait()
		require.Equal(t, outageAfter-1, tries)
		// The first flight, those who came in for the first four, and probes after
		// 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s; the one at 61.5 s finds it back.
		require.Equal(t, 32+4+6, calls)
		require.InDelta(t, 62, time.Since(start).Seconds(), 1)
	})
}

func TestTheLongerTheQueueTheLaterToComeBack(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                 string
		concurrency, waiting int
		want                 time.Duration
	}{
		{"nobody waits", 32, 0, time.Second},
		{"a few", 32, 16, 1050 * time.Millisecond},
		{"2,000 for 32", 32, 2000, 7250 * time.Millisecond},
		{"at most 10 s", 1, 500, 10 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := testLimiter(t, Config{Concurrency: tt.concurrency}, 0)
				take(t, l, tt.concurrency)
				ctx, cancel := context.WithCancel(t.Context())
				var callers sync.WaitGroup
				for range tt.waiting {
					callers.Go(func() { _, _ = l.Acquire(ctx, Turn{}, time.Hour) })
				}
				synctest.Wait()
				requireBusy(t, l, AllSlotsTaken, tt.want)
				cancel()
				callers.Wait()
			})
		})
	}
}

// However outages, answers and callers that give up fall together, every slot
// comes back and nothing is left to wait for.
func TestOutagesLoseNoSlot(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			l := testLimiter(t, Config{Concurrency: 4}, 0)
			var callers sync.WaitGroup
			for i := range uint64(30) {
				callers.Go(func() { stumble(t, l, rand.New(rand.NewPCG(seed, i))) })
			}
			callers.Wait()
			state := l.State()
			require.Zero(t, state.InFlight)
			require.Zero(t, state.Waiting)
			require.Nil(t, l.pace.outage.probe)
			require.True(t, l.alarm.at.IsZero())
		})
	}
}

// stumble makes calls at a provider that is down every other minute.
func stumble(t *testing.T, l *Limiter, dice *rand.Rand) {
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+dice.IntN(60))*time.Second)
		s, err := l.Acquire(ctx, Turn{}, time.Duration(1+dice.IntN(60))*time.Second)
		cancel()
		if err != nil {
			continue
		}
		var failure *Error
		if time.Now().Minute()%2 == 0 {
			failure = missed([]Kind{Connection, Overloaded, Timeout, Canceled}[dice.IntN(4)])
		}
		time.Sleep(time.Duration(dice.IntN(5000)) * time.Millisecond)
		s.Release(failure, Usage{})
	}
}
