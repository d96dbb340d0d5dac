package callbacks

import (
	"math/rand/v2"
	"time"

	"github.com/ringback/ringback/jobs"
)

// How a gate opens and shuts.
const (
	gateStart    = 4 // slots of a gate that has proved nothing yet
	gateFailures = 8 // failures in a row that shut it
	gatePause    = time.Second
	gateMost     = time.Minute // between two probes, at most
)

// gate is what the deliveries to one receiver pass through: its slots and its breaker. A registered endpoint has a gate
// of its own, and so has each host of a project's one-off callbacks. So a receiver that is dead or slow holds up nobody
// else's callbacks, and costs one probe from time to time.
//
// Slots grow by one with each success, from gateStart to the setting's most. A run of failures shuts the gate; then one
// delivery at a time probes it, with growing pauses, until one succeeds.
type gate struct {
	ref      jobs.Ref
	open     int // slots taken: attempts under way
	limit    int
	failures int  // in a row
	known    bool // this process has seen how its receiver answers
	proved   bool // the last that it has seen is that it works
	probing  bool // what is under way was claimed while it was shut
	more     bool // deliveries may be due that nobody has claimed
	asked    bool // it stands in the queue of gates to claim for

	shutAt time.Time     // zero: open
	openAt time.Time     // the next probe
	pause  time.Duration // the last one
}

// room is how many deliveries may be claimed now.
func (g *gate) room(now time.Time) int {
	switch {
	case g.shutAt.IsZero():
		return max(g.limit-g.open, 0)
	case g.rests(now):
		return 0
	}
	return max(1-g.open, 0)
}

// rests tells whether the pause until the next probe is under way. One that would last longer than pauses do is over:
// the clock was set back.
func (g *gate) rests(now time.Time) bool {
	left := g.openAt.Sub(now)
	return left > 0 && left <= 2*gateMost
}

// shut tells whether its breaker is open at all, probing or not.
func (g *gate) shut() bool { return !g.shutAt.IsZero() }

// doubted is how many slots it has while it has not proved to work.
func (g *gate) doubted() int {
	if g.proved {
		return 0
	}
	return g.open
}

// idle tells whether there is nothing to remember.
func (g *gate) idle() bool {
	return g.open == 0 && !g.more && !g.asked && !g.known
}

// verdict is what an attempt says about the receiver behind a gate.
type verdict int

const (
	neutral verdict = iota // nothing: it never got that far, or the fault was ours
	works
	fails
)

// judge reads an attempt. A registered endpoint answers for everything; the host of one-offs for its network alone, since
// a status is the doing of one URL among many.
func judge(d *Delivery, a *Attempt) verdict {
	switch a.ErrorClass {
	case ClassDNS, ClassConnect, ClassTLS, ClassTimeout, ClassReset, ClassInvalid:
		return fails
	case ClassBlocked, ClassSelf, ClassClosed, ClassSecret, ClassUnreadable, ClassClaims, ClassInternal, ClassLocal,
		ClassProxy, ClassInterrupted:
		return neutral
	}
	if a.accepted() || d.EndpointID == "" {
		return works
	}
	return fails
}

// note takes a verdict in. It tells whether the gate has been shut, kept shut or opened by it.
func (g *gate) note(v verdict, most int, now time.Time) (changed bool) {
	g.known = g.known || v != neutral
	g.proved = v == works || v == neutral && g.proved
	switch v {
	case works:
		changed = g.shut()
		if changed {
			g.limit = gateStart // what waited behind it does not come all at once
		}
		g.failures, g.shutAt, g.openAt, g.pause = 0, time.Time{}, time.Time{}, 0
		g.limit = min(g.limit+1, most)
		return changed
	case fails:
		g.failures++
		return g.fail(now)
	}
	return false
}

// fail shuts the gate after a run of failures, and lengthens the pause after a probe. What was begun before it was shut
// and fails later says nothing new.
func (g *gate) fail(now time.Time) (changed bool) {
	switch {
	case g.shut() && !g.probing, !g.shut() && g.failures < gateFailures:
		return false
	case g.shut():
		g.pause = min(2*g.pause, gateMost)
	default:
		g.shutAt, g.pause = now, gatePause
	}
	g.openAt = now.Add(g.pause + time.Duration(float64(g.pause)*rand.Float64()/10)) // not in step with other gates
	return true
}

// remember makes a gate that was shut before this process began wait for a probe.
func (g *gate) remember(shutAt jobs.Time, now time.Time) {
	if shutAt > 0 && !g.known && !g.shut() {
		g.shutAt, g.openAt, g.pause, g.failures, g.probing = shutAt.Time(), now, gatePause, gateFailures, true
	}
}
