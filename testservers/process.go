package testservers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// patience bounds each wait for a server; the machine may be busy.
const patience = 30 * time.Second

var errNotRunning = errors.New("testservers: the server is not running: call Start first")

// process is a server's process with all that descends from it. One verb at a time.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed once the process is gone and reaped
	guard *guard        // while paused
}

// launch starts a process. A tethered one dies with the thread that started it, so a goroutine holds that thread until the
// process has ended.
func launch(cmd *exec.Cmd) (*process, error) {
	tether(cmd)
	p := &process{cmd: cmd, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		defer close(p.ended)
		_ = cmd.Wait() // servers end by signals here: what they return says nothing
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("testservers: start %s: %w", cmd.Path, err)
	}
	return p, nil
}

func (p *process) running() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill ends the process and its descendants as a crash does, and returns when all are gone. To kill what has ended is no error.
func (p *process) kill() error {
	if !p.running() {
		return nil
	}
	defer p.unguard()
	family, err := p.freeze()
	if err != nil {
		return err
	}
	send(family, syscall.SIGKILL)
	<-p.ended
	return gone(family)
}

// end asks the process to end, and kills it where it does not. Without a signal to ask with, it is killed at once.
func (p *process) end(ask syscall.Signal) error {
	if !p.running() || ask == 0 {
		return p.kill()
	}
	if err := p.resume(); err != nil {
		return err
	}
	_ = p.cmd.Process.Signal(ask)
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience):
		return p.kill()
	}
}

// pause stops the process and its descendants: connections stand, the kernel takes new ones, nothing answers.
func (p *process) pause() error {
	if !p.running() {
		return errNotRunning
	}
	family, err := p.freeze()
	if err != nil {
		return err
	}
	send(family, syscall.SIGSTOP)
	p.unguard()
	if children := family[1:]; len(children) > 0 {
		p.guard, err = watch(children)
	}
	return err
}

// resume wakes the children first: their parent may signal them at once.
func (p *process) resume() error {
	if !p.running() {
		return errNotRunning
	}
	family, err := p.family()
	if err != nil {
		return err
	}
	slices.Reverse(family)
	send(family, syscall.SIGCONT)
	p.unguard()
	return nil
}

func (p *process) unguard() {
	if p.guard != nil {
		p.guard.dismiss()
		p.guard = nil
	}
}

// freeze stops the process itself, which has no new child from then on, and gives its family.
func (p *process) freeze() ([]int, error) {
	pid := p.cmd.Process.Pid
	_ = p.cmd.Process.Signal(syscall.SIGSTOP)
	stopped := func(r row) bool { return r.pid == pid && r.stopped }
	err := poll(func() (bool, error) {
		rows, err := processes()
		return !p.running() || slices.ContainsFunc(rows, stopped), err
	})
	if err != nil {
		return nil, fmt.Errorf("testservers: stop process %d: %w", pid, err)
	}
	return p.family()
}

// family gives the process and its descendants, parents first.
func (p *process) family() ([]int, error) {
	rows, err := processes()
	if err != nil {
		return nil, err
	}
	family := []int{p.cmd.Process.Pid}
	for i := 0; i < len(family); i++ {
		for _, r := range rows {
			if r.parent == family[i] {
				family = append(family, r.pid)
			}
		}
	}
	return family, nil
}

// row is one process of this machine.
type row struct {
	pid, parent int
	stopped     bool
	dead        bool // waits to be reaped, and holds nothing any more
}

// send passes by who is gone already.
func send(pids []int, s syscall.Signal) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, s)
	}
}

// gone waits until none of the processes lives, also of those whom somebody else must reap.
func gone(pids []int) error {
	return poll(func() (bool, error) {
		rows, err := processes()
		return !slices.ContainsFunc(rows, lives(pids)), err
	})
}

func lives(pids []int) func(row) bool {
	return func(r row) bool { return slices.Contains(pids, r.pid) && !r.dead }
}

// poll asks until the answer is yes, or an error.
func poll(ask func() (yes bool, err error)) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		yes, err := ask()
		if yes || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w after %v", os.ErrDeadlineExceeded, patience)
		}
	}
}
