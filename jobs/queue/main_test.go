package queue

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

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
	t.Run("redis", func(t *testing.T) { test(t, startRedis(t).url()) })
}

// server is a real redis-server of the test's own, on a unix socket.
type server struct {
	t    *testing.T
	path string
	dir  string
	cmd  *exec.Cmd
}

func startRedis(t *testing.T) *server {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	require.NoError(t, err, "these tests need redis-server: install the Debian package redis-server (apt-get install redis-server)")
	dir, err := os.MkdirTemp("", "rbq") // short: a socket's path ends at 107 bytes
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &server{t: t, path: path, dir: dir}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *server) socket() string { return filepath.Join(s.dir, "s") }
func (s *server) url() string    { return "unix://" + s.socket() }

func (s *server) start() {
	s.cmd = exec.Command(s.path, "--port", "0", "--unixsocket", s.socket(), "--save", "", "--appendonly", "no", "--dir", s.dir)
	require.NoError(s.t, s.cmd.Start())
	client, err := remote(s.url())
	require.NoError(s.t, err)
	defer client.Close()
	answers := func() bool { return client.Ping(context.Background()).Err() == nil }
	require.Eventually(s.t, answers, patience, 5*time.Millisecond)
}

// hang stops the server's process: connections stand, nothing answers.
func (s *server) hang() { require.NoError(s.t, s.cmd.Process.Signal(syscall.SIGSTOP)) }

func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
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
