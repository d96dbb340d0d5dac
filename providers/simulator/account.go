package simulator

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// An account is what the upstream keeps between calls: files, fine-tuning jobs
// with the models they made, and batches. Nothing of it runs by itself but the
// batches.
type account struct {
	files   *shelf[file]
	tunings *shelf[tuning]
	batches *shelf[batch]

	opening sync.Mutex
	loaded  bool // guarded by opening

	settling sync.Mutex

	mu      sync.Mutex
	root    string // empty until something is kept without Options.Dir
	ours    bool   // root is ours to remove
	closed  bool
	running map[string]*batchRun

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	runs sync.WaitGroup
}

func newAccount(dir string) *account {
	a := &account{root: dir, running: map[string]*batchRun{}}
	a.ctx, a.stop = context.WithCancel(context.Background())
	a.files = newShelf[file](a.folder("files"))
	a.tunings = newShelf[tuning](a.folder("tunings"))
	a.batches = newShelf[batch](a.folder("batches"))
	return a
}

// folder makes a folder under the root when it is first asked for.
func (a *account) folder(name string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		switch {
		case a.closed:
			return "", errClosed
		case a.root == "":
			dir, err := os.MkdirTemp("", "ringback-simulator-")
			if err != nil {
				return "", fmt.Errorf("make the simulator's folder: %w", err)
			}
			a.root, a.ours = dir, true
		}
		dir := filepath.Join(a.root, name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", fmt.Errorf("make the simulator's folder: %w", err)
		}
		return dir, nil
	})
}

var errClosed = errors.New("the simulator is closed")

// open gives the account, loaded at its first use, and goes on with the batches
// that an earlier simulator left. Without Options.Dir there is nothing to load.
func (s *Simulator) open() (*account, error) {
	a := s.account
	a.opening.Lock()
	defer a.opening.Unlock()
	if a.isClosed() {
		return nil, errClosed
	}
	if a.loaded || s.opts.Dir == "" {
		return a, nil
	}
	if err := errors.Join(a.files.load(), a.tunings.load(), a.batches.load(), a.dropSpools()); err != nil {
		return nil, err
	}
	a.loaded = true
	for _, b := range a.batches.all() {
		if !b.ended() {
			s.startBatch(a, b.ID)
		}
	}
	return a, nil
}

func (a *account) isClosed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.closed
}

// Close ends the batches that run and waits for them, and removes what was kept
// without Options.Dir. After it files, fine-tuning and batches answer 500; the
// models go on. It is not needed before any of them was used.
func (s *Simulator) Close() error {
	a := s.account
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.stop()
	a.runs.Wait()
	if a.ours {
		if err := os.RemoveAll(a.root); err != nil {
			return fmt.Errorf("remove the simulator's folder: %w", err)
		}
	}
	return nil
}

// on wraps a handler that works on the account.
func (s *Simulator) on(h func(*account, *call) *problem) func(*call) {
	return func(c *call) {
		if p := s.authorize(c.r); p != nil {
			c.refuse(p)
			return
		}
		a, err := s.open()
		if err == nil {
			err = a.settle(c.started)
		}
		if err != nil {
			c.refuse(storageFailed(err))
			return
		}
		if p := h(a, c); p != nil {
			c.refuse(p)
		}
	}
}

// storageFailed is the answer when the account's folder cannot be used. The
// cause is the operator's own disk, so it may be told.
func storageFailed(err error) *problem {
	return &problem{
		status: http.StatusInternalServerError, typ: serverError,
		message: "The simulator cannot keep its records: " + err.Error() + ".",
	}
}

// newID is a prefix and 24 random hexadecimal digits: unlike an answer's ID it
// must differ from those of earlier simulators on the same folder.
func newID(prefix string) string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // it never fails
	return prefix + hex.EncodeToString(b[:])
}

func unixOrNil(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	n := t.Unix()
	return &n
}
