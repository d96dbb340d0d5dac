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

// Want asks for deliveries behind one gate.
type Want struct {
	Gate jobs.Ref
	Room int // at most so many
}

// Store is what a Sender asks of the store.
type Store interface {
	// ClaimDeliveries takes deliveries that are due, of each gate those that have been due longest, up to its Room (one,
	// where the row says that the gate is shut): Attempt and Claims are one higher, Owner is set. One that cannot be read
	// is given with Broken set and does not fail the others. Deliveries to an endpoint that is disabled or deleted are
	// not given: they end as cancelled. After an error nothing is claimed.
	ClaimDeliveries(ctx context.Context, owner string, wants []Want, now jobs.Time) ([]Claimed, error)
	// RecordAttempts writes each outcome whose claim still holds, in one transaction: the attempt's row, the delivery's
	// state, reason and next time, the endpoint's health, and the events that follow. It counts those that were refused
	// because another process was first.
	RecordAttempts(ctx context.Context, outcomes []Outcome, now jobs.Time) (refused int, err error)
	// ShutGate keeps since when a gate has been shut (zero: it is open), and has it woken at a time.
	ShutGate(ctx context.Context, gate jobs.Ref, since, wake jobs.Time) error
	// ExpireDeliveries gives up what has waited at a shut gate for MaxWait, some hundred at a time, and counts them.
	ExpireDeliveries(ctx context.Context, now jobs.Time) (int, error)
}

// SenderOptions are the parts a Sender works with.
type SenderOptions struct {
	Store       Store
	Poster      *Poster
	Policy      Policy
	Owner       string          // this process, as its claims name it
	Concurrency int             // deliveries in hand at the same time, from claim to record; zero for 512
	PerReceiver int             // of those, behind one gate; zero for 64
	Stopping    <-chan struct{} // closed when the process begins to stop: nothing more is claimed
	Lapsed      func() bool     // whether others may have taken this process for dead: nothing is claimed then; nil for never
	Grace       time.Duration   // how long attempts may go on after that
	Now         func() time.Time
	Log         *slog.Logger

	// Attempted hears of each attempt that has ended, by its Outcome and how long it took; nil for nobody. It comes from many
	// goroutines and must be quick.
	Attempted func(outcome string, took time.Duration)
}

// Sender takes deliveries through their five steps: claim, act, decide, record, wake.
type Sender struct {
	SenderOptions
	gates    *gates
	recorder *recorder
	inHand   sync.WaitGroup
}

// NewSender makes a Sender. Nothing is sent until Run runs.
func NewSender(o SenderOptions) *Sender {
	o.Concurrency = cmp.Or(o.Concurrency, 512)
	o.PerReceiver = cmp.Or(o.PerReceiver, 64)
	return &Sender{
		SenderOptions: o,
		gates:         newGates(o.Concurrency, o.PerReceiver),
		recorder:      newRecorder(o.Store, o.Now, o.Log),
	}
}

// Work notes the gates behind which deliveries may be due, and returns. It is the handler of the deliveries lane.
func (s *Sender) Work(_ context.Context, ids []string) { s.gates.ask(jobs.ParseRefs(ids), s.Now()) }

// expireEvery is how often deliveries are looked for that have waited too long at a shut gate.
const expireEvery = time.Minute

// Run claims and sends until ctx ends or Stopping is closed. Then it claims nothing more, gives attempts in flight Grace
// to end, writes what came of them, and returns. A claim whose attempt was broken off has no outcome: it ends with this
// process's ownership.
func (s *Sender) Run(ctx context.Context) error {
	attempts, breakOff := context.WithCancel(context.WithoutCancel(ctx))
	recording, endRecording := context.WithCancel(context.WithoutCancel(ctx))
	var recorder sync.WaitGroup
	recorder.Go(func() { s.recorder.run(recording) })
	s.inHand.Go(func() { s.giveUp(ctx) })
	s.loop(ctx, attempts)
	grace := time.AfterFunc(s.Grace, breakOff)
	s.inHand.Wait()
	grace.Stop()
	breakOff()
	endRecording()
	recorder.Wait()
	return nil
}

// loop claims whenever something may be due and there is room for it.
func (s *Sender) loop(ctx, attempts context.Context) {
	look := time.NewTicker(gateMost)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.Stopping:
			return
		case <-look.C:
			s.gates.look(s.Now())
		case <-s.gates.rung:
			for s.send(ctx, attempts) {
			}
		}
	}
}

// send claims once for all gates that have something to claim. It tells whether it found any.
func (s *Sender) send(ctx, attempts context.Context) bool {
	if s.stopping(ctx) || s.lapsed() {
		return false
	}
	wants := s.gates.wants(s.Now())
	if len(wants) == 0 {
		return false
	}
	claimed, err := s.Store.ClaimDeliveries(ctx, s.Owner, wants, jobs.At(s.Now()))
	if err != nil && ctx.Err() == nil {
		s.Log.Warn("callbacks: claiming failed; the sweeper offers the deliveries again", "gates", len(wants), "error", err)
	}
	s.gates.settle(wants, claimed, s.Now())
	for _, c := range claimed {
		s.inHand.Go(func() { s.deliver(attempts, c) })
	}
	return err == nil
}

func (s *Sender) stopping(ctx context.Context) bool {
	select {
	case <-s.Stopping:
		return true
	default:
		return ctx.Err() != nil
	}
}

// lapseLook is how soon a process that may have been taken for dead looks whether it may claim again.
const lapseLook = time.Second

// lapsed tells whether nothing is to be claimed now. Who stands in the queue of gates is looked at again.
func (s *Sender) lapsed() bool {
	if s.Lapsed == nil || !s.Lapsed() {
		return false
	}
	time.AfterFunc(lapseLook, s.gates.ring)
	return true
}

// giveUp ends, from time to time, what has waited too long at a shut gate. It runs beside the claims, so that a large
// backlog that ends delays nobody else's callbacks.
func (s *Sender) giveUp(ctx context.Context) {
	expire := time.NewTicker(expireEvery)
	defer expire.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.Stopping:
			return
		case <-expire.C:
			s.expire(ctx)
		}
	}
}

func (s *Sender) expire(ctx context.Context) {
	for !s.stopping(ctx) {
		n, err := s.Store.ExpireDeliveries(ctx, jobs.At(s.Now()))
		if err != nil && ctx.Err() == nil {
			s.Log.Warn("callbacks: what waited too long could not be ended; trying again later", "error", err)
		}
		if n == 0 || err != nil {
			return
		}
		s.Log.Warn("callbacks: deliveries are given up: their receiver has not answered for too long; retry them by hand once it does",
			"deliveries", n, "waited", MaxWait)
	}
}

// deliver takes one delivery from its claim to its record. Its slot at the gate is free when the attempt has ended; it is
// in hand until its outcome is recorded. So while the store is slow or full, no more POSTs are made than may be in hand,
// and no more would be repeated after a crash.
func (s *Sender) deliver(ctx context.Context, c Claimed) {
	defer s.gates.recorded()
	began := s.Now()
	r, ok := s.attempt(ctx, c)
	took := s.Now().Sub(began)
	v := neutral
	if ok {
		s.attempted(&r.Attempt, took)
		v = judge(&c.Delivery, &r.Attempt)
	}
	changed, shutAt, openAt := s.gates.ended(c.GateRef(), v, s.Now())
	if ok {
		o := s.decide(c, &r)
		o.Took = took
		s.recorder.record(ctx, o)
	}
	if changed || v == works && c.ShutAt > 0 { // by its row it is shut still
		s.shut(ctx, c.GateRef(), shutAt, openAt)
	}
}

// attempt makes one attempt. There is no outcome when ctx ended before an answer came.
func (s *Sender) attempt(ctx context.Context, c Claimed) (r Result, ok bool) {
	r = s.post(ctx, c)
	return r, ctx.Err() == nil || r.StatusCode != 0
}

// decide says what follows.
func (s *Sender) decide(c Claimed, r *Result) Outcome {
	policy := s.Policy
	if len(c.Receiver.Schedule) > 0 {
		policy.Schedule = c.Receiver.Schedule
	}
	d := policy.Decide(*r, c.Tries+1, s.Now())
	r.Rule = d.Rule
	s.Log.Debug("callbacks: attempt", "delivery", c.ID, "event", c.EventID, "number", r.Number, "status", r.StatusCode,
		"class", r.ErrorClass, "phase", r.phase, "ms", r.DurationMS, "rule", d.Rule)
	return Outcome{Claimed: c, Attempt: r.Attempt, Decision: d}
}

// shut keeps what a gate has become. Where that fails, the next probe keeps it, or the next success behind a row that says
// that the gate is shut.
func (s *Sender) shut(ctx context.Context, gate jobs.Ref, shutAt, openAt time.Time) {
	since, wake := jobs.Time(0), jobs.At(s.Now())
	if !shutAt.IsZero() {
		since, wake = jobs.At(shutAt), jobs.At(openAt)+1 // rows count whole milliseconds: not a moment too soon, or it would wait for the next look
	}
	s.Log.Info("callbacks: a receiver's gate", "gate", gate.ID, "shut", since > 0, "probe_in", wake.Time().Sub(s.Now()).Round(time.Millisecond))
	if err := s.Store.ShutGate(ctx, gate, since, wake); err != nil && ctx.Err() == nil {
		s.Log.Warn("callbacks: a gate's state could not be kept", "gate", gate.ID, "error", err)
	}
}

// post guards the process against a delivery that takes its worker down: by count where it killed the process, and
// here where it panics.
func (s *Sender) post(ctx context.Context, c Claimed) (r Result) {
	r = s.Poster.begin(&c.Delivery)
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
	return s.Poster.Post(ctx, c)
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
