package queue

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/hibiken/asynq"
)

// handler runs tasks under ctx, never under Asynq's own context: that one ends when a lease could not be renewed for
// 30 s (Redis away) or when somebody cancels a task from outside, and neither may end paid work. Asynq then also frees
// its worker, so the lane's slots, not Asynq's, bound how many run at once.
func (l *lane) handler(ctx context.Context) asynq.HandlerFunc {
	return func(_ context.Context, t *asynq.Task) error {
		ids, err := decode(t.Payload())
		if err != nil {
			l.count.malformed.Add(1)
			l.log.Warn("queue: malformed task dropped", "error", err, "bytes", len(t.Payload()))
			return nil
		}
		if l.acquire(ctx) {
			defer func() { <-l.slots }()
			l.work(ctx, ids)
		}
		return nil
	}
}

// acquire takes a slot, or says no when the queue stops: the rows come again.
func (l *lane) acquire(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case l.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *lane) work(ctx context.Context, ids []string) {
	defer func() {
		if p := recover(); p != nil {
			l.count.panics.Add(1)
			l.log.Error("queue: work panicked", "panic", fmt.Sprint(p), "ids", len(ids), "stack", string(debug.Stack()))
		}
	}()
	l.Work(ctx, ids)
}

// awaitWork returns when no Work runs, having taken all slots for good, or when ctx ends. Only Run calls it.
func (q *Queue) awaitWork(ctx context.Context) {
	for _, l := range q.lanes {
		l.settle(ctx)
	}
}

func (l *lane) settle(ctx context.Context) {
	for l.settled < cap(l.slots) && l.acquire(ctx) {
		l.settled++
	}
}
