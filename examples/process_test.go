package examples

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// kind is one of the receivers, as somebody would start it.
type kind struct {
	name    string
	command []string
	journal bool // it keeps a journal, else a database
}

// goReceiver is the Go receiver's program, built once by TestMain.
var goReceiver string

func kinds() []kind {
	return []kind{
		{"go", []string{goReceiver}, true},
		{"python", []string{"python3", "receiver-python/receiver.py"}, false},
		{"javascript", []string{"node", "receiver-javascript/receiver.mjs"}, true},
	}
}

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	for command, debian := range map[string]string{"python3": "python3", "node": "nodejs"} {
		if _, err := exec.LookPath(command); err != nil {
			fmt.Fprintf(os.Stderr, "these tests run %s, which is not in PATH: install it (Debian's package %s)\n", command, debian)
			return 1
		}
	}
	dir, err := os.MkdirTemp("", "ringback-examples-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	goReceiver = filepath.Join(dir, "receiver-go")
	if out, err := exec.Command("go", "build", "-o", goReceiver, "./receiver-go").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "the Go receiver does not build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// forEach runs a test for each receiver, all at once.
func forEach(t *testing.T, test func(t *testing.T, k kind)) {
	forEachOf(t, kinds(), test)
}

func forEachOf(t *testing.T, some []kind, test func(t *testing.T, k kind)) {
	t.Parallel()
	for _, k := range some {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			test(t, k)
		})
	}
}

// process is a running receiver.
type process struct {
	t      *testing.T
	url    string
	cmd    *exec.Cmd
	gone   chan struct{} // closed when it has ended
	stderr *output
	client *http.Client
}

// commandWith prepares a receiver with nothing of this process's settings but what finds programs.
func (k kind) commandWith(data string, settings ...string) *exec.Cmd {
	cmd := exec.Command(k.command[0], k.command[1:]...)
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "PORT=0", "DATA=" + data,
		"RINGBACK_SECRET=" + firstSecret + "," + secondSecret,
	}, settings...)
	return cmd
}

// start starts a receiver on a free port and waits for its first line.
func (k kind) start(t *testing.T, data string, settings ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: k.commandWith(data, settings...), gone: make(chan struct{}), stderr: &output{}}
	p.client = &http.Client{Transport: &http.Transport{}, Timeout: patience}
	p.cmd.Stderr = p.stderr
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	late := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	first, err := bufio.NewReader(stdout).ReadString('\n')
	late.Stop()
	go func() { defer close(p.gone); _ = p.cmd.Wait() }()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s said:\n%s", k.name, p.stderr)
		}
	})
	require.NoError(t, err, "no first line")
	url, ok := strings.CutPrefix(strings.TrimSpace(first), "listening on ")
	require.True(t, ok, first)
	p.url = url
	return p
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.gone
	p.client.CloseIdleConnections()
}

// terminate is SIGTERM; it gives the exit code.
func (p *process) terminate() int {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-p.gone:
	case <-time.After(patience):
		require.Fail(p.t, "it does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// refuses starts a receiver that has to end by itself, and gives what it said.
func (k kind) refuses(t *testing.T, settings ...string) string {
	t.Helper()
	cmd := k.commandWith(t.TempDir(), settings...)
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	said, err := cmd.CombinedOutput()
	exit := new(exec.ExitError)
	require.True(t, errors.As(err, &exit), "it did not fail: %s", said)
	require.Equal(t, 1, exit.ExitCode(), "%s", said)
	return string(said)
}

// output is what a process writes, safe to read meanwhile.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
