package queue

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWakeGroupsIDs(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, url string) {
		t.Parallel()
		work, tasks := collect()
		q := openQueue(t, Options{Redis: url, Lanes: []Lane{{Name: "jobs", Workers: 4, Group: 100, Work: work}}})
		var want []string
		for i := range 250 {
			want = append(want, fmt.Sprintf("job_%03d", i))
			q.Wake(t.Context(), "jobs", want[i])
		}
		start(t, q)

		var got []string
		var sizes []int
		for range 3 {
			ids := receive(t, tasks)
			got, sizes = append(got, ids...), append(sizes, len(ids))
		}
		require.ElementsMatch(t, want, got)
		require.ElementsMatch(t, []int{100, 100, 50}, sizes)
	})
}

func TestWakeIgnoresItsCallersEnd(t *testing.T) {
	t.Parallel()
	work, tasks := collect()
	q, _ := runQueue(t, Options{Lanes: []Lane{{Name: "jobs", Work: work}}})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	q.Wake(gone, "jobs", "job_1")
	require.Equal(t, []string{"job_1"}, receive(t, tasks))
}

func TestWakeOfAnUnknownLaneOrOfNothingDoesNothing(t *testing.T) {
	t.Parallel()
	work, tasks := collect()
	q, _ := runQueue(t, Options{Lanes: []Lane{{Name: "jobs", Work: work}}})
	q.Wake(t.Context(), "nobody", "job_0")
	q.Wake(t.Context(), "jobs")
	q.Wake(t.Context(), "jobs", "job_1")
	require.Equal(t, []string{"job_1"}, receive(t, tasks))
}

// Nobody works here, so what waits can only grow: to the window, by wake-ups and sweeps together, and not beyond.
func TestWindowBoundsWaitingTasks(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, url string) {
		t.Parallel()
		const window, group = 8, 5
		var swept atomic.Int64
		due := func(_ context.Context, n int) ([]string, error) {
			swept.Add(int64(n))
			return slices.Repeat([]string{"row"}, n), nil
		}
		q, _ := runQueue(t, Options{
			Redis: url, Window: window, Sweep: time.Millisecond,
			Lanes: []Lane{{Name: "jobs", Group: group, Due: due}},
		})
		const woken = 20 * window * group
		for range woken / group {
			q.Wake(t.Context(), "jobs", slices.Repeat([]string{"job"}, group)...)
		}
		pending := func() int64 { return q.redis.LLen(t.Context(), q.lanes["jobs"].pendingKey()).Val() }
		full := func() bool {
			n := pending()
			require.LessOrEqual(t, n, int64(window))
			return n == window && woken+swept.Load()-q.Stats("jobs").Dropped <= window*group
		}
		require.Eventually(t, full, patience, time.Millisecond)
	})
}

func TestLatencyWhenIdle(t *testing.T) { // alone: it measures
	onEach(t, func(t *testing.T, url string) {
		work, tasks := collect()
		due := func(context.Context, int) ([]string, error) { return nil, nil }
		q, _ := runQueue(t, Options{Redis: url, Lanes: []Lane{{Name: "jobs", Workers: 8, Group: 100, Due: due, Work: work}}})
		p50, p99 := latency(t, 200, q, tasks)
		t.Logf("wake to work, idle: p50 %v, p99 %v", p50, p99)
		require.Less(t, p50, 20*time.Millisecond)
	})
}

// A wake-up in one process rings the parked worker of another: without the ring it would take parkFor/2 on average.
func TestRingReachesOtherProcesses(t *testing.T) {
	url := startRedis(t).URL()
	work, tasks := collect()
	runQueue(t, Options{Redis: url, Lanes: []Lane{{Name: "jobs", Workers: 8, Work: work}}})
	waker, _ := runQueue(t, Options{Redis: url, Lanes: []Lane{{Name: "jobs"}}})
	waker.Wake(t.Context(), "jobs", "first")
	receive(t, tasks)
	p50, p99 := latency(t, 40, waker, tasks)
	t.Logf("wake to work in another process: p50 %v, p99 %v", p50, p99)
	require.Less(t, p50, parkFor/5)
}

// latency measures n wake-ups of one row each, with a pause before each that lets the lane go idle.
func latency(t *testing.T, n int, q *Queue, tasks <-chan []string) (p50, p99 time.Duration) {
	t.Helper()
	var took []time.Duration
	for range n {
		time.Sleep(10 * time.Millisecond)
		began := time.Now()
		q.Wake(t.Context(), "jobs", "job_1")
		receive(t, tasks)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[n/2], took[n*99/100]
}
