package queue

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// Stats counts, since Open, what did not go the straight way in one lane, and says how busy it is now.
type Stats struct {
	Dropped   int64 // IDs that Wake or its enqueue dropped: full window, Redis away
	Malformed int64 // tasks whose payload could not be read
	Panics    int64 // panics of Work

	Busy    int // workers of this process that are at work
	Workers int // workers of this process; none where it only wakes others
	Window  int // tasks that may wait, over all processes
}

type counters struct{ dropped, malformed, panics atomic.Int64 }

// Stats returns a lane's counts; zeros for a lane that does not exist.
func (q *Queue) Stats(lane string) Stats {
	l := q.lanes[lane]
	if l == nil {
		return Stats{}
	}
	s := Stats{
		Dropped:   l.count.dropped.Load(),
		Malformed: l.count.malformed.Load(),
		Panics:    l.count.panics.Load(),
		Window:    q.opt.Window,
	}
	if l.Work != nil {
		s.Busy, s.Workers = len(l.slots), l.Workers
	}
	return s
}

// Waiting counts the tasks that wait in each lane, over all processes. It asks Redis; ctx bounds it.
func (q *Queue) Waiting(ctx context.Context) (map[string]int64, error) {
	lengths := make(map[string]*redis.IntCmd, len(q.lanes))
	_, err := q.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for name, l := range q.lanes {
			lengths[name] = p.LLen(ctx, l.pendingKey())
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("queue: count waiting tasks: %w", err)
	}
	waiting := make(map[string]int64, len(lengths))
	for name, length := range lengths {
		waiting[name] = length.Val()
	}
	return waiting, nil
}
