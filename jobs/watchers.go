package jobs

import "sync"

// Watchers tells who waits for a job that it has changed.
type Watchers struct {
	Tell func(Ref) // passes it on to other processes, which ring their own by Heard; nil: there are none

	mu    sync.Mutex
	byRef map[Ref]map[chan struct{}]struct{}
}

// NewWatchers makes an empty set.
func NewWatchers() *Watchers { return &Watchers{byRef: map[Ref]map[chan struct{}]struct{}{}} }

// Watch gives a channel that is rung after each change of the job, until stop is called.
func (w *Watchers) Watch(ref Ref) (rung <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byRef[ref] == nil {
		w.byRef[ref] = map[chan struct{}]struct{}{}
	}
	w.byRef[ref][c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.byRef[ref], c)
		if len(w.byRef[ref]) == 0 {
			delete(w.byRef, ref)
		}
	}
}

// Ring tells the job's watchers to look again, in this process and in the others.
func (w *Watchers) Ring(ref Ref) {
	w.Heard(ref)
	if w.Tell != nil {
		w.Tell(ref)
	}
}

// Heard tells the job's watchers in this process to look again.
func (w *Watchers) Heard(ref Ref) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.byRef[ref] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
