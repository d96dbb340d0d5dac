package queue

import (
	"context"
	"testing"
	"time"

	"github.com/ringback/ringback/testservers"
	"github.com/stretchr/testify/require"
)

// startSentinel gives a sentinel over a master and a replica.
func startSentinel(t *testing.T) (sentinel *testservers.Sentinel, master *testservers.Redis) {
	t.Helper()
	master = startRedis(t)
	replica, err := master.Replica()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, replica.Stop()) })
	sentinel, err = testservers.StartSentinel(master)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sentinel.Stop()) })
	return sentinel, master
}

// The master dies under load and a replica takes its place: every row is worked on, and then wake-ups and rings between
// processes are as quick as before. Nobody does anything for it.
func TestFailoverLosesNothing(t *testing.T) { // alone: it measures
	sentinel, master := startSentinel(t)
	const rows = 3000
	table := newRows(rows, 200*time.Millisecond)
	slow := func(ctx context.Context, ids []string) {
		time.Sleep(time.Millisecond) // work takes time, so that the failover finds tasks waiting and running
		table.work(ctx, ids)
	}
	work, tasks := collect()
	runQueue(t, Options{Redis: sentinel.URL(), Lanes: []Lane{
		{Name: "rows", Workers: 2, Group: 5, Due: table.due, Work: slow},
		{Name: "jobs", Workers: 8, Work: work},
	}})
	waker, _ := runQueue(t, Options{Redis: sentinel.URL(), Lanes: []Lane{{Name: "jobs"}}})
	waker.Wake(t.Context(), "jobs", "before")
	receive(t, tasks)
	require.Eventually(t, func() bool { return table.left() < rows*2/3 }, patience, time.Millisecond)

	require.NoError(t, master.Kill())
	require.NotZero(t, table.left(), "the failover comes in the middle")
	began := time.Now()
	require.Eventually(t, func() bool { return table.left() == 0 }, patience, 5*time.Millisecond)
	t.Logf("all rows done %v after the master's death", time.Since(began))
	require.Equal(t, rows, table.done())
	require.Eventually(t, func() bool { return waker.Ping(t.Context()) == nil }, patience, 5*time.Millisecond)
	p50, p99 := latency(t, 40, waker, tasks)
	t.Logf("wake to work in another process: p50 %v, p99 %v", p50, p99)
	require.Less(t, p50, parkFor/5)
}
