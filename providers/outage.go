package providers

import "time"

// outageAfter is the number of failures in a row that make an outage.
const outageAfter = 5

// outage notices that a provider is down: so many calls in a row found nobody
// there. As long as it lasts, calls go out one at a time, each after a longer
// wait than the last.
type outage struct {
	run    int     // calls in a row that found nobody
	before float64 // the limit when that run began
	shuts  int     // since the outage began
	until  time.Time
	// probe is the call that is out to see whether the provider is back. Calls
	// from before the outage may hang for long: they are not in its way.
	probe *Slot
}

func (o *outage) on() bool { return o.run >= outageAfter }

// count takes in a call that found nobody, made under that limit.
func (o *outage) count(limit float64) {
	if o.run == 0 {
		o.before = limit
	}
	o.run++
}

// shut holds the next probe back, twice as long as the last one.
func (o *outage) shut(now time.Time, rand func() float64) {
	o.shuts++
	o.until = now.Add(jittered(backoff(o.shuts), rand))
	o.probe = nil
}

// opens is the time from which on a probe may start: now, or later.
func (o *outage) opens(now time.Time) time.Time {
	if o.until.After(now) {
		return o.until
	}
	o.until = time.Time{}
	return now
}

// began notes a call that starts.
func (o *outage) began(s *Slot) {
	if o.on() {
		o.probe = s
	}
}

// ended notes a call that is over, made or not.
func (o *outage) ended(s *Slot) {
	if o.probe == s {
		o.probe = nil
	}
}

// presence is what a call's end says about whether the provider is there.
type presence int

const (
	unknown presence = iota // the call was not made, or not waited for
	there
	away
)

// Away tells whether the call found nobody there, or nobody who answered: what an
// outage is made of.
func (e *Error) Away() bool { return presenceIn(e) == away }

// presenceIn judges by whether the upstream answered, whatever it said; a 5xx
// may come from a proxy in front of it and is no answer.
func presenceIn(err *Error) presence {
	if err == nil {
		return there
	}
	switch err.Kind {
	case Connection, Overloaded:
		return away
	case Timeout:
		if err.Status == 0 {
			return away
		}
		return there // 408: the upstream said so itself
	case Canceled, NoProvider:
		return unknown
	}
	return there
}
