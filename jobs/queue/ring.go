package queue

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// ringChannel carries the names of lanes that got a task from one process to all.
const ringChannel = "ringback:ring"

// ring tells the other processes that a lane got a task. A lost ring costs them parkFor, no more.
func (q *Queue) ring(ctx context.Context, lane string) error {
	if q.memory != nil {
		return nil
	}
	if err := q.redis.Publish(ctx, ringChannel, lane).Err(); err != nil {
		return fmt.Errorf("ring the other processes: %w", err)
	}
	return nil
}

// listen rings this process's lanes when another process publishes, until ctx ends. The client reconnects by itself.
func (q *Queue) listen(ctx context.Context) {
	sub := q.redis.Subscribe(ctx, ringChannel)
	defer func() { _ = sub.Close() }() // it only says that it was closed before
	rings := sub.Channel(redis.WithChannelSize(len(q.lanes) + 64))
	for {
		select {
		case <-ctx.Done():
			return
		case m, ok := <-rings:
			if !ok {
				return
			}
			if l := q.lanes[m.Payload]; l != nil {
				signal(l.bell)
			}
		}
	}
}
