package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	readyWithin = 30 * time.Second
	stopWithin  = 15 * time.Second
)

// process is a started program. Its context ends when it ends, so that
// whatever waits for its answers learns at once that none will come.
type process struct {
	context.Context
	name    string
	url     string // where it listens, from its own words
	started time.Time
	// readyAfter is the time from its start until it listened.
	readyAfter time.Duration
	cmd        *exec.Cmd
	output     *watchedOutput
	ended      chan struct{}
	cancel     context.CancelCauseFunc
}

// startProcess returns once the program has said where it listens: announce
// is what stands before the URL. On an error nothing is left running.
func startProcess(ctx context.Context, name, folder, announce, program string, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(program, args...), ended: make(chan struct{}), output: watchOutput(announce)}
	p.cmd.Dir, p.cmd.Env = folder, cleanEnvironment()
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.WaitDelay = time.Second
	// In its own group: a Ctrl-C reaches the bench alone, which stops it in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.Context, p.cancel = context.WithCancelCause(ctx)
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		p.cancel(err)
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go p.watch()
	if err := p.ready(); err != nil {
		return nil, errors.Join(err, p.kill())
	}
	return p, nil
}

func (p *process) watch() {
	defer close(p.ended)
	_ = p.cmd.Wait() // the state says it
	p.cancel(fmt.Errorf("%s ended (%s); its last words:\n%s", p.name, p.cmd.ProcessState, p.output.tail()))
}

func (p *process) ready() error {
	timeout := time.NewTimer(readyWithin)
	defer timeout.Stop()
	select {
	case p.url = <-p.output.url:
		p.readyAfter = time.Since(p.started)
		return nil
	case <-p.Done():
		return context.Cause(p)
	case <-timeout.C:
		return fmt.Errorf("%s was not ready within %s; its last words:\n%s", p.name, readyWithin, p.output.tail())
	}
}

// stop asks it to end, and ends it where it does not.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	timeout := time.NewTimer(stopWithin)
	defer timeout.Stop()
	select {
	case <-p.ended:
		return nil
	case <-timeout.C:
		return errors.Join(fmt.Errorf("%s did not stop within %s and was killed", p.name, stopWithin), p.kill())
	}
}

// kill is kill -9.
func (p *process) kill() error {
	err := p.cmd.Process.Kill()
	<-p.ended
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// cleanEnvironment keeps the caller's own RINGBACK_ settings out of what is
// measured.
func cleanEnvironment() []string {
	var kept []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "RINGBACK_") {
			kept = append(kept, pair)
		}
	}
	return kept
}

// runClient runs one of this program's own subcommands to its end and gives
// what it printed and the CPU time that it used.
func (l *lab) runClient(ctx context.Context, args ...string) (printed []byte, cpu time.Duration, err error) {
	cmd := exec.CommandContext(ctx, l.self, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var words strings.Builder
	cmd.Stderr = io.Writer(&words)
	printed, err = cmd.Output()
	if err != nil {
		return nil, 0, fmt.Errorf("the %s client: %w\n%s", args[0], err, words.String())
	}
	return printed, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}
