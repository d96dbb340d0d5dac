package providers

import "time"

// A limiter starts with few calls in flight, so that an upstream's burst is not
// overrun by many, and reaches 32 after 56 answers, or 6 s without a refusal.
const (
	startLimit = 4
	startStep  = 0.5
	ripeAfter  = time.Second
	ripeFactor = 1.5
)

// raise lets the limit grow after an answer: from the start by half a call, until
// something is refused, then by one call for each flight.
func (p *pace) raise() {
	if p.slow {
		p.start(p.limit + startStep)
		return
	}
	p.limit = min(p.ceiling, p.limit+1/p.limit)
}

func (p *pace) start(limit float64) {
	p.limit = min(p.ceiling, limit)
	p.slow = p.limit < p.ceiling
}

// ripens reports whether time alone can raise the limit: at the start, where calls
// take long. Upstreams refuse at once: calls that are out for a second are taken.
func (p *pace) ripens() bool { return p.slow && !p.outage.on() }

// ripe is when the last call will have been out for long enough.
func (p *pace) ripe(now time.Time) time.Time {
	if p.ripeAt.IsZero() {
		p.ripeAt = now.Add(ripeAfter)
	}
	return p.ripeAt
}

// ripen raises the limit when that time has come.
func (p *pace) ripen(now time.Time) {
	if p.ripens() && !p.ripeAt.IsZero() && !p.ripeAt.After(now) {
		p.start(p.limit * ripeFactor)
		p.ripeAt = time.Time{}
	}
}
