package jobs

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// The bound on repeats after a crash: results that are not kept yet are at most this many and at most this old. Large
// ones take more room: they are bounded in bytes.
const (
	flushRows  = 1000
	flushBytes = 32 << 20
	flushEvery = 50 * time.Millisecond
)

// flusher keeps lines' outcomes in sets: one write for what 50 ms or half a buffer bring, while the other half fills.
// While the buffer is full, because writes fail or are slow, whoever adds waits: so nothing more is called than could
// be kept.
type flusher struct {
	room  *semaphore.Weighted
	write func(ctx context.Context, lines []Line) error
	begun chan struct{} // a first line came
	full  chan struct{} // write now: half the room is taken, or somebody has nothing else to do than to wait

	mu      sync.Mutex
	waiting []flushed
	taken   int64
}

type flushed struct {
	line   Line
	weight int64
	done   func()
}

func newFlusher(write func(context.Context, []Line) error) *flusher {
	return &flusher{
		room: semaphore.NewWeighted(flushBytes), write: write,
		begun: make(chan struct{}, 1), full: make(chan struct{}, 1),
	}
}

// add hands in a line; done is called once it is kept. It returns false when ctx ended before there was room.
func (f *flusher) add(ctx context.Context, l Line, done func()) bool {
	weight := min(max(int64(len(l.Text)), flushBytes/flushRows), flushBytes)
	if f.room.Acquire(ctx, weight) != nil {
		return false
	}
	f.mu.Lock()
	f.waiting = append(f.waiting, flushed{l, weight, done})
	f.taken += weight
	half := f.taken >= flushBytes/2
	f.mu.Unlock()
	signal(f.begun)
	if half {
		signal(f.full)
	}
	return true
}

// hurry writes what is there now.
func (f *flusher) hurry() { signal(f.full) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run writes until ctx ends; what is in the buffer is then lost, and its lines are called again later.
func (f *flusher) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.begun:
		}
		f.ripen(ctx)
		f.keep(ctx, f.take())
	}
}

// ripen waits until the set is old enough, or large enough, or hurried.
func (f *flusher) ripen(ctx context.Context) {
	timer := time.NewTimer(flushEvery)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.full:
	case <-ctx.Done():
	}
}

func (f *flusher) take() []flushed {
	f.mu.Lock()
	defer f.mu.Unlock()
	set := f.waiting
	f.waiting, f.taken = nil, 0
	return set
}

func (f *flusher) keep(ctx context.Context, set []flushed) {
	if len(set) == 0 {
		return
	}
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
		f.room.Release(s.weight)
		s.done()
	}
}

// record is the flusher's write.
func (r *Runner) record(ctx context.Context, lines []Line) error {
	woken, err := r.Store.RecordLines(ctx, lines)
	if err != nil {
		r.Log.Error("cannot keep results; calls wait until it works", "lines", len(lines), "err", err)
	}
	woken.Pass(ctx, r.Waker) // also what follows from those that were kept
	for _, ref := range woken.Batches {
		r.Watchers.Ring(ref)
	}
	return err
}
