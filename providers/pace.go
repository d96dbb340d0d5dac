package providers

import "time"

// pace learns from each call how many may be in flight and whether any may start.
type pace struct {
	ceiling float64
	limit   float64
	// era counts the cuts. A call that began in an earlier era says nothing new:
	// its failure is what the cut was for, and its success was before it.
	era     uint64
	strikes int       // rate limits without an answer in between
	shut    time.Time // nothing starts before; zero: never shut
}

func newPace(concurrency int) pace {
	return pace{ceiling: float64(concurrency), limit: float64(concurrency)}
}

// slots is how many calls may be in flight, at least 1.
func (p *pace) slots() int { return int(p.limit) }

// learn takes in how a call of that era ended; nil is an answer.
func (p *pace) learn(era uint64, err *Error, now func() time.Time, rand func() float64) {
	switch {
	case err == nil:
		p.raise(era)
	case err.Kind == RateLimited, err.Kind == Overloaded:
		fresh := era == p.era
		if fresh {
			p.cut()
		}
		if wait := p.pause(err, fresh, rand); wait > 0 {
			p.shutFor(now().Add(wait))
		}
	}
}

func (p *pace) raise(era uint64) {
	if era == p.era {
		p.strikes = 0
		p.limit = min(p.ceiling, p.limit+1/p.limit)
	}
}

func (p *pace) cut() {
	p.era++
	p.limit = max(1, p.limit/2)
}

// pause is for how long err shuts the limiter; 0 is not at all.
func (p *pace) pause(err *Error, fresh bool, rand func() float64) time.Duration {
	limited := fresh && err.Kind == RateLimited
	if limited {
		p.strikes++
	}
	switch {
	case err.After > 0:
		return min(err.After, afterMax)
	case limited:
		wait := backoff(p.strikes)
		return wait + time.Duration(jitterShare*rand()*float64(wait))
	}
	return 0
}

// shutFor keeps the longest wait that anybody asked for.
func (p *pace) shutFor(until time.Time) {
	if until.After(p.shut) {
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
