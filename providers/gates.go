package providers

import "time"

// free reports whether a call may start now, and if not, what is in the way
// longest. The clock is read only where time matters.
func (l *Limiter) free() (bool, string) {
	if reason, until := l.timed(); !until.IsZero() {
		return false, reason
	}
	if l.inFlight >= l.pace.slots() {
		return false, AllSlotsTaken
	}
	return true, ""
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
	if l.pace.shut.IsZero() && l.requests == nil && l.tokens == nil {
		return "", time.Time{}
	}
	now := l.now()
	latest := now
	for _, gate := range [...]struct {
		reason string
		opens  time.Time
	}{
		{ShutByProvider, l.pace.opens(now)},
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
