package jobs

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errInterrupted is the cause of calls that end because nobody wants what this process would make of them.
var errInterrupted = errors.New("jobs: the job was cancelled, has expired, or is another process's by now")

// inFlight knows what this process works on, so that a cancel reaches calls in flight.
type inFlight struct {
	mu    sync.Mutex
	works map[*work]struct{}
}

// work is one attempt in hand.
type work struct {
	job    Ref
	wanted func(Status) bool // in which states of its job the work still makes sense
	cancel context.CancelCauseFunc
}

// enter gives a context for work on a job: it ends when the job leaves the states in which the work is wanted. leave
// must be called.
func (f *inFlight) enter(ctx context.Context, job Ref, wanted func(Status) bool) (_ context.Context, leave func()) {
	calls, cancel := context.WithCancelCause(ctx)
	w := &work{job, wanted, cancel}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.works[w] = struct{}{}
	return calls, func() {
		cancel(nil)
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.works, w)
	}
}

// jobs are those that are worked on.
func (f *inFlight) jobs() []Ref {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := make(map[Ref]bool, len(f.works))
	refs := make([]Ref, 0, len(f.works))
	for w := range f.works {
		if !seen[w.job] {
			seen[w.job] = true
			refs = append(refs, w.job)
		}
	}
	return refs
}

// interrupt ends the work that the jobs' states have made useless. Work on a job whose state was not asked for, because
// it began meanwhile, goes on.
func (f *inFlight) interrupt(states map[Ref]Status) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.works {
		if state, asked := states[w.job]; asked && !w.wanted(state) {
			w.cancel(errInterrupted)
			n++
		}
	}
	return n
}

// interruptAll ends all work.
func (f *inFlight) interruptAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.works {
		w.cancel(errInterrupted)
	}
}

// alone tells whether one attempt is all that is in hand.
func (f *inFlight) alone() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.works) <= 1
}

func always(Status) bool { return true }

func unlessEnded(s Status) bool { return s != "" && !s.Terminal() }

func whileInProgress(s Status) bool { return s == InProgress }

// watch looks at the states of the jobs in hand.
func (r *Runner) watch(ctx context.Context) {
	tick := time.NewTicker(interruptEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if _, err := r.watchOnce(ctx); err != nil && ctx.Err() == nil {
				r.Log.Error("cannot read the states of jobs in hand; a cancel may be late", "err", err)
			}
		}
	}
}

// watchOnce interrupts work on jobs that have ended, or whose lines are not wanted any more.
func (r *Runner) watchOnce(ctx context.Context) (n int, err error) {
	refs := r.inFlight.jobs()
	if len(refs) == 0 {
		return 0, nil
	}
	states, err := r.Store.Statuses(ctx, refs)
	if err != nil {
		return 0, err
	}
	for _, ref := range refs {
		if _, found := states[ref]; !found {
			states[ref] = "" // a row that is gone: nobody wants its work
		}
	}
	return r.inFlight.interrupt(states), nil
}
