package callbacks

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/ringback/ringback/jobs"
)

// Store is what a Sender asks of the store.
type Store interface {
	// ClaimDeliveries takes the deliveries that are due and in nobody's hands, in one guarded statement: Attempt and
	// Claims are one higher, Owner is set. It gives those it took; the others are somebody else's, or not due. One that
	// cannot be read is given with Broken set and does not fail the others. After an error none of refs is claimed.
	ClaimDeliveries(ctx context.Context, owner string, refs []jobs.Ref, now jobs.Time) ([]Claimed, error)
	// RecordAttempts writes each outcome whose claim still holds, in one transaction: the attempt's row, and the
	// delivery's state, reason and next time. It counts those that were refused because another process was first.
	RecordAttempts(ctx context.Context, outcomes []Outcome, now jobs.Time) (refused int, err error)
}

// SenderOptions are the parts a Sender works with.
type SenderOptions struct {
	Store       Store
	Poster      *Poster
	Policy      Policy
	Owner       string // this process, as its claims name it
	Concurrency int    // deliveries in hand at the same time, from claim to record; zero for 128
	Now         func() time.Time
	Log         *slog.Logger
}

// Sender takes deliveries through their five steps: claim, act, decide, record, wake.
type Sender struct {
	SenderOptions
	slots    *slots
	recorder *recorder
}

// NewSender makes a Sender. Work records nothing until Run runs.
func NewSender(o SenderOptions) *Sender {
	o.Concurrency = cmp.Or(o.Concurrency, 128)
	return &Sender{
		SenderOptions: o,
		slots:         newSlots(o.Concurrency),
		recorder:      newRecorder(o.Store, o.Now, o.Log),
	}
}

// Run records outcomes until ctx ends; then it writes what is left, once, and returns. Stop it after the queue whose
// handler Work is, so that the last outcomes are written.
func (s *Sender) Run(ctx context.Context) error { return s.recorder.run(ctx) }

// Work sends the deliveries that a wake-up names. It claims as many as it has slots for, posts side by side, and goes on
// with the rest as slots come free; it returns when each outcome is recorded, or when ctx ends.
//
// What Work leaves unclaimed, because ctx ended or the store failed, still waits in its row, and the sweeper offers it
// again. What it has claimed the sweeper does not offer: an attempt that ctx breaks off has no outcome and is not
// recorded, and its claim ends with this process's ownership.
func (s *Sender) Work(ctx context.Context, ids []string) {
	var all sync.WaitGroup
	defer all.Wait()
	for refs := jobs.ParseRefs(ids); len(refs) > 0; {
		n := s.slots.take(ctx, len(refs))
		if n == 0 {
			return
		}
		claimed, err := s.claim(ctx, refs[:n])
		if err != nil {
			s.Log.Warn("callbacks: claiming failed; the sweeper offers the deliveries again", "deliveries", len(refs), "error", err)
			return
		}
		for _, c := range claimed {
			all.Go(func() { s.deliver(ctx, c) })
		}
		refs = refs[n:]
	}
}

// claim claims what is due of refs, each of which has a slot, and frees the slots of the others.
func (s *Sender) claim(ctx context.Context, refs []jobs.Ref) (claimed []Claimed, err error) {
	defer func() { s.slots.free(len(refs) - len(claimed)) }()
	claimed, err = s.Store.ClaimDeliveries(ctx, s.Owner, refs, jobs.At(s.Now()))
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// deliver takes one delivery from its claim to its record. It keeps its slot until the outcome is recorded: while the
// store is slow or full, no more POSTs are made than there are slots, and no more would be repeated after a crash.
func (s *Sender) deliver(ctx context.Context, c Claimed) {
	defer s.slots.free(1)
	if o, ok := s.attempt(ctx, c); ok {
		s.recorder.record(ctx, o)
	}
}

// attempt makes one attempt and decides on it. There is no outcome when ctx ended before an answer came.
func (s *Sender) attempt(ctx context.Context, c Claimed) (o Outcome, ok bool) {
	tries := c.Tries + 1
	r := s.post(ctx, c, tries)
	if ctx.Err() != nil && r.StatusCode == 0 {
		return Outcome{}, false
	}
	d := s.Policy.Decide(r, tries, s.Now())
	r.Rule = d.Rule
	s.Log.Debug("callbacks: attempt", "delivery", c.ID, "event", c.EventID, "number", tries, "status", r.StatusCode,
		"class", r.ErrorClass, "phase", r.phase, "ms", r.DurationMS, "rule", d.Rule)
	return Outcome{Claimed: c, Attempt: r.Attempt, Decision: d}, true
}

// post guards the process against a delivery that takes its worker down: by count where it killed the process, and
// here where it panics.
func (s *Sender) post(ctx context.Context, c Claimed, number int) (r Result) {
	r = s.Poster.begin(&c.Delivery, number)
	if class := s.hopeless(&c); class != "" {
		r.ErrorClass, r.Final = class, true
		return r
	}
	defer func() {
		if p := recover(); p != nil {
			s.Log.Error("callbacks: an attempt panicked", "delivery", c.ID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			r.ErrorClass = ClassInternal
		}
	}()
	return s.Poster.Post(ctx, c, number)
}

// hopeless names what rules out a POST before it begins; empty when nothing does.
func (s *Sender) hopeless(c *Claimed) Class {
	switch {
	case c.Broken != nil:
		s.Log.Error("callbacks: a delivery is given up: its receiver or its event cannot be read; retry it by hand once it can",
			"delivery", c.ID, "error", c.Broken)
		return ClassUnreadable
	case c.Claims > jobs.MaxClaims:
		return ClassClaims
	}
	return ""
}
