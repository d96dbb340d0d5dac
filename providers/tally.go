package providers

import "time"

// tally counts what happens, and knows about how often it did in the last second.
type tally struct {
	since  time.Time // a second ago, or longer; zero: nothing was counted yet
	n      float64   // from then on
	before float64   // a second, until then
}

// add counts one.
func (t *tally) add(now time.Time) {
	if past := now.Sub(t.since); past >= time.Second {
		t.before = 0
		if !t.since.IsZero() {
			t.before = t.n / past.Seconds()
		}
		t.since, t.n = now, 0
	}
	t.n++
}

// known reports whether things were counted for a second or longer.
func (t *tally) known(now time.Time) bool {
	return t.before > 0 || !t.since.IsZero() && now.Sub(t.since) >= time.Second
}

// rate is how many a second it were lately.
func (t *tally) rate(now time.Time) float64 {
	past := now.Sub(t.since).Seconds()
	if past >= 1 {
		return t.n / past
	}
	return t.n + t.before*(1-past)
}
