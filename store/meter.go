package store

import (
	"time"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// Meter hears what was committed, after the commit and once. Each function may be nil; they come from many goroutines and
// must be quick.
type Meter struct {
	Committed  func(writes int, took time.Duration)     // how many writes shared the commit, and how long that alone took
	Ended      func(kind jobs.Kind, status jobs.Status) // a job, with its final state
	Lines      func(set int, fresh jobs.Tally)          // outcomes of lines: how many were written, and those of them that were new
	Deliveries func(delivered, failed int)              // that have ended
}

func (m *Meter) committed(writes int, took time.Duration) {
	if m.Committed != nil {
		m.Committed(writes, took)
	}
}

// moved hears of every move, and tells of those that end a job.
func (m *Meter) moved(before jobs.Status, after *jobs.Job) {
	if m.Ended != nil && !before.Terminal() && after.Status.Terminal() {
		m.Ended(after.Kind, after.Status)
	}
}

func (m *Meter) lines(set int, fresh jobs.Tally) {
	if m.Lines != nil {
		m.Lines(set, fresh)
	}
}

// deliveries counts the ends among outcomes whose claims held.
func (m *Meter) deliveries(held []callbacks.Outcome) {
	if m.Deliveries == nil {
		return
	}
	delivered, failed := 0, 0
	for i := range held {
		switch held[i].Decision.State {
		case callbacks.Delivered:
			delivered++
		case callbacks.Failed:
			failed++
		}
	}
	m.Deliveries(delivered, failed)
}

func (m *Meter) givenUp(n int) {
	if m.Deliveries != nil && n > 0 {
		m.Deliveries(0, n)
	}
}
