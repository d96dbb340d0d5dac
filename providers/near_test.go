package providers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// office is a number of workers that take jobs of a slow model as soon as they are
// due, and give back what gets no slot.
type office struct {
	slow    *Limiter
	workers chan struct{}
	taken   atomic.Int64 // by workers, over all jobs
	mu      sync.Mutex
	order   []int // the jobs, as they were answered
}

// job is worked on until it is answered, or until the office closes.
func (o *office) job(ctx context.Context, number int, latency time.Duration) {
	turn := Turn{Project: "p", Job: fmt.Sprint(number)}
	for ctx.Err() == nil {
		until, done := o.work(ctx, turn, latency)
		if done {
			o.mu.Lock()
			o.order = append(o.order, number)
			o.mu.Unlock()
			return
		}
		select {
		case <-time.After(time.Until(until)):
		case <-ctx.Done():
		}
	}
}

func (o *office) work(ctx context.Context, turn Turn, latency time.Duration) (time.Time, bool) {
	o.workers <- struct{}{}
	defer func() { <-o.workers }()
	o.taken.Add(1)
	slot, err := o.slow.Acquire(ctx, turn, 2*time.Second)
	var busy *BusyError
	if errors.As(err, &busy) {
		return busy.Until, false
	}
	if err != nil {
		return time.Now(), false
	}
	time.Sleep(latency)
	slot.Release(nil, Usage{})
	return time.Time{}, true
}

// 12,000 jobs of a slow model leave the 1,024 workers of a process to others: one
// of another model finds a worker at once.
func TestABacklogLeavesWorkersForOtherModels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &office{slow: testLimiter(t, Config{Concurrency: 64}, 0.5), workers: make(chan struct{}, 1024)}
		ctx, cancel := context.WithCancel(t.Context())
		var jobs sync.WaitGroup
		for i := range 12_000 {
			jobs.Go(func() { o.job(ctx, i, 20*time.Second) })
		}
		time.Sleep(time.Minute)
		before, most := o.taken.Load(), 0
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			most = max(most, len(o.workers))
		}
		t.Logf("%d workers at most, %d jobs taken a second", most, (o.taken.Load()-before)/60)
		require.Less(t, most, 64+roomMost+200)
		require.Less(t, o.taken.Load()-before, int64(60*2*comeBackLoad))
		cancel()
		jobs.Wait()
		require.GreaterOrEqual(t, len(o.order), 64*5) // no slot lay idle for long
	})
}

// Jobs that are sent away get their turns about in the order in which they came,
// also where others come all the time.
func TestThoseWhoComeBackGetTheirTurnsInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &office{slow: testLimiter(t, Config{Concurrency: 16}, 0.5), workers: make(chan struct{}, 1024)}
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		var jobs sync.WaitGroup
		for i := range 3000 { // 10 a second come, 8 a second are served
			jobs.Go(func() { o.job(ctx, i, 2*time.Second) })
			time.Sleep(100 * time.Millisecond)
		}
		cancel()
		jobs.Wait()
		served := len(o.order)
		late := make(map[int]bool)
		for i := range served * 3 / 4 {
			late[i] = true
		}
		for _, job := range o.order {
			delete(late, job)
		}
		t.Logf("%d served in %s; of the first %d not: %d", served, time.Since(start), served*3/4, len(late))
		require.GreaterOrEqual(t, served, 3000*7/10)
		require.LessOrEqual(t, len(late), served/50)
	})
}

func TestAPlaceIsKeptForThoseWhoAreAway(t *testing.T) {
	t.Parallel()
	var a absent
	now := time.Now()
	turn := func(job int) Turn { return Turn{Project: "p", Job: fmt.Sprint(job)} }
	for i := range 100 {
		a.send(turn(i), now.Add(time.Second))
	}
	require.Equal(t, 101, a.rank(turn(100), now))
	require.Equal(t, 1, a.rank(Turn{Project: "q"}, now))
	require.Equal(t, 1, a.rank(Turn{Project: "p", Priority: 1}, now))
	require.Equal(t, 51, a.rank(turn(50), now))
	a.send(turn(50), now.Add(time.Minute)) // is sent away again
	require.Equal(t, 51, a.rank(turn(50), now))
	for i := range 25 {
		a.served(turn(i))
	}
	require.Equal(t, 26, a.rank(turn(50), now))
	require.Equal(t, 1, a.rank(turn(50), now.Add(time.Second+lateFor+1))) // the others did not come back
	require.Equal(t, 50, a.n)
	a.forget(now.Add(time.Minute))
	require.Equal(t, 50, a.n)
	a.forget(now.Add(time.Minute + lateFor + 1))
	require.Zero(t, a.n)
	require.Empty(t, a.queues)
}

func TestWhoseTurnIsFarIsToldAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter(t, Config{Concurrency: 1}, 0)
		take(t, l, 1)
		for i := range 20 {
			l.line.join(Turn{Project: "p", Job: fmt.Sprint(i)})
		}
		l.line.moved = tally{since: time.Now().Add(-time.Second), n: 5}
		start := time.Now()
		_, err := l.Acquire(t.Context(), Turn{Project: "p", Job: "late"}, 2*time.Second)
		var busy *BusyError
		require.ErrorAs(t, err, &busy)
		require.Equal(t, start, time.Now())
		require.Equal(t, start.Add(21*time.Second/5-comeBackEarly), busy.Until)
		// Another project's turn is near: it waits, although in vain.
		_, err = l.Acquire(t.Context(), Turn{Project: "q", Job: "late"}, 2*time.Second)
		require.ErrorAs(t, err, &busy)
		require.Equal(t, start.Add(2*time.Second), time.Now())
	})
}
