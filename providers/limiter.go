package providers

import (
	"context"
	"sync"
	"time"
)

// maxLimiters bounds the limiters of one provider. Model names come from
// clients, and "*" lets any through: those past the bound share one limiter.
const maxLimiters = 1000

// Turn says whose call it is. Slots go round the projects that wait, inside a
// project round its jobs of the highest priority that wait, and inside a job first
// come, first served. A priority orders a project's own work only: no project has
// more of the slots for it.
type Turn struct {
	Project  string
	Job      string
	Priority int // higher goes first; 0 is usual
}

// Limiter gives out the slots of one provider and model: so many calls in
// flight, requests a minute and tokens a minute. It follows the upstream: see
// [Slot.Release]. It is safe for use by many goroutines.
type Limiter struct {
	now func() time.Time

	mu       sync.Mutex
	pace     pace
	requests *bucket // nil: no limit
	tokens   *bucket // nil: no limit
	expected float64 // tokens that a call uses, averaged over about the last 16
	settled  float64 // calls in that average
	inFlight int
	line     line
	absent   absent
	alarm    alarm
	link     *link // nil: the limits are this process's alone
}

// Limiter returns the limiter of model at this provider, made on first use; the
// same one each time.
func (p *Provider) Limiter(model string) *Limiter {
	p.mu.RLock()
	l := p.limiters[model]
	p.mu.RUnlock()
	if l != nil {
		return l
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.limiters[model]; l != nil {
		return l
	}
	if len(p.limiters) >= maxLimiters {
		return p.others
	}
	l = p.newLimiter(model)
	p.limiters[model] = l
	return l
}

func (p *Provider) newLimiter(model string) *Limiter {
	now := p.now()
	l := &Limiter{
		now:      p.now,
		pace:     newPace(p.config.openAtOnce(), p.now, p.rand),
		requests: newBucket(p.config.RequestsPerMinute, now),
		tokens:   newBucket(p.config.TokensPerMinute, now),
		line:     newLine(),
	}
	if p.sharing != nil {
		l.link = newLink(l, p, model)
	}
	return l
}

// Slot is the right to make one call. [Slot.Release] must follow.
type Slot struct {
	limiter  *Limiter
	era      uint64
	expected float64
	suspect  bool
	released bool
}

// Acquire waits for a slot. Where the limiter is known to open later than
// patience from now, or so many wait already that the caller's turn would come
// later, it says so at once, otherwise after patience has passed, in each case
// with a *[BusyError]; who comes back at the time that it names goes before those
// who come first then; patience of 0 or less takes a slot only if one
// is free. When ctx ends first, its error is returned. An error leaves nothing
// behind.
func (l *Limiter) Acquire(ctx context.Context, turn Turn, patience time.Duration) (*Slot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.line.waiting == 0 {
		if free, _ := l.free(); free {
			slot := &Slot{}
			l.admit(slot)
			if l.absent.n > 0 {
				l.line.moved.add(l.now())
				l.arrived(turn)
			}
			return slot, nil
		}
	}
	if l.link != nil {
		l.link.lacks()
	}
	if patience <= 0 || l.opening().Sub(l.now()) > patience || !l.near(turn, patience) {
		return nil, l.busy(turn)
	}
	w := l.line.join(turn)
	l.dispatch()
	if err := l.wait(ctx, w, patience); err != nil {
		return nil, err
	}
	if w.waits() {
		l.line.leave(w)
		l.line.vain = true
		l.setAlarm()
		return nil, l.busy(turn)
	}
	l.arrived(turn)
	return &w.slot, nil
}

// wait is called and returns with l.mu held; in between it sleeps without. Where
// ctx has ended the waiter is gone, and what it was given back.
func (l *Limiter) wait(ctx context.Context, w *waiter, patience time.Duration) error {
	l.mu.Unlock()
	timer := time.NewTimer(patience)
	select {
	case <-w.granted:
	case <-timer.C:
	case <-ctx.Done():
	}
	timer.Stop()
	l.mu.Lock()
	err := ctx.Err()
	switch {
	case err == nil:
	case w.waits():
		l.line.leave(w)
		l.setAlarm()
	default:
		l.giveBack(&w.slot)
	}
	return err
}

// Release gives the slot back and tells how the call went: a nil error for an
// answer. The first call counts, later ones do nothing.
//
// The limit begins at 4 calls in flight. An answer raises it, up to the configured
// concurrency: by a half until something is refused, and by 1/limit from then on;
// until then so does each second in which all calls in flight go on, by half. A
// [RateLimited] or [Overloaded] error halves it, at most once for the calls of
// one flight, and never below 1. Retry-After on either shuts the limiter for
// that time, a rate limit without it for 0.5 s doubling to 30 s. Tokens are
// counted after the fact: a call is charged what calls used lately, and the
// difference to usage is settled here.
//
// From rate limits a rate is learned: calls go out evenly at what the upstream
// took between two of them, a little less at first, then more and more until it
// refuses again. As long as that rate is what holds calls back a rate limit sets
// it anew, and leaves the limit of calls in flight as it is. It is forgotten when
// it has held nobody back for a minute.
//
// Five failures in a row that are [Connection], [Overloaded] or [Timeout], those of
// suspects aside, are an outage: the limiter shuts for 0.5 s, then lets out one
// call at a time, and the failure of each doubles the wait, to 30 s. The first
// answer of any other kind ends it, with half of the limit from before those
// failures. A [Canceled] call says nothing either way.
//
// Outage tells whether this call failed in an outage, the fifth failure
// included: it is the provider's fault alone, and no try of the request's.
func (s *Slot) Release(err *Error, usage Usage) (outage bool) {
	l := s.limiter
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.released {
		return false
	}
	s.released = true
	l.inFlight--
	l.settle(s, usage)
	l.pace.outage.ended(s)
	outage = l.pace.learn(s, err)
	l.dispatch()
	if l.link != nil {
		l.link.ended()
	}
	return outage
}

// Answered is when a call last found this slot's provider there, whatever it said,
// that had begun since the limiter last cut its limit or shut; zero: none has. A
// call that failed before that, and fails after, may be failing by itself.
func (s *Slot) Answered() time.Time {
	s.limiter.mu.Lock()
	defer s.limiter.mu.Unlock()
	return s.limiter.pace.met
}

// Suspect has a failure of this call count for no outage, see Answered. It cuts the
// limit as any does, and in an outage that others have made it is one look of theirs.
func (s *Slot) Suspect() { s.suspect = true }
