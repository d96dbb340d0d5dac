package queue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hibiken/asynq"
)

// taskLimit stands where Asynq wants a limit: it ends nothing, since Work does not hear of a task's end.
const taskLimit = 24 * time.Hour

// offer keeps ids for the next enqueue, no more than a window can hold.
func (l *lane) offer(ids []string) {
	if len(ids) == 0 {
		return
	}
	l.mu.Lock()
	fit := min(len(ids), l.q.opt.Window*l.Group-len(l.offered))
	l.offered = append(l.offered, ids[:fit]...)
	l.mu.Unlock()
	l.drop(len(ids) - fit)
	signal(l.offers)
}

func (l *lane) takeOffers() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := l.offered
	l.offered = nil
	return ids
}

// dispatch enqueues what Wake offers until ctx ends.
func (l *lane) dispatch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.offers:
			l.dispatchOnce(ctx)
		}
	}
}

// dispatchOnce enqueues all offered IDs, or drops them: the sweeper comes.
func (l *lane) dispatchOnce(ctx context.Context) {
	ids := l.takeOffers()
	room, err := l.reserve(ctx, l.tasksFor(len(ids)))
	if err == nil {
		fit := min(len(ids), room*l.Group)
		l.drop(len(ids) - fit)
		ids = ids[:fit]
		err = l.enqueue(ctx, ids)
		l.release(room)
	}
	if err != nil && ctx.Err() == nil {
		l.drop(len(ids))
		l.warn("queue: wake-up dropped, the sweeper will find the rows", err)
	}
}

// drop counts IDs left to the sweeper, which then comes as soon as the lane ran empty.
func (l *lane) drop(n int) {
	if n > 0 {
		l.count.dropped.Add(int64(n))
		l.backlog.Store(true)
	}
}

func (l *lane) tasksFor(ids int) int { return (ids + l.Group - 1) / l.Group }

// reserve takes room for up to want tasks in the window and says how many it got; release gives the room back once the
// tasks count as pending themselves.
func (l *lane) reserve(ctx context.Context, want int) (int, error) {
	l.room.Lock()
	defer l.room.Unlock()
	pending, err := l.q.redis.LLen(ctx, l.pendingKey()).Result()
	if err != nil {
		return 0, fmt.Errorf("count waiting tasks: %w", err)
	}
	got := max(0, min(want, l.q.opt.Window-int(pending)-l.reserved))
	l.reserved += got
	return got, nil
}

func (l *lane) release(n int) {
	l.room.Lock()
	defer l.room.Unlock()
	l.reserved -= n
}

// enqueue puts ids into tasks and rings the lane. Retry lives in SQL alone, so a task has no ID of ours, no retry and
// no retention.
func (l *lane) enqueue(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	for group := range slices.Chunk(ids, l.Group) {
		task := asynq.NewTask(taskType, encode(group))
		_, err := l.q.tasks.EnqueueContext(ctx, task,
			asynq.Queue(l.Name), asynq.MaxRetry(0), asynq.Timeout(taskLimit), asynq.Retention(0))
		if err != nil {
			return fmt.Errorf("enqueue: %w", err)
		}
		signal(l.bell)
	}
	return l.q.ring(ctx, l.Name)
}
