package providers

import "time"

// pace learns from each call how many may be in flight and whether any may start.
type pace struct {
	now  func() time.Time
	rand func() float64

	ceiling float64
	limit   float64
	// era counts the cuts, and the shuts of an outage. A call that began in an
	// earlier era says nothing new: its failure is what the cut was for, and its
	// success was before it.
	era     uint64
	strikes int       // rate limits without an answer in between
	shut    time.Time // nothing starts before; zero: never shut
	outage  outage
}

func newPace(concurrency int, now func() time.Time, rand func() float64) pace {
	return pace{now: now, rand: rand, ceiling: float64(concurrency), limit: float64(concurrency)}
}

// slots is how many calls may be in flight, at least 1.
func (p *pace) slots() int {
	if p.outage.on() {
		return 1
	}
	return int(p.limit)
}

// learn takes in how a call of that era ended, nil is an answer, and tells
// whether it failed in an outage.
func (p *pace) learn(era uint64, err *Error) bool {
	fresh := era == p.era
	switch presenceIn(err) {
	case away:
		return p.miss(err, fresh)
	case there:
		p.meet(err, fresh)
	}
	return false
}

// miss takes in a call that found nobody. The one that makes the outage shuts
// the limiter, and so does each that was let out since the last shut.
func (p *pace) miss(err *Error, fresh bool) bool {
	was := p.outage.on()
	p.outage.count(p.limit)
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
	over := p.resume()
	switch {
	case err == nil && fresh:
		p.strikes = 0
		if !over {
			p.limit = min(p.ceiling, p.limit+1/p.limit)
		}
	case err != nil && err.Kind == RateLimited:
		p.rest(err, fresh)
		if fresh && !over {
			p.cut()
		}
	}
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
	p.limit = max(1, p.limit/2)
}

// rest shuts the limiter after a rate limit.
func (p *pace) rest(err *Error, fresh bool) {
	if fresh {
		p.strikes++
	}
	if err.After == 0 && fresh {
		p.shutFor(jittered(backoff(p.strikes), p.rand))
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
	return now
}
