package providers

import (
	"fmt"
	"time"
)

// When to ask again: shortly before the caller's turn would come, were the line to
// move on as it did. All come back in order, and not together. As long as nobody's
// turn came no pace is known; then it is the later the more wait for each slot.
// A slot must not lie idle for long where the line moves faster than it did, so
// nobody stays away for more than 10 s, unless more than 200 a second would come
// back only to be sent away, and then for a minute.
const (
	comeBack      = time.Second
	comeBackEach  = 100 * time.Millisecond
	comeBackMax   = 10 * time.Second
	comeBackLast  = time.Minute
	comeBackLoad  = 200 // a second
	comeBackLeast = 250 * time.Millisecond
	comeBackEarly = time.Second
)

// The reasons that [Limiter.Blocked] gives.
const (
	ShutByProvider    = "the provider asked to wait"
	ProviderDown      = "the provider is down"
	LearnedRate       = "the provider refuses more calls a second"
	RequestsPerMinute = "requests per minute are used up"
	TokensPerMinute   = "tokens per minute are used up"
	AllSlotsTaken     = "all slots are in use"
	OthersWait        = "others wait already"
)

// BusyError says that no slot came within the caller's patience.
type BusyError struct {
	// Until is the earliest time at which asking again makes sense.
	Until time.Time
	// Reason is the same as [Limiter.Blocked] gives.
	Reason string
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("no slot at the provider (%s); ask again at %s", e.Reason, e.Until.UTC().Format(time.RFC3339Nano))
}

// State is a limiter's state at one moment.
type State struct {
	// Limit is how many calls may be in flight here now: the configured number or fewer,
	// and no more than this process's share of it; 1 in an outage.
	Limit    int
	InFlight int
	Waiting  int
	// Reason says why the next caller would wait; empty if it would not.
	Reason string
	// Until is when that ends; zero where no time is known.
	Until time.Time
}

// State reads the limiter's state.
func (l *Limiter) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := State{Limit: l.limit(), InFlight: l.inFlight, Waiting: l.line.waiting}
	s.Reason, s.Until = l.blocked()
	return s
}

// limit is what may be in flight. An idle limiter has no share and gets one when asked.
func (l *Limiter) limit() int {
	if l.link == nil || !l.link.running || l.pace.outage.on() {
		return l.pace.slots()
	}
	return l.slots()
}

// Blocked says why the next caller would wait, and until when; the reason is
// empty if it would not, and the time zero where none is known.
func (l *Limiter) Blocked() (reason string, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.blocked()
}

func (l *Limiter) blocked() (string, time.Time) {
	free, reason := l.free()
	if reason == AllSlotsTaken && l.link != nil && l.link.grows() {
		free = true
	}
	switch {
	case free && l.line.waiting == 0:
		return "", time.Time{}
	case free:
		return OthersWait, time.Time{}
	}
	_, until := l.timed()
	return reason, until
}

// busy is the error for a caller that gets no slot, whose place is kept.
func (l *Limiter) busy(turn Turn) *BusyError {
	reason, until := l.blocked()
	if reason == "" {
		reason = AllSlotsTaken // the others were not asked yet
	}
	now := l.now()
	place := l.place(turn, now)
	if until.IsZero() || l.line.waiting > 0 || place > roomLeast {
		until = later(until, now.Add(l.comeBack(place, now)))
	}
	l.absent.send(turn, until)
	return &BusyError{Until: until, Reason: reason}
}

func (l *Limiter) comeBack(place int, now time.Time) time.Duration {
	wait := comeBack + time.Duration(max(l.line.waiting, place-1))*comeBackEach/time.Duration(max(1, l.slots()))
	if l.line.moved.known(now) {
		seconds := float64(place) / l.line.moved.rate(now)
		wait = max(time.Duration(min(seconds, 2*comeBackLast.Seconds())*1e9)-comeBackEarly, comeBackLeast)
	}
	longest := min(max(time.Duration(l.absent.n)*time.Second/comeBackLoad, comeBackMax), comeBackLast)
	if wait >= longest {
		return jittered(longest, l.pace.rand)
	}
	return wait
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
