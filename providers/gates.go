package providers

import "time"

// free reports whether a call may start now, and if not, what is in the way
// longest. The clock is read only where time matters.
func (l *Limiter) free() (bool, string) {
	if reason, until := l.timed(); !until.IsZero() {
		return false, reason
	}
	full, reason := l.full()
	return !full, reason
}

// full reports whether only the end of a call lets the next one start. In an
// outage that is the probe's end: calls from before it may hang for long.
func (l *Limiter) full() (bool, string) {
	switch outage := &l.pace.outage; {
	case outage.on() && outage.probe != nil:
		return true, ProviderDown
	case !outage.on() && l.inFlight >= l.slots():
		return true, AllSlotsTaken
	}
	return false, ""
}

// slots is how many calls may be in flight, outside of an outage.
func (l *Limiter) slots() int {
	if l.link == nil {
		return l.pace.slots()
	}
	return min(l.pace.slots(), l.link.slots)
}

// opening is when time alone would let a call start: now, or later.
func (l *Limiter) opening() time.Time {
	if _, until := l.timed(); !until.IsZero() {
		return until
	}
	return l.now()
}

// timed finds the latest of the times before which no call may start; zero if
// there is none ahead.
func (l *Limiter) timed() (reason string, until time.Time) {
	if l.pace.open() && l.requests == nil && l.tokens == nil {
		return "", time.Time{}
	}
	now := l.now()
	latest := now
	for _, gate := range [...]struct {
		reason string
		opens  time.Time
	}{
		{ShutByProvider, l.pace.opens(now)},
		{LearnedRate, l.pace.learned.opens(now)}, // after the line above, which may learn
		{ProviderDown, l.pace.outage.opens(now)},
		{RequestsPerMinute, l.requests.opens(now)},
		{TokensPerMinute, l.tokens.opens(now)},
	} {
		if gate.opens.After(latest) {
			reason, latest = gate.reason, gate.opens
		}
	}
	if latest.Equal(now) {
		return "", time.Time{}
	}
	return reason, latest
}
