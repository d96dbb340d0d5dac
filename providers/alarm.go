package providers

import "time"

// alarm calls a function at the time last set. Its owner's lock guards it; the
// function runs without it. It is stopped whenever nobody waits, so that an idle
// limiter holds no timer.
type alarm struct {
	timer *time.Timer
	at    time.Time // zero: not set
}

func (a *alarm) set(at, now time.Time, ring func()) {
	if a.at.Equal(at) {
		return
	}
	a.at = at
	if a.timer == nil {
		a.timer = time.AfterFunc(at.Sub(now), ring)
		return
	}
	a.timer.Reset(at.Sub(now))
}

func (a *alarm) stop() {
	if !a.at.IsZero() {
		a.timer.Stop()
		a.at = time.Time{}
	}
}
