package queue

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Wiping Redis again and again, scripts included, loses no row: whatever was in it, the sweeper offers again.
func TestWipedRedisLosesNothing(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, url string) {
		t.Parallel()
		table := newRows(3000, 200*time.Millisecond)
		work := func(ctx context.Context, ids []string) {
			time.Sleep(time.Millisecond) // work takes time, so that a wipe finds tasks waiting and running
			table.work(ctx, ids)
		}
		q, _ := runQueue(t, Options{
			Redis: url, Sweep: 20 * time.Millisecond,
			Lanes: []Lane{{Name: "jobs", Workers: 2, Group: 5, Due: table.due, Work: work}},
		})
		for wipes := 0; table.left() > 0 || wipes == 0; wipes++ {
			require.Less(t, wipes, 400, "rows left: %d", table.left())
			require.NoError(t, q.redis.FlushAll(t.Context()).Err())
			require.NoError(t, q.redis.ScriptFlush(t.Context()).Err())
			time.Sleep(50 * time.Millisecond)
		}
		require.Equal(t, 3000, table.done())
	})
}

// The server goes away under a running queue and comes back empty: callers never wait, work goes on by itself.
func TestRedisGoesAndComes(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	work, tasks := collect()
	q, _ := runQueue(t, Options{Redis: server.URL(), Lanes: []Lane{{Name: "jobs", Work: work}}})
	q.Wake(t.Context(), "jobs", "before")
	require.Equal(t, []string{"before"}, receive(t, tasks))
	require.NoError(t, q.Ping(t.Context()))

	require.NoError(t, server.Kill())
	require.Error(t, q.Ping(t.Context()))
	began := time.Now()
	for range 10_000 {
		q.Wake(t.Context(), "jobs", "meanwhile")
	}
	require.Less(t, time.Since(began), 2*time.Second)
	dropped := func() bool { return q.Stats("jobs").Dropped == 10_000 }
	require.Eventually(t, dropped, patience, 5*time.Millisecond)

	require.NoError(t, server.Start())
	require.Eventually(t, func() bool {
		q.Wake(t.Context(), "jobs", "after")
		select {
		case ids := <-tasks:
			return ids[0] == "after"
		case <-time.After(100 * time.Millisecond):
			return false
		}
	}, patience, time.Millisecond)
}

func TestRunBeginsWithoutRedis(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	require.NoError(t, server.Kill())
	table := newRows(10, time.Second)
	runQueue(t, Options{Redis: server.URL(), Lanes: []Lane{{Name: "jobs", Group: 10, Due: table.due, Work: table.work}}})
	require.NoError(t, server.Start())
	require.Eventually(t, func() bool { return table.left() == 0 }, patience, 5*time.Millisecond)
}

func TestRunEndsWithoutRedis(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	work, tasks := collect()
	q, stop := runQueue(t, Options{Redis: server.URL(), Lanes: []Lane{{Name: "jobs", Work: work}}})
	q.Wake(t.Context(), "jobs", "before")
	receive(t, tasks)
	require.NoError(t, server.Kill())
	stop()
}

// A server that takes connections and says nothing holds neither a caller nor the end.
func TestHangingRedisHoldsNobody(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		before bool // hangs already when Run begins
	}{{"from the start", true}, {"under way", false}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server := startRedis(t)
			work, tasks := collect()
			q := openQueue(t, Options{Redis: server.URL(), Lanes: []Lane{{Name: "jobs", Work: work}}})
			if tc.before {
				require.NoError(t, server.Pause())
			}
			stop := start(t, q)
			if !tc.before {
				q.Wake(t.Context(), "jobs", "before")
				receive(t, tasks)
				require.NoError(t, server.Pause())
			}
			began := time.Now()
			q.Wake(t.Context(), "jobs", "meanwhile")
			require.Less(t, time.Since(began), 2*time.Second)
			time.Sleep(100 * time.Millisecond) // let every loop meet the silence
			began = time.Now()
			stop()
			t.Logf("ended after %v", time.Since(began))
			require.Less(t, time.Since(began), 12*time.Second)
		})
	}
}
