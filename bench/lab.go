package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// lab is what all parts share: a temporary folder, the built program, the
// receiver of callbacks, and one simulator that answers at once.
type lab struct {
	folder    string
	program   string // the built cmd/ringback
	self      string // this program, for its bare and load subcommands
	receiver  *receiver
	simulator *simulatorProcess
	fleet     *fleet // the servers that many processes share; nil: one process, alone
	serves    int
	progress  io.Writer
	started   time.Time
}

func newLab(ctx context.Context, progress io.Writer) (_ *lab, err error) {
	l := &lab{progress: progress, started: time.Now()}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	if l.self, err = os.Executable(); err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	if l.folder, err = os.MkdirTemp("", "ringback-bench-"); err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	l.say("building cmd/ringback")
	if err := l.build(ctx); err != nil {
		return nil, err
	}
	if l.receiver, err = startReceiver(); err != nil {
		return nil, err
	}
	l.simulator, err = l.simulate(ctx)
	return l, err
}

// enter makes the lab ready for a mode.
func (l *lab) enter(ctx context.Context, mode string) (err error) {
	l.receiver.forget()
	switch mode {
	case modeEmbedded:
		return l.leaveFleet()
	case modeFleet:
		l.say("starting PostgreSQL, Redis and an S3 server")
		l.fleet, err = startFleet(ctx)
		return err
	}
	return fmt.Errorf("there is no such mode: write %s, %s or both, with a comma between", modeEmbedded, modeFleet)
}

func (l *lab) leaveFleet() (err error) {
	if l.fleet != nil {
		err = l.fleet.stop()
		l.fleet = nil
	}
	return err
}

// build works from any folder of the module, so that a test can run it too.
func (l *lab) build(ctx context.Context) error {
	l.program = filepath.Join(l.folder, "ringback")
	build := exec.CommandContext(ctx, "go", "build", "-o", l.program, "github.com/ringback/ringback/cmd/ringback")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build cmd/ringback (run the bench inside the repository): %w\n%s", err, out)
	}
	return nil
}

// close stops what newLab started and removes the folder.
func (l *lab) close() (err error) {
	if l.simulator != nil {
		err = l.simulator.stop()
	}
	err = errors.Join(err, l.leaveFleet())
	if l.receiver != nil {
		l.receiver.close()
	}
	if l.folder != "" {
		err = errors.Join(err, os.RemoveAll(l.folder))
	}
	return err
}

// say tells on stderr what is being done, with the seconds since the start.
func (l *lab) say(format string, args ...any) {
	fmt.Fprintf(l.progress, "%6.1fs  %s\n", time.Since(l.started).Seconds(), fmt.Sprintf(format, args...))
}

// remove takes a file or folder away before the end of the run, for a defer:
// the next part begins on a disk that has nothing of the last one to write.
func remove(path string, err *error) { *err = errors.Join(*err, os.RemoveAll(path)) }

// path is a file in the temporary folder.
func (l *lab) path(name string) string { return filepath.Join(l.folder, name) }
