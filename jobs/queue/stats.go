package queue

import "sync/atomic"

// Stats counts, since Open, what did not go the straight way in one lane.
type Stats struct {
	Dropped   int64 // IDs that Wake or its enqueue dropped: full window, Redis away
	Malformed int64 // tasks whose payload could not be read
	Panics    int64 // panics of Work
}

type counters struct{ dropped, malformed, panics atomic.Int64 }

// Stats returns a lane's counts; zeros for a lane that does not exist.
func (q *Queue) Stats(lane string) Stats {
	l := q.lanes[lane]
	if l == nil {
		return Stats{}
	}
	return Stats{
		Dropped:   l.count.dropped.Load(),
		Malformed: l.count.malformed.Load(),
		Panics:    l.count.panics.Load(),
	}
}
