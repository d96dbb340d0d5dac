package clients

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// How long a server may take to be ready, and to stop.
const (
	startTime = 30 * time.Second
	stopTime  = 20 * time.Second
)

// server is a running `ringback serve` with a folder of its own.
type server struct {
	url   string // http://127.0.0.1:PORT
	cmd   *exec.Cmd
	log   strings.Builder // complete once ended is closed
	ended chan struct{}
}

// startServer runs the command on a free port in a folder, with its simulator, callbacks open for one local port, and
// further settings (key=value). It returns once the server says that it is ready.
func startServer(binary, dir string, callbackPort int, settings ...string) (*server, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	settings = append([]string{
		"server.listen=127.0.0.1:0", "server.shutdown_grace=2s", "data_dir=data", "log.format=json",
		"simulator.enabled=true", "simulator.tuning=3s", "callbacks.allow_http=true", "callbacks.allow_cidrs=[127.0.0.0/8]",
		fmt.Sprintf("callbacks.allow_ports=[%d]", callbackPort),
	}, settings...)
	s := &server{cmd: exec.Command(binary, "serve"), ended: make(chan struct{})}
	for _, setting := range settings {
		s.cmd.Args = append(s.cmd.Args, "--set", setting)
	}
	s.cmd.Dir, s.cmd.Env, s.cmd.SysProcAttr = dir, foreignEnviron(), tether()
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start ringback serve: %w", err)
	}
	return s, s.awaitReady(stderr)
}

// foreignEnviron is the environment without Ringback's own variables, so that no setting of the caller's leaks in.
func foreignEnviron() (environ []string) {
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "RINGBACK_") {
			environ = append(environ, pair)
		}
	}
	return environ
}

// awaitReady reads the address from the log, which it keeps reading until the server has ended.
func (s *server) awaitReady(stderr io.Reader) error {
	ready := make(chan string, 1)
	go s.readLog(stderr, ready)
	select {
	case s.url = <-ready:
		return nil
	case <-s.ended:
		return fmt.Errorf("ringback serve ended at its start: %w\n%s", s.cmd.Wait(), s.log.String())
	case <-time.After(startTime):
		err := fmt.Errorf("ringback serve was not ready within %s: %w", startTime, s.cmd.Process.Kill())
		<-s.ended
		return fmt.Errorf("%w, %w\n%s", err, s.cmd.Wait(), s.log.String())
	}
}

func (s *server) readLog(stderr io.Reader, ready chan<- string) {
	defer close(s.ended)
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		s.log.WriteString(lines.Text() + "\n")
		var line struct{ Msg, URL string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ringback is ready" {
			ready <- line.URL
		}
	}
	_, _ = io.Copy(io.Discard, stderr) // after a line too long to be one of the log's; else the server would block
}

// stop ends the server as an operator does. An exit code other than 0 is an error that holds the log.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop ringback serve: %w", err)
	}
	late := time.AfterFunc(stopTime, func() { _ = s.cmd.Process.Kill() })
	defer late.Stop()
	<-s.ended
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("ringback serve: %w\n%s", err, s.log.String())
	}
	return nil
}
