package providers

import (
	"math"
	"time"
)

// Who may wait. A caller that waits holds a worker up, which could make calls
// elsewhere: only those wait whose turn is near.
const (
	// roomMost is how many places there are at any pace at which they take longer
	// than roomQuick, and where no pace is known but that somebody waited in vain.
	roomMost = 256
	// roomLeast is how many there are however slow it goes: without somebody in the
	// line a slot that is given back lies idle until somebody asks.
	roomLeast = 8
	// roomSpare lets twice as many wait as are likely to have their turn: the pace is
	// known about, and slots that come back all at once want that many.
	roomSpare = 2
	// roomQuick is how long a worker may be held up for any other place.
	roomQuick = 250 * time.Millisecond
)

// The functions in this file need the limiter's lock.

// near reports whether the caller's turn would come within its patience, were it
// to wait, as the line moves. Those who were sent away before go first, as long as
// there are enough of them to keep a quarter of the line.
func (l *Limiter) near(turn Turn, patience time.Duration) bool {
	if l.line.waiting == 0 {
		if l.absent.n == 0 {
			l.line.moved, l.line.vain = tally{}, false // they are of another time
		}
		return true
	}
	now := l.now()
	room := l.room(now, patience)
	if l.line.place(turn) > room {
		return false
	}
	return l.absent.n == 0 || l.line.waiting < room/4 || l.rank(turn, now) <= room
}

// room is how many places of the line come to their turn within patience. The
// first callers find that out.
func (l *Limiter) room(now time.Time, patience time.Duration) int {
	switch known := l.line.moved.known(now); {
	case !known && l.line.vain:
		return roomMost
	case !known:
		return math.MaxInt
	}
	rate := l.line.moved.rate(now)
	within := min(roomSpare*rate*patience.Seconds(), roomMost)
	return int(max(within, rate*roomQuick.Seconds(), roomLeast))
}

// rank is about how many go before the caller of those who were sent away, and the
// caller itself. Projects and jobs take turns: all who are away go before a job's
// next call, when one of its calls is in the line.
func (l *Limiter) rank(turn Turn, now time.Time) int {
	rank := l.absent.rank(turn, now) + l.line.ofJob(turn)*l.absent.jobs(turn)
	return rank * max(1, len(l.line.byName))
}

// place is about where the caller stands among those in the line and those who
// were sent away. Who leaves the line goes by the latter alone: the others leave it
// too, or have their turn.
func (l *Limiter) place(turn Turn, now time.Time) int {
	if l.absent.n == 0 || l.absent.rank(turn, now) == 1 {
		return l.line.place(turn)
	}
	return l.rank(turn, now)
}

// arrived notes that a caller got its slot.
func (l *Limiter) arrived(turn Turn) {
	if l.absent.n > 0 {
		l.absent.served(turn)
	}
}
