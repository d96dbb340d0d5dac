package history

import (
	"math"
	"time"

	"github.com/ringback/ringback/jobs"
)

// Query asks for points of one project.
type Query struct {
	ProjectID string
	Series    []string
	About     string // what they are about; empty: the project
	AnyAbout  bool   // or each provider, endpoint or model that they are about, in place of About
	Since     jobs.Time
	Until     jobs.Time // points before this; zero for all
	// Step is how long each point shall be: slots that are shorter are merged, on multiples of Step since 1970; one that is
	// longer stays as it is. Zero is as they are stored. Since and Until are moved back and on to such multiples, so that the
	// first and the last point are whole.
	Step time.Duration
}

// Bounds are Since and Until on multiples of Step; until is never zero.
func (q *Query) Bounds() (since, until jobs.Time) {
	since, until = q.Since, q.Until
	if until == 0 {
		until = math.MaxInt64
	}
	step := jobs.Time(q.Step.Milliseconds())
	if step <= 0 {
		return since, until
	}
	since -= since % step
	if over := until % step; over > 0 && until < math.MaxInt64-step {
		until += step - over
	}
	return since, until
}

// Point is what happened in one span of time. Where nothing did there is none; but a gauge has one for each step from its
// first sample on, as long as it is known.
type Point struct {
	Series string
	About  string
	At     jobs.Time     // its beginning
	Span   time.Duration // its length: N/Span is a rate
	N      int64
	Spread Spread // of durations; empty for series that have none
}

// Row is a slot of one source, as it is stored.
type Row struct {
	ProjectID string
	Series    string
	About     string
	At        jobs.Time
	Span      time.Duration
	Source    string // who counted: a process, as it runs; empty for a gauge, of which the last sample stands
	N         int64
	Spread    Spread
}
