package jobs

import (
	"context"
	"time"
)

// The bound on repeats after a crash: results that are not kept yet are at most this many and at most this old.
const (
	flushRows  = 1000
	flushBytes = 32 << 20
	flushEvery = 50 * time.Millisecond
)

// flusher keeps lines' outcomes in sets: one write for what 50 ms or 1,000 rows bring. While a write fails, or its
// buffer is full, whoever adds waits: so nothing is called that could not be kept.
type flusher struct {
	in    chan flushed
	kick  chan struct{}
	write func(ctx context.Context, lines []Line) error
}

type flushed struct {
	line Line
	done func()
}

func newFlusher(write func(context.Context, []Line) error) *flusher {
	return &flusher{in: make(chan flushed), kick: make(chan struct{}, 1), write: write}
}

// add hands in a line; done is called once it is kept. It returns false when ctx ended before there was room.
func (f *flusher) add(ctx context.Context, l Line, done func()) bool {
	select {
	case f.in <- flushed{l, done}:
		return true
	case <-ctx.Done():
		return false
	}
}

// hurry writes what is there now: somebody has nothing else to do than to wait for it.
func (f *flusher) hurry() {
	select {
	case f.kick <- struct{}{}:
	default:
	}
}

// run writes until ctx ends; a last set in the buffer is then lost, and its lines are called again later.
func (f *flusher) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.kick:
		case first := <-f.in:
			f.keep(ctx, f.gather(ctx, first))
		}
	}
}

// gather takes what comes until the set is full, old enough, or hurried.
func (f *flusher) gather(ctx context.Context, first flushed) []flushed {
	set, bytes := []flushed{first}, len(first.line.Text)
	timer := time.NewTimer(flushEvery)
	defer timer.Stop()
	for len(set) < flushRows && bytes < flushBytes {
		select {
		case next := <-f.in:
			set = append(set, next)
			bytes += len(next.line.Text)
		case <-timer.C:
			return set
		case <-f.kick:
			return set
		case <-ctx.Done():
			return set
		}
	}
	return set
}

func (f *flusher) keep(ctx context.Context, set []flushed) {
	lines := make([]Line, len(set))
	for i, s := range set {
		lines[i] = s.line
	}
	for f.write(ctx, lines) != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
	for _, s := range set {
		s.done()
	}
}

// record is the flusher's write.
func (r *Runner) record(ctx context.Context, lines []Line) error {
	woken, err := r.Store.RecordLines(ctx, lines, At(r.Now()))
	if err != nil {
		r.Log.Error("cannot keep results; calls wait until it works", "lines", len(lines), "err", err)
		return err
	}
	woken.Pass(ctx, r.Waker)
	for _, ref := range woken.Jobs {
		r.Watchers.Ring(ref)
	}
	return nil
}
