package e2e

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience bounds every wait of these tests; a loaded machine is slow, a lost job never comes.
const patience = 60 * time.Second

// server is `ringback serve` as a process, alone on a data_dir of its own or a member of a fleet. It outlives kills and
// restarts.
type server struct {
	t        *testing.T
	name     string // in failures' texts
	dir      string // data_dir
	logPath  string // standard output and error of all its lives
	settings []string
	*client  // speaks to its present life

	process *exec.Cmd
	exited  chan struct{} // closed when the present life has ended; its state is in process
	started time.Time
	owner   string // the present life's name on its claims
}

// openCallbacks lets callbacks go to this machine.
func openCallbacks() []string {
	return []string{"callbacks.allow_http=true", "callbacks.allow_cidrs=[127.0.0.0/8]", "callbacks.allow_ports=[1-65535]"}
}

// startServer runs `ringback serve` with settings until the test ends, and returns once it is ready.
func startServer(t *testing.T, set ...string) *server {
	t.Helper()
	s := newServer(t, "server", set...)
	s.start()
	return s
}

// newServer prepares a server, which ends with the test. It listens on a new port in each life unless a setting says where.
func newServer(t *testing.T, name string, set ...string) *server {
	t.Helper()
	home := t.TempDir()
	s := &server{t: t, name: name, dir: filepath.Join(home, "data"), logPath: filepath.Join(home, "serve.log"), settings: set}
	s.client = &client{t: t, http: &http.Client{Timeout: 2 * patience, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}, checked: &tally{}}
	t.Cleanup(s.clean)
	return s
}

func (s *server) clean() {
	if s.process != nil && s.process.Process != nil {
		s.kill9()
	}
	s.http.CloseIdleConnections()
	for _, bad := range []string{"DATA RACE", "panic:", "panicked", "fatal error:"} {
		if bytes.Contains(s.log(), []byte(bad)) {
			s.t.Errorf("the log of the %s speaks of %q", s.name, bad)
		}
	}
	if s.t.Failed() {
		s.t.Logf("the end of the log of the %s:\n%s", s.name, trouble(s.log(), 6000))
	}
}

// trouble is the end of a log, at most so many bytes, without the requests that were answered and with no more of a line than
// tells what it is.
func trouble(log []byte, most int) []byte {
	const line = 300
	var end []byte
	for text := range bytes.Lines(log) {
		if !bytes.Contains(text, []byte("level=INFO msg=request")) {
			end = append(append(end, bytes.TrimSpace(text[:min(len(text), line)])...), '\n')
		}
	}
	return end[max(0, len(end)-most):]
}

// start begins a life on the same data_dir and waits until it is ready.
func (s *server) start() {
	s.t.Helper()
	before := len(s.log())
	output, err := os.OpenFile(s.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(s.t, err)
	defer output.Close()
	args := []string{"serve", "--set", "server.listen=127.0.0.1:0", "--set", "data_dir=" + s.dir}
	for _, setting := range s.settings {
		args = append(args, "--set", setting)
	}
	s.process = exec.Command(binary, args...)
	s.process.Dir = filepath.Dir(s.logPath)
	s.process.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "RINGBACK_") })
	s.process.Stdout, s.process.Stderr = output, output
	s.started = time.Now()
	require.NoError(s.t, s.process.Start())
	s.exited = make(chan struct{})
	go func(process *exec.Cmd, exited chan struct{}) {
		_ = process.Wait() // its state tells
		close(exited)
	}(s.process, s.exited)
	s.url, s.owner = s.announced(before)
	s.eventually("the server is ready", func() bool {
		answer, err := s.http.Get(s.url + "/readyz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

var announcement = regexp.MustCompile(`ringback is ready"? url=(\S+)(?:.* owner=(\S+))?`)

// announced reads out of the present life's log where it listens, and its name on its claims.
func (s *server) announced(before int) (url, owner string) {
	s.t.Helper()
	s.eventually("the server says its URL", func() bool {
		select {
		case <-s.exited:
			s.t.Fatalf("the %s has ended:\n%s", s.name, trouble(s.log(), 3000))
		default:
		}
		found := announcement.FindSubmatch(s.log()[before:])
		if found != nil {
			url, owner = string(found[1]), string(found[2])
		}
		return found != nil
	})
	return url, owner
}

func (s *server) log() []byte {
	text, err := os.ReadFile(s.logPath)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	require.NoError(s.t, err)
	return bytes.ReplaceAll(text, []byte{0}, nil)
}

// kill9 ends the present life in the middle of whatever it does.
func (s *server) kill9() {
	_ = s.process.Process.Kill() // it may have ended
	<-s.exited
	s.process = nil
}

// pause stops the present life where it is (SIGSTOP): its connections stand, and it does nothing.
func (s *server) pause() {
	s.t.Helper()
	require.NoError(s.t, s.process.Process.Signal(syscall.SIGSTOP))
}

// resume lets a paused one go on where it was.
func (s *server) resume() {
	s.t.Helper()
	require.NoError(s.t, s.process.Process.Signal(syscall.SIGCONT))
}

// stop sends SIGTERM, waits for the end and gives the exit code and how long it took.
func (s *server) stop() (code int, took time.Duration) {
	s.t.Helper()
	begin := time.Now()
	require.NoError(s.t, s.process.Process.Signal(syscall.SIGTERM))
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.t.Fatal("the server does not end after SIGTERM")
	}
	code, took = s.process.ProcessState.ExitCode(), time.Since(begin)
	s.process = nil
	return code, took
}

func (s *server) restart() {
	s.t.Helper()
	s.http.CloseIdleConnections()
	s.start()
}

// eventually polls until it holds.
func (s *server) eventually(what string, holds func() bool) {
	s.t.Helper()
	eventually(s.t, what, holds)
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain until %s", patience, what)
		}
	}
}

// blobs are the files that the server keeps: uploads, outputs, and what is being spooled.
func (s *server) blobs() (paths []string) {
	s.t.Helper()
	err := filepath.WalkDir(filepath.Join(s.dir, "files"), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			paths = append(paths, path)
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil // removed meanwhile
		}
		return err
	})
	require.NoError(s.t, err)
	return paths
}
