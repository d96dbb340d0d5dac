package providers

import "time"

// pace learns from each call how many may be in flight and whether any may start.
type pace struct {
	now  func() time.Time
	rand func() float64

	ceiling float64
	limit   float64
	slow    bool      // at the start: nothing was refused yet
	ripeAt  time.Time // when time alone raises the limit, at the start; zero: not asked yet
	// era counts the cuts, and the shuts of an outage. A call that began in an
	// earlier era says nothing new: its failure is what the cut was for, and its
	// success was before it.
	era     uint64
	strikes int       // rate limits without an answer in between
	shut    time.Time // nothing starts before; zero: never shut
	// probed is as shut. It follows each call that is let out while no answer has
	// come since two refusals or more: they go out one by one.
	probed  time.Time
	outage  outage
	met     time.Time // when a call of the same era last found the provider there
	learned learned
}

func newPace(concurrency int, now func() time.Time, rand func() float64) pace {
	ceiling := float64(concurrency)
	return pace{now: now, rand: rand, ceiling: ceiling, limit: min(ceiling, startLimit), slow: true}
}

// open reports that no time is known before which no call may start.
func (p *pace) open() bool {
	return p.shut.IsZero() && p.probed.IsZero() && p.outage.until.IsZero() && !p.learned.on()
}

// began notes a call that starts.
func (p *pace) began(s *Slot) {
	p.outage.began(s)
	p.learned.began(p.now)
	p.ripeAt = time.Time{}
	if p.strikes > 1 {
		p.probed = p.now().Add(backoff(p.strikes))
	}
}

// unused takes back a call that began and was not made.
func (p *pace) unused(s *Slot) {
	p.outage.ended(s)
	p.learned.unused()
	p.probed = time.Time{}
}

// slots is how many calls may be in flight, at least 1.
func (p *pace) slots() int {
	if p.outage.on() {
		return 1
	}
	return int(p.limit)
}

// learn takes in how a call ended, nil is an answer, and tells whether it failed
// in an outage.
func (p *pace) learn(s *Slot, err *Error) bool {
	fresh := s.era == p.era
	switch presenceIn(err) {
	case away:
		return p.miss(err, fresh, s.suspect)
	case there:
		p.meet(err, fresh)
	}
	return false
}

// miss takes in a call that found nobody. The one that makes the outage shuts
// the limiter, and so does each that was let out since the last shut. A suspect
// makes none, but it goes on with one.
func (p *pace) miss(err *Error, fresh, suspect bool) bool {
	was := p.outage.on()
	p.learned.rest(p.now())
	if was || !suspect {
		p.outage.count(p.limit)
	}
	is := p.outage.on()
	if err.Kind == Overloaded {
		p.obey(err)
		if fresh && !is {
			p.cut()
		}
	}
	if is && (fresh || !was) {
		p.era++
		p.outage.shut(p.now(), p.rand)
	}
	return is
}

// meet takes in a call that found the provider there. The call that ends an
// outage does not change the limit with which it ends.
func (p *pace) meet(err *Error, fresh bool) {
	if fresh {
		p.met = p.now()
	}
	over := p.resume()
	switch {
	case err != nil && err.Kind == RateLimited:
		p.refuse(err, fresh, over)
	case fresh:
		p.strikes, p.probed = 0, time.Time{}
		if err == nil && !over {
			p.raise()
		}
	}
}

// refuse takes in a rate limit. Where a learned rate held the calls back it was
// the rate that was too high, not the number of calls in flight.
func (p *pace) refuse(err *Error, fresh, over bool) {
	p.rest(err, fresh)
	switch {
	case !fresh:
		p.learned.refusedToo()
		return
	case over || p.learned.holding:
		p.era++
		p.slow = false
	default:
		p.cut()
	}
	p.learned.refused(p.now())
}

// resume ends the run of failures, and tells whether it was an outage. From an
// outage the limit returns at half of what it was before the first failure: at
// full strength those who waited could bring the provider down again.
func (p *pace) resume() bool {
	over := p.outage.on()
	if over {
		p.limit = max(1, p.outage.before/2)
	}
	p.outage = outage{}
	return over
}

func (p *pace) cut() {
	p.era++
	p.slow = false
	p.limit = max(1, p.limit/2)
}

// rest shuts the limiter after a rate limit. Without a Retry-After that is no less
// than the learned rate's time for a call: sooner there is nothing to be had. One
// that proved too short three times in a row counts as none.
func (p *pace) rest(err *Error, fresh bool) {
	if fresh {
		p.strikes++
	}
	if fresh && (err.After == 0 || p.strikes > 2) {
		wait := max(backoff(p.strikes), min(p.learned.apart(), backoffMax))
		p.shutFor(jittered(wait, p.rand))
	}
	p.obey(err)
}

// obey shuts the limiter for as long as the upstream asked.
func (p *pace) obey(err *Error) {
	if err.After > 0 {
		p.shutFor(min(err.After, afterMax))
	}
}

// shutFor keeps the longest wait that anybody asked for.
func (p *pace) shutFor(wait time.Duration) {
	if until := p.now().Add(wait); until.After(p.shut) {
		p.shut = until
	}
}

// opens is the time from which on calls may start: now, or later.
func (p *pace) opens(now time.Time) time.Time {
	if p.shut.After(now) {
		return p.shut
	}
	p.shut = time.Time{}
	p.learned.settle(now)
	if p.probed.After(now) {
		return p.probed
	}
	p.probed = time.Time{}
	return now
}
