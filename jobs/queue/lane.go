package queue

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// Lane is one kind of work with workers of its own, so that a slow lane never holds another.
type Lane struct {
	// Name is the Asynq queue: "jobs", "shards", "deliveries".
	Name string
	// Workers is how many tasks this process handles at once. Default 1.
	Workers int
	// Group is the most IDs in one task. Default 1.
	Group int
	// Due takes up to n due rows, moves their wake time on in the same statement, and returns their IDs. None is no
	// error. Nil: this process does not sweep the lane.
	Due func(ctx context.Context, n int) ([]string, error)
	// Work looks at the rows of one task and returns when done. Its panics are recovered and logged. ctx ends when the
	// queue stops, and at no other time: neither a lost Redis nor a task's age ends it. Nil: this process only wakes others.
	Work func(ctx context.Context, ids []string)
}

// lane is a Lane at run time.
type lane struct {
	Lane
	q       *Queue
	log     *slog.Logger
	bell    chan struct{} // a task came: ask again
	slots   chan struct{} // one for each running Work
	settled int           // slots that Run took at the end

	mu      sync.Mutex
	offered []string      // woken, not yet enqueued
	offers  chan struct{} // offered is not empty

	room     sync.Mutex
	reserved int // tasks that found room and are not all enqueued yet

	backlog atomic.Bool   // the last sweep left due rows behind
	hungry  chan struct{} // the lane ran empty while there is a backlog

	count    counters
	warnings rate.Sometimes
}

func newLane(l Lane, q *Queue) *lane {
	l.Workers, l.Group = max(l.Workers, 1), max(l.Group, 1)
	return &lane{
		Lane:     l,
		q:        q,
		log:      q.log.With("lane", l.Name),
		bell:     make(chan struct{}, 1),
		slots:    make(chan struct{}, l.Workers),
		offers:   make(chan struct{}, 1),
		hungry:   make(chan struct{}, 1),
		warnings: rate.Sometimes{Interval: quietFor},
	}
}

// pendingKey is Asynq's list of waiting tasks (its internal/base.PendingKey).
func (l *lane) pendingKey() string { return "asynq:{" + l.Name + "}:pending" }

// warn logs at most once in quietFor.
func (l *lane) warn(msg string, err error) {
	l.warnings.Do(func() { l.log.Warn(msg, "error", err) })
}

// signal fills a channel of one place; a signal that nobody has read yet stands for all later ones.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
