package testservers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

// server is what all of these servers have in common: a folder, a port, a process, and the verbs.
type server struct {
	name    string // for errors
	dir     string
	port    int
	command func(port int) *exec.Cmd
	answers func(pid int) bool // whether the server that answers is that process
	ask     syscall.Signal     // makes it end by itself; zero where a kill does no harm
	end     func()             // what Stop has to do besides; may be nil

	mu   sync.Mutex // one verb at a time
	proc *process
}

// errEnded: the process ended before it answered. Often somebody else took its port.
var errEnded = errors.New("it ended at once")

// newDir makes the folder of a server. A socket's path in it must stay under 107 bytes.
func newDir() (string, error) {
	dir, err := os.MkdirTemp("", "rb")
	if err != nil {
		return "", fmt.Errorf("testservers: folder for a server: %w", err)
	}
	return dir, nil
}

// begin starts a server for the first time, on a free port. Where that fails, nothing is left of it.
func (s *server) begin() error {
	var err error
	for range 3 { // ports are raced for
		if s.port, err = freePort(); err != nil {
			break
		}
		if err = s.Start(); !errors.Is(err, errEnded) {
			break
		}
	}
	if err != nil {
		return errors.Join(err, s.Stop())
	}
	return nil
}

// Start starts a killed server again, on its port and with what it has kept, and returns when it answers. It does nothing
// to a server that runs.
func (s *server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc.running() {
		return nil
	}
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("testservers: log of %s: %w", s.name, err)
	}
	defer log.Close()
	cmd := s.command(s.port)
	cmd.Stdout, cmd.Stderr = log, log
	if s.proc, err = launch(cmd); err != nil {
		return err
	}
	if err := s.await(); err != nil {
		_ = s.proc.kill()
		return fmt.Errorf("testservers: %s on port %d does not start: %w; it says: %s", s.name, s.port, err, s.Log())
	}
	return nil
}

func (s *server) await() error {
	return poll(func() (bool, error) {
		if !s.proc.running() {
			return false, errEnded
		}
		return s.answers(s.proc.cmd.Process.Pid), nil
	})
}

// Kill ends the server as a crash does (SIGKILL to all of its processes). Start starts it again at once.
func (s *server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc.kill()
}

// Pause stops all of the server's processes (SIGSTOP): connections stand, new ones seem to succeed, nothing answers.
func (s *server) Pause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc.pause()
}

// Resume lets a paused server go on where it was.
func (s *server) Resume() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc.resume()
}

// Stop ends the server, paused or not, and removes its folder. It may be called again.
func (s *server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.proc.end(s.ask); err != nil {
		return err
	}
	if s.end != nil {
		s.end()
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("testservers: remove what %s left: %w", s.name, err)
	}
	return nil
}

// Log gives what the server has written to its log, all starts together.
func (s *server) Log() string {
	log, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(log)
}

func (s *server) logFile() string { return filepath.Join(s.dir, "log") }
