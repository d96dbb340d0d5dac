package providers

import (
	"log/slog"
	"time"
)

const (
	// shareEvery is the time from one exchange to the next while something is wanting
	// or changes, shareCalm while all is well, and shareSoon the least there is: for a
	// caller that meets the end of what this process has, where more may be had.
	shareEvery = 100 * time.Millisecond
	shareCalm  = 500 * time.Millisecond
	shareSoon  = 20 * time.Millisecond
	// shareLease is how long the others keep what a silent process has.
	shareLease = 15 * time.Second
	// aloneAfter is how long a process without an answer goes on with what it last had.
	// Then each takes its part of the limits, by the number that were known.
	aloneAfter = time.Second
)

// link is a limiter's part in limits that all processes share. Slots are held by lease:
// no call starts above what the last exchange left, and what may start before the
// answer is told in the ask. So the others never count on a slot that is still in use.
// An idle limiter holds nothing, and its link does nothing. The limiter's lock guards it.
type link struct {
	limiter *Limiter
	sharing *sharing
	name    string
	log     *slog.Logger
	limit   int // calls in flight, of all processes

	slots    int  // calls that may be in flight here
	short    bool // they are fewer than were wanted
	known    int  // processes at the last exchange
	requests purse
	tokens   purse

	peak  int     // the most calls in flight since the last ask
	calls float64 // those that started since then
	asked bool    // somebody found no slot since then

	running bool          // an exchange is to come
	due     time.Time     // when
	soonest time.Time     // no exchange before
	calm    time.Time     // when one that gives back may be
	wake    chan struct{} // due is sooner than it was

	askAt time.Time // when the last ask was made
	told  time.Time // the time until which the others know that the limiter is shut
	heard time.Time // when the last answer came
	lost  time.Time // since when no answer came; zero: the last ask had one
	alone bool      // and this process goes by itself
}

func newLink(l *Limiter, p *Provider, model string) *link {
	return &link{
		limiter: l, sharing: p.sharing, name: p.config.Name + "/" + model, log: p.log.With("model", model),
		limit: p.config.Concurrency, wake: make(chan struct{}, 1),
		requests: newPurse(l.requests), tokens: newPurse(l.tokens),
	}
}

// lacks notes that a caller finds no slot free. Where the provider holds it back, more
// from the others would not help.
func (k *link) lacks() {
	if k.gated(k.limiter.now()) {
		return
	}
	k.asked = true
	k.hurry(k.soonest)
}

// began notes a call that starts.
func (k *link) began() {
	k.peak = max(k.peak, k.limiter.inFlight)
	k.calls++
	if !k.running { // an outage's probe asks nobody
		k.hurry(k.soonest)
	}
}

// ended notes a call that is over.
func (k *link) ended() {
	shut := k.limiter.pace.shut
	switch {
	case !shut.IsZero() && !shut.Equal(k.told):
		k.hurry(k.soonest)
	case k.idle():
		k.hurry(k.calm)
	}
}

// hurry has the next exchange at that time or sooner.
func (k *link) hurry(at time.Time) {
	if !k.running {
		k.due = at
		k.running = k.sharing.start(k.run)
		return
	}
	if !k.due.After(at) {
		return
	}
	k.due = at
	select {
	case k.wake <- struct{}{}:
	default: // it will look at due all the same
	}
}

// idle reports that nothing is asked of the limiter.
func (k *link) idle() bool {
	return k.limiter.inFlight == 0 && k.limiter.line.waiting == 0 && !k.asked
}

// binds reports that somebody waits for a larger share.
func (k *link) binds() bool {
	l := k.limiter
	return l.line.waiting > 0 && l.inFlight >= k.slots && k.slots < l.pace.slots()
}

// grows reports that the others would give another slot: the last time they gave all
// that was wanted.
func (k *link) grows() bool {
	return !k.short && k.limiter.inFlight >= k.slots && k.limiter.inFlight < k.limiter.pace.slots()
}

// gated reports that the provider, as this process knows it, holds calls back for
// longer than a purse lasts.
func (k *link) gated(now time.Time) bool {
	p := &k.limiter.pace
	if p.open() {
		return false
	}
	soon := now.Add(purseFor)
	return p.opens(now).After(soon) || p.learned.opens(now).After(soon) || p.outage.opens(now).After(soon)
}

// demand is about how many callers would start were there slots and units for them.
func (k *link) demand(now time.Time) int {
	if k.gated(now) {
		return 0
	}
	waiting := k.limiter.line.waiting
	if waiting > 0 { // a batch's lines come one by one: as many again may follow
		waiting = max(waiting, k.limiter.inFlight)
	}
	if k.asked {
		waiting = max(waiting, 1)
	}
	if k.limiter.pace.learned.holding {
		return min(waiting, 1)
	}
	return waiting
}

// want is how many calls would be in flight, with a little room to grow: what is
// held and cannot be used is what others lack.
func (k *link) want(demand int) int {
	l := k.limiter
	room := l.pace.slots() + 1
	if l.pace.slow {
		room += room / 2
	}
	if l.pace.outage.on() {
		room = l.inFlight + 1
	}
	return max(k.peak, l.inFlight, min(l.inFlight+demand, room, int(l.pace.ceiling)))
}
