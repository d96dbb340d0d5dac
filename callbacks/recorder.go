package callbacks

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ringback/ringback/jobs"
)

const (
	recordSet   = 1000            // outcomes written at once, at most
	recordPause = time.Second     // between two tries while the store fails
	recordGrace = 5 * time.Second // for the last write when the process stops
)

// recorder writes outcomes in sets: while one set is being written the next one gathers, so a set is as large as the
// store is slow. Outcomes that the store cannot take, as when the disk is full, stay here until it can.
type recorder struct {
	store   Store
	now     func() time.Time
	log     *slog.Logger
	rung    chan struct{}
	stopped chan struct{}

	mu      sync.Mutex
	pending []entry
}

type entry struct {
	Outcome
	done chan struct{}
}

func newRecorder(store Store, now func() time.Time, log *slog.Logger) *recorder {
	return &recorder{store: store, now: now, log: log, rung: make(chan struct{}, 1), stopped: make(chan struct{})}
}

// record hands an outcome over and returns when it is written. When ctx ends it does not wait, but the outcome is
// still written if it can be.
func (r *recorder) record(ctx context.Context, o Outcome) {
	e := entry{o, make(chan struct{})}
	r.mu.Lock()
	r.pending = append(r.pending, e)
	r.mu.Unlock()
	r.ring()
	select {
	case <-e.done:
	case <-ctx.Done():
	case <-r.stopped:
	}
}

func (r *recorder) ring() {
	select {
	case r.rung <- struct{}{}:
	default:
	}
}

// run may be called once.
func (r *recorder) run(ctx context.Context) {
	defer close(r.stopped)
	for ctx.Err() == nil {
		select {
		case <-r.rung:
			r.drain(ctx)
		case <-ctx.Done():
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordGrace)
	defer cancel()
	for r.waiting() > 0 && r.flush(last) {
	}
	if left := r.waiting(); left > 0 {
		r.log.Error("callbacks: outcomes could not be recorded; their callbacks will be sent again", "outcomes", left)
	}
}

// drain writes until nothing waits. While the store fails it pauses between two tries.
func (r *recorder) drain(ctx context.Context) {
	for r.waiting() > 0 && ctx.Err() == nil {
		if r.flush(ctx) {
			continue
		}
		select {
		case <-time.After(recordPause):
		case <-ctx.Done():
		}
	}
}

// flush writes one set. It tells whether the store took all of it.
func (r *recorder) flush(ctx context.Context) bool {
	set := r.take()
	kept := r.write(ctx, set)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending = append(kept, r.pending...)
	return len(kept) == 0
}

func (r *recorder) take() []entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.pending), recordSet)
	set := r.pending[:n:n]
	r.pending = r.pending[n:]
	return set
}

func (r *recorder) waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.pending)
}

// write gives back what could not be written. A set that fails is halved until the one that fails stands alone, so
// that it does not hold up the others.
func (r *recorder) write(ctx context.Context, set []entry) (kept []entry) {
	err := r.commit(ctx, set)
	switch {
	case err == nil:
		return nil
	case len(set) == 1 || ctx.Err() != nil:
		r.log.Warn("callbacks: outcomes cannot be recorded; trying again", "outcomes", len(set), "error", err)
		return set
	}
	half := len(set) / 2
	kept = r.write(ctx, set[:half:half])
	if len(kept) == half && half > 1 {
		return append(kept, set[half:]...) // not one bad outcome, but the store
	}
	return append(kept, r.write(ctx, set[half:])...)
}

func (r *recorder) commit(ctx context.Context, set []entry) error {
	outcomes := make([]Outcome, len(set))
	for i, e := range set {
		outcomes[i] = e.Outcome
	}
	refused, err := r.store.RecordAttempts(ctx, outcomes, jobs.At(r.now()))
	if err != nil {
		return err
	}
	if refused > 0 {
		r.log.Warn("callbacks: outcomes not kept: they stand already, or another process has taken the deliveries over", "outcomes", refused)
	}
	for _, e := range set {
		close(e.done)
	}
	return nil
}
