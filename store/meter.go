package store

import (
	"time"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/history"
	"github.com/ringback/ringback/jobs"
)

// Meter hears what was committed, after the commit and once. Each function may be nil; they come from many goroutines and
// must be quick.
type Meter struct {
	Committed  func(writes int, took time.Duration)  // how many writes shared the commit, and how long that alone took
	Ended      func(j *jobs.Job, took time.Duration) // a job in its final state; of a single call, how long it took, where that is known
	Lines      func(set int, fresh jobs.Tally)       // outcomes of lines: how many were written, and those of them that were new
	Deliveries func(delivered, failed int)           // that have ended

	// Answered hears of each batch's lines that were new, and how long the calls took that answered them.
	Answered func(batch *jobs.Job, fresh jobs.Tally, took history.Spread)
	// Attempted hears of attempts at callbacks whose claims held, with what was decided.
	Attempted func(held []callbacks.Outcome)
	// GaveUp hears of deliveries that were given up without another attempt.
	GaveUp func(ended []callbacks.Delivery)
}

func (m *Meter) committed(writes int, took time.Duration) {
	if m.Committed != nil {
		m.Committed(writes, took)
	}
}

// moved hears of every move, and tells of those that end a job.
func (m *Meter) moved(before jobs.Status, after *jobs.Job, took time.Duration) {
	if m.Ended != nil && !before.Terminal() && after.Status.Terminal() {
		m.Ended(after, took)
	}
}

// lines hears of outcomes that were written together.
func (m *Meter) lines(set int, batches []freshLines) {
	if m.Answered != nil {
		for i := range batches {
			m.Answered(&batches[i].batch, batches[i].Tally, batches[i].took)
		}
	}
	if m.Lines != nil {
		var all jobs.Tally
		for i := range batches {
			all.Completed += batches[i].Completed
			all.Failed += batches[i].Failed
			all.Usage = all.Usage.Add(batches[i].Usage)
		}
		m.Lines(set, all)
	}
}

// deliveries counts the ends among outcomes whose claims held.
func (m *Meter) deliveries(held []callbacks.Outcome) {
	if m.Attempted != nil {
		m.Attempted(held)
	}
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

func (m *Meter) givenUp(ended []callbacks.Delivery) {
	if len(ended) == 0 {
		return
	}
	if m.Deliveries != nil {
		m.Deliveries(0, len(ended))
	}
	if m.GaveUp != nil {
		m.GaveUp(ended)
	}
}
