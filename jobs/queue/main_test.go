package queue

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/ringback/ringback/testservers"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain checks that no queue of any test left a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests; the machine may be busy.
const patience = 20 * time.Second

// onEach runs a test over the Redis in this process and over a real server.
func onEach(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { test(t, "") })
	t.Run("redis", func(t *testing.T) { test(t, startRedis(t).URL()) })
}

// startRedis gives the test a redis-server of its own.
func startRedis(t *testing.T, args ...string) *testservers.Redis {
	t.Helper()
	server, err := testservers.StartRedis(args...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	return server
}

// runQueue opens a queue and runs it; stop ends it, waits, and may be called again.
func runQueue(t *testing.T, opt Options) (q *Queue, stop func()) {
	t.Helper()
	q = openQueue(t, opt)
	return q, start(t, q)
}

func openQueue(t *testing.T, opt Options) *Queue {
	t.Helper()
	opt.Log = slog.New(slog.DiscardHandler)
	q, err := Open(opt)
	require.NoError(t, err)
	t.Cleanup(func() { q.Close() })
	return q
}

func start(t *testing.T, q *Queue) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx) }()
	done := false
	stop = func() {
		cancel()
		if done {
			return
		}
		done = true
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(patience):
			t.Fatal("Run did not return")
		}
	}
	t.Cleanup(stop)
	return stop
}

// receive waits for one value.
func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// collect is a Work that hands each task's IDs to the test.
func collect() (func(context.Context, []string), chan []string) {
	tasks := make(chan []string, 10_000)
	return func(_ context.Context, ids []string) { tasks <- ids }, tasks
}
