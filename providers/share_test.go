package providers

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// others stand for the other processes: they answer each ask by a rule that the test sets.
type others struct {
	mu     sync.Mutex
	answer func(ask ShareAsk) (Share, error)
	asks   []ShareAsk
}

func (o *others) Share(_ context.Context, _ string, ask ShareAsk) (Share, error) {
	o.mu.Lock()
	o.asks = append(o.asks, ask)
	answer := o.answer
	o.mu.Unlock()
	return answer(ask)
}

func (o *others) rule(answer func(ask ShareAsk) (Share, error)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer = answer
}

func (o *others) last() ShareAsk {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asks[len(o.asks)-1]
}

func (o *others) all() []ShareAsk {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.asks)
}

func (o *others) count() int { return len(o.all()) }

// leaving gives what is wanted, up to so many slots, and all units.
func leaving(slots int) func(ShareAsk) (Share, error) {
	return func(ask ShareAsk) (Share, error) {
		return Share{
			Slots: min(ask.Want, slots), Known: 2,
			RequestsGranted: ask.RequestsUsed + ask.RequestsNeed, TokensGranted: ask.TokensUsed + ask.TokensNeed,
		}, nil
	}
}

func refusing(ShareAsk) (Share, error) { return Share{}, errors.New("away") }

// shared returns a limiter that has grown, and those who share it.
func shared(t *testing.T, c Config, answer func(ShareAsk) (Share, error)) (*Limiter, *others) {
	t.Helper()
	o := &others{answer: answer}
	c.Name, c.BaseURL, c.Models = "up", "http://127.0.0.1:9/v1", []string{"*"}
	r, err := New(Options{Providers: []Config{c}, Sharer: o, Rand: func() float64 { return 0 }})
	require.NoError(t, err)
	t.Cleanup(r.Close)
	l := r.Providers()[0].Limiter("m")
	l.pace.limit, l.pace.slow = l.pace.ceiling, false
	return l, o
}

// await takes n slots, for which it waits.
func await(t *testing.T, l *Limiter, n int) []*Slot {
	t.Helper()
	var slots []*Slot
	for range n {
		s, err := l.Acquire(t.Context(), Turn{Project: "p", Job: "j"}, 2*time.Second)
		require.NoError(t, err)
		slots = append(slots, s)
	}
	return slots
}

func release(slots ...*Slot) {
	for _, s := range slots {
		s.Release(nil, Usage{})
	}
}

func TestIdleLimiterAsksNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, o := shared(t, Config{Concurrency: 8}, leaving(8))
		time.Sleep(time.Hour)
		require.Zero(t, o.count())
		start := time.Now()
		slots := await(t, l, 2)
		require.Less(t, time.Since(start), shareEvery) // what it needs it asks for at once
		time.Sleep(10 * time.Second)
		require.Less(t, o.count(), 25) // calls that go on want little
		release(slots...)
		time.Sleep(3 * shareEvery)
		require.Zero(t, o.last().Held)
		require.Zero(t, o.last().Want)
		asked := o.count()
		time.Sleep(time.Hour)
		require.Equal(t, asked, o.count())
		require.Equal(t, 8, l.State().Limit)
	})
}

func TestNoCallStartsAboveTheShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, o := shared(t, Config{Concurrency: 8}, leaving(3))
		slots := await(t, l, 3)
		asked := o.count()
		_, err := l.Acquire(t.Context(), Turn{}, 2*time.Second)
		var busy *BusyError
		require.ErrorAs(t, err, &busy)
		require.Equal(t, AllSlotsTaken, busy.Reason)
		require.InDelta(t, 20, o.count()-asked, 3) // ten times a second while something is wanting
		require.Equal(t, 6, o.all()[asked+1].Want) // who waits may be the first of a batch's lines

		o.rule(leaving(1)) // the others want theirs
		time.Sleep(shareCalm)
		require.Equal(t, State{Limit: 1, InFlight: 3, Reason: AllSlotsTaken}, l.State())
		release(slots[:2]...)
		requireBusy(t, l, AllSlotsTaken, comeBack)
		require.Equal(t, 3, o.last().Held) // as long as they do not know, they do not count on it
		time.Sleep(3 * shareEvery)
		require.Equal(t, 1, o.last().Held)
		o.rule(leaving(8))
		slots = append(slots[2:], await(t, l, 7)...)
		require.Equal(t, State{Limit: 8, InFlight: 8, Reason: AllSlotsTaken}, l.State())
		release(slots...)
	})
}

// Until the answer comes calls may start, so what is told is not what is in flight alone.
func TestWhatMayStartIsHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, o := shared(t, Config{Concurrency: 8}, leaving(8))
		slots := await(t, l, 8)
		time.Sleep(2 * shareCalm)
		asked := o.count()
		release(slots[:5]...)
		time.Sleep(3 * shareCalm)
		require.Equal(t, 8, o.all()[asked].Held)
		require.Equal(t, 3, o.last().Held)
		release(slots[5:]...)
	})
}

// While no answer comes, what was had is kept for a second; then each has its part.
func TestCallsGoOnAlone(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(ShareAsk) (Share, error){
		"refused": refusing,
		"hanging": func(ShareAsk) (Share, error) {
			time.Sleep(exchangeLimit)
			return Share{}, context.DeadlineExceeded
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, o := shared(t, Config{Concurrency: 8, RequestsPerMinute: 600}, leaving(8))
				slots := await(t, l, 6)
				o.rule(away)
				time.Sleep(aloneAfter + 2*exchangeLimit + 2*shareEvery)
				require.Equal(t, 4, l.State().Limit) // of two processes
				release(slots...)
				time.Sleep(5 * time.Second)
				start := time.Now()
				slots = await(t, l, 4)
				require.Less(t, time.Since(start), 2*time.Second)
				requireBusy(t, l, AllSlotsTaken, comeBack)
				release(slots...)
				began := 0
				for start := time.Now(); time.Since(start) < 10*time.Second; began++ {
					release(await(t, l, 1)...)
				}
				require.InDelta(t, 50, began, 8) // 300 a minute

				o.rule(leaving(8))
				time.Sleep(time.Second)
				release(await(t, l, 8)...)
			})
		})
	}
}

// A process that finds the others away at once works within a worker's patience.
func TestCallsBeginAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, _ := shared(t, Config{Concurrency: 8, RequestsPerMinute: 6000, TokensPerMinute: 60_000}, refusing)
		release(await(t, l, 8)...)
	})
}

// What a purse holds and what was used agree with the others' book, whatever answers are lost.
func TestPurseIsNeverDoubled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = 10 // units, in all
		given, lost := 0.0, 0
		l, o := shared(t, Config{Concurrency: 32, RequestsPerMinute: 6000}, func(ask ShareAsk) (Share, error) {
			given = max(given, min(ask.RequestsUsed+ask.RequestsNeed, most))
			if lost++; lost%2 == 0 {
				return Share{}, errors.New("lost")
			}
			next := shareEvery
			if given == most {
				next = time.Minute
			}
			return Share{Slots: ask.Want, Known: 1, RequestsGranted: given, RequestsIn: next}, nil
		})
		release(await(t, l, most)...)
		_, err := l.Acquire(t.Context(), Turn{}, 50*time.Millisecond)
		var busy *BusyError
		require.ErrorAs(t, err, &busy)
		require.Equal(t, RequestsPerMinute, busy.Reason)
		time.Sleep(time.Second)
		require.InDelta(t, most, o.last().RequestsUsed, 1e-9)
	})
}

func TestTokensThatWereUsedAreOwed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, o := shared(t, Config{Concurrency: 32, TokensPerMinute: 60_000}, leaving(32))
		await(t, l, 1)[0].Release(nil, Usage{TotalTokens: 5000})
		time.Sleep(3 * shareEvery)
		require.InDelta(t, 5000, o.last().TokensUsed, 1e-6)
		require.InDelta(t, 5000, o.last().TokensLeast, 1e-6)
	})
}

func TestTheProvidersWordIsPassedOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, o := shared(t, Config{Concurrency: 8}, leaving(8))
		await(t, l, 1)[0].Release(limited(10*time.Second), Usage{})
		time.Sleep(shareEvery)
		told := 0
		for _, ask := range o.all() {
			if ask.Shut > 0 {
				require.InDelta(t, 10, ask.Shut.Seconds(), 0.2)
				told++
			}
		}
		require.Equal(t, 1, told)
	})
}

func TestTheProvidersWordIsHeard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, o := shared(t, Config{Concurrency: 8}, func(ask ShareAsk) (Share, error) {
			return Share{Slots: ask.Want, Known: 2, Shut: 5 * time.Second}, nil
		})
		start := time.Now()
		_, err := l.Acquire(t.Context(), Turn{}, 2*time.Second)
		var busy *BusyError
		require.ErrorAs(t, err, &busy)
		o.rule(leaving(8))
		time.Sleep(4 * time.Second)
		slot := await(t, l, 1)[0] // it waits, asks for nothing, and asks when the provider takes calls again
		require.InDelta(t, 5, time.Since(start).Seconds(), 2.2)
		for _, ask := range o.all() {
			require.Zero(t, ask.Shut, "what was heard is not told")
		}
		slot.Release(nil, Usage{})
	})
}

// Another process's outage may be its own network's: only who found nobody there believes it.
func TestAnOutageIsBelievedByWhoSawIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, o := shared(t, Config{Concurrency: 8}, leaving(8))
		slots := await(t, l, 3)
		o.rule(func(ask ShareAsk) (Share, error) {
			return Share{Slots: ask.Want, Known: 2, Down: 5 * time.Second}, nil
		})
		time.Sleep(2 * shareCalm)
		require.Empty(t, l.State().Reason)
		slots[0].Release(missed(Connection), Usage{})
		time.Sleep(2 * shareCalm)
		reason, until := l.Blocked()
		require.Equal(t, ProviderDown, reason)
		require.InDelta(t, 5, time.Until(until).Seconds(), 1.1)
		release(slots[1:]...) // they were answered
		require.Empty(t, l.State().Reason)
	})
}

func TestCloseGivesTheShareBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &others{answer: leaving(8)}
		c := Config{Name: "up", BaseURL: "http://127.0.0.1:9/v1", Models: []string{"*"}, RequestsPerMinute: 600}
		r, err := New(Options{Providers: []Config{c}, Sharer: o})
		require.NoError(t, err)
		release(await(t, r.Providers()[0].Limiter("m"), 3)...)
		r.Close()
		require.Zero(t, o.last().Held)
		require.Zero(t, o.last().RequestsNeed)
		require.InDelta(t, 3, o.last().RequestsUsed, 1e-9)
		r.Close()
		_, err = r.Providers()[0].Limiter("m").Acquire(t.Context(), Turn{}, time.Second)
		require.Error(t, err)
	})
}

func TestPerProcessBoundsTheCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 8, PerProcess: 3}, 0)
		take(t, l, 3)
		requireBusy(t, l, AllSlotsTaken, comeBack)
		require.Equal(t, 2, Config{Concurrency: 2, PerProcess: 3}.openAtOnce())

		shared, o := shared(t, Config{Concurrency: 8, PerProcess: 3}, leaving(8))
		slots := await(t, shared, 3)
		_, err := shared.Acquire(t.Context(), Turn{}, time.Second)
		require.Error(t, err)
		require.Equal(t, 3, o.last().Want)
		release(slots...)
	})
}
