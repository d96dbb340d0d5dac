package queue

import (
	"context"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRunWaitsForWork(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, url string) {
		t.Parallel()
		running, cancelled, release := make(chan bool), make(chan bool), make(chan bool)
		work := func(ctx context.Context, _ []string) {
			running <- true
			<-ctx.Done()
			cancelled <- true
			<-release
		}
		q := openQueue(t, Options{Redis: url, Lanes: []Lane{{Name: "jobs", Work: work}}})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- q.Run(ctx) }()
		q.Wake(ctx, "jobs", "job_1")
		receive(t, running)
		cancel()
		receive(t, cancelled)
		select {
		case <-ended:
			t.Fatal("Run returned before its work")
		case <-time.After(50 * time.Millisecond):
		}
		close(release)
		require.NoError(t, receive(t, ended))
		require.Error(t, q.Ping(context.Background()), "closed")
	})
}

func TestDrainLetsWorkEnd(t *testing.T) {
	t.Parallel()
	running, release, result := make(chan bool), make(chan bool), make(chan error, 1)
	work := func(ctx context.Context, _ []string) {
		running <- true
		<-release
		result <- ctx.Err()
	}
	q := openQueue(t, Options{Drain: time.Minute, Lanes: []Lane{{Name: "jobs", Work: work}}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx) }()
	q.Wake(ctx, "jobs", "job_1", "job_2", "job_3")
	receive(t, running)
	cancel()
	<-q.stop
	close(release)
	require.NoError(t, receive(t, result))
	require.NoError(t, receive(t, ended))
	require.Empty(t, result, "no task was claimed after the end")
}

func TestDrainEnds(t *testing.T) {
	t.Parallel()
	running := make(chan bool)
	work := func(ctx context.Context, _ []string) {
		running <- true
		<-ctx.Done()
	}
	q, stop := runQueue(t, Options{Drain: 30 * time.Millisecond, Lanes: []Lane{{Name: "jobs", Work: work}}})
	q.Wake(t.Context(), "jobs", "job_1")
	receive(t, running)
	stop()
}

func TestRunEndsAtOnceWhenParked(t *testing.T) {
	work, tasks := collect()
	q, stop := runQueue(t, Options{Lanes: []Lane{{Name: "jobs", Work: work}, {Name: "shards", Work: work}}})
	q.Wake(t.Context(), "jobs", "job_1")
	receive(t, tasks)
	began := time.Now()
	stop()
	require.Less(t, time.Since(began), parkFor/2)
}

func TestRunOnce(t *testing.T) {
	t.Parallel()
	q, stop := runQueue(t, Options{})
	require.NoError(t, q.Ping(t.Context()))
	stop()
	require.ErrorContains(t, q.Run(t.Context()), "open a new queue")
	require.NoError(t, q.Close())
}

func TestOpenSaysWhatToMend(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, want string
		opt        Options
	}{
		{"no scheme", "queue.redis", Options{Redis: "localhost:6379"}},
		{"broken URL", "queue.redis", Options{Redis: "redis://:hunter2@ho st:6379"}},
		{"unknown parameter", "queue.redis", Options{Redis: "redis://:hunter2@host:6379?speed=fast"}},
		{"unknown sentinel parameter", "queue.redis", Options{Redis: "redis://:hunter2@host:6379?master_name=m&speed=fast"}},
		{"nameless lane", "lane name", Options{Lanes: []Lane{{}}}},
		{"odd lane", "lane name", Options{Lanes: []Lane{{Name: "a{b}"}}}},
		{"same lane twice", "two lanes", Options{Lanes: []Lane{{Name: "jobs"}, {Name: "jobs"}}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := Open(tc.opt)
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

// Three lanes with sweepers and nothing to do, over 3 s. The design asks for well under 1 % of a core; the bound leaves
// room for a busy machine.
func TestIdleCPU(t *testing.T) { // alone: it measures the whole process
	onEach(t, func(t *testing.T, url string) {
		work, _ := collect()
		due := func(context.Context, int) ([]string, error) { return nil, nil }
		var lanes []Lane
		for _, name := range []string{"jobs", "shards", "deliveries"} {
			lanes = append(lanes, Lane{Name: name, Workers: 16, Group: 100, Due: due, Work: work})
		}
		runQueue(t, Options{Redis: url, Lanes: lanes})
		runtime.GC()
		before, began := cpu(t), time.Now()
		time.Sleep(3 * time.Second)
		share := float64(cpu(t)-before) / float64(time.Since(began)) * 100
		t.Logf("idle: %.2f %% of a core", share)
		require.Less(t, share, 3.0)
	})
}

// cpu is this process's CPU time so far.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
