package providers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// crowd is a thousand jobs of one call each that arrive at once, with or without a
// big batch whose lines wait already.
type crowd struct {
	limiter *Limiter
	latency time.Duration
	big     int // lines of the batch that wait at any time

	mu    sync.Mutex
	waits []time.Duration
}

func (c *crowd) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var batch, small sync.WaitGroup
	for range c.big {
		batch.Go(func() {
			for ctx.Err() == nil {
				c.call(ctx, Turn{Project: "p", Job: "big"})
			}
		})
	}
	time.Sleep(10 * time.Second)
	for i := range 1000 {
		small.Go(func() {
			start := time.Now()
			c.call(ctx, Turn{Project: "p", Job: fmt.Sprint(i)})
			c.mu.Lock()
			defer c.mu.Unlock()
			c.waits = append(c.waits, time.Since(start))
		})
	}
	small.Wait()
	cancel()
	batch.Wait()
}

// call waits with the patience of a worker, and comes back when it is told to.
func (c *crowd) call(ctx context.Context, turn Turn) {
	for {
		slot, err := c.limiter.Acquire(ctx, turn, 2*time.Second)
		var busy *BusyError
		if errors.As(err, &busy) {
			time.Sleep(time.Until(busy.Until))
			continue
		}
		if err != nil {
			return
		}
		time.Sleep(c.latency)
		slot.Release(nil, Usage{})
		return
	}
}

func (c *crowd) median() time.Duration {
	slices.Sort(c.waits)
	return c.waits[len(c.waits)/2]
}

// The median wait of a thousand small jobs grows by less than a second for a batch
// of 50,000 lines, and where one call takes longer, by no more than one call:
// those of the batch that are in flight when they arrive.
func TestSmallJobsDoNotWaitForABigOne(t *testing.T) {
	t.Parallel()
	tests := []struct {
		latency time.Duration
		more    time.Duration
	}{
		{50 * time.Millisecond, 50 * time.Millisecond},
		{500 * time.Millisecond, 500 * time.Millisecond},
		// From here on they do not find a slot within a worker's patience.
		{time.Second, time.Second},
		{2 * time.Second, 2100 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.latency.String(), func(t *testing.T) {
			t.Parallel()
			alone, beside := smallMedian(t, tt.latency, 0), smallMedian(t, tt.latency, 500)
			require.LessOrEqual(t, beside-alone, tt.more, "%v alone, %v beside the batch", alone, beside)
			// What comes back in order leaves no slot free.
			require.InDelta(t, (500/64+0.5)*tt.latency.Seconds(), alone.Seconds(), tt.latency.Seconds())
		})
	}
}

func smallMedian(t *testing.T, latency time.Duration, big int) (median time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{limiter: testLimiter(t, Config{Concurrency: 64}, 0.5), latency: latency, big: big}
		c.run(t.Context())
		require.Len(t, c.waits, 1000)
		median = c.median()
	})
	return median
}

// Those who gave up come back a second before their turn: jobs and projects take
// turns with each other, the lines of one job stand in one another's way.
func TestWhoGaveUpComesBackForItsTurn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		turn  Turn
		place int
	}{
		{"a line more", Turn{Project: "p", Job: "j"}, 2 * 4},
		{"a new job", Turn{Project: "p", Job: "new"}, 2 * 2},
		{"a higher priority", Turn{Project: "p", Job: "new", Priority: 1}, 2 * 1},
		{"a lower priority", Turn{Project: "p", Job: "new", Priority: -1}, 2 * 4},
		{"another project", Turn{Project: "new", Job: "new"}, 2 + 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := testLimiter(t, Config{Concurrency: 1}, 0)
				for range 3 {
					l.line.join(Turn{Project: "p", Job: "j"})
					l.line.join(Turn{Project: "q", Job: "j"})
				}
				require.Equal(t, tt.place, l.line.place(tt.turn))
				for moved, want := range map[float64]time.Duration{
					1: time.Duration(tt.place-1) * time.Second, 0: comeBackMax, 1000: comeBackLeast,
				} {
					l.line.moved = tally{since: time.Now().Add(-time.Second), n: moved}
					require.Equal(t, time.Now().Add(want), l.busy(tt.turn).Until, "at %v a second", moved)
				}
			})
		})
	}
}
