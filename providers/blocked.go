package providers

import (
	"fmt"
	"time"
)

// When to ask again: shortly before the caller's turn would come, were the line to
// move on as it did. All come back in order, and not together. As long as nobody's
// turn came no pace is known; then it is the later the more wait for each slot.
const (
	comeBack      = time.Second
	comeBackEach  = 100 * time.Millisecond
	comeBackMax   = 10 * time.Second
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
	Limit    int // calls that may be in flight now: the configured number or fewer; 1 in an outage
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
	s := State{Limit: l.pace.slots(), InFlight: l.inFlight, Waiting: l.line.waiting}
	s.Reason, s.Until = l.blocked()
	return s
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
	switch {
	case free && l.line.waiting == 0:
		return "", time.Time{}
	case free:
		return OthersWait, time.Time{}
	}
	_, until := l.timed()
	return reason, until
}

// busy is the error for a caller that gets no slot.
func (l *Limiter) busy(turn Turn) *BusyError {
	reason, until := l.blocked()
	if now := l.now(); until.IsZero() || l.line.waiting > 0 {
		until = later(until, now.Add(l.comeBack(turn, now)))
	}
	return &BusyError{Until: until, Reason: reason}
}

func (l *Limiter) comeBack(turn Turn, now time.Time) time.Duration {
	if l.line.moved.since.IsZero() {
		each := time.Duration(l.line.waiting) * comeBackEach / time.Duration(l.pace.slots())
		return min(comeBack+each, comeBackMax)
	}
	seconds := float64(l.line.place(turn)) / l.line.moved.rate(now)
	wait := time.Duration(min(seconds, 2*comeBackMax.Seconds()) * 1e9)
	return min(max(wait-comeBackEarly, comeBackLeast), comeBackMax)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
