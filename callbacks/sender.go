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
	// Claims are one higher, Owner is set. It gives those it took; the others are somebody else's, or not due.
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
	Concurrency int    // POSTs at the same time; zero for 128
	Now         func() time.Time
	Log         *slog.Logger
}

// Sender takes deliveries through their five steps: claim, act, decide, record, wake.
type Sender struct {
	SenderOptions
	slots    chan struct{}
	recorder *recorder
}

// NewSender makes a Sender. Work records nothing until Run runs.
func NewSender(o SenderOptions) *Sender {
	o.Concurrency = cmp.Or(o.Concurrency, 128)
	return &Sender{
		SenderOptions: o,
		slots:         make(chan struct{}, o.Concurrency),
		recorder:      newRecorder(o.Store, o.Now, o.Log),
	}
}

// Run records outcomes until ctx ends; then it writes what is left, once, and returns. Stop it after the queue whose
// handler Work is, so that the last outcomes are written.
func (s *Sender) Run(ctx context.Context) error { return s.recorder.run(ctx) }

// Work sends the deliveries that a wake-up names: it claims what is due of them in one call, posts side by side, and
// returns when each outcome is recorded, or when ctx ends. An attempt that ctx breaks off has no outcome and is not
// recorded: its claim ends with this process's ownership. What cannot be claimed now the sweeper brings again.
func (s *Sender) Work(ctx context.Context, ids []string) {
	refs := jobs.ParseRefs(ids)
	if len(refs) == 0 {
		return
	}
	claimed, err := s.Store.ClaimDeliveries(ctx, s.Owner, refs, jobs.At(s.Now()))
	if err != nil {
		s.Log.Warn("callbacks: claiming failed; the sweeper brings the deliveries again", "deliveries", len(refs), "error", err)
		return
	}
	var all sync.WaitGroup
	for _, c := range claimed {
		all.Go(func() { s.deliver(ctx, c) })
	}
	all.Wait()
}

// deliver takes one delivery from its claim to its record.
func (s *Sender) deliver(ctx context.Context, c Claimed) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	o, ok := s.attempt(ctx, c)
	<-s.slots
	if ok {
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
	if c.Claims >= jobs.MaxClaims {
		r.ErrorClass, r.Final = ClassClaims, true
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
