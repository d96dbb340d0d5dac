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

// newsChannel carries the IDs of rows that have changed, for who watches them in another process.
const newsChannel = "ringback:news"

// newsMost bounds the news that wait to be published; what is beyond is dropped: who watches looks by himself as well.
const newsMost = 1024

// Tell says to all other processes that a row has changed; see Options.Heard. It never blocks, and what it says may be lost.
func (q *Queue) Tell(id string) {
	if q.memory != nil {
		return
	}
	select {
	case q.news <- id:
	default:
	}
}

// publish sends the news until ctx ends.
func (q *Queue) publish(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-q.news:
			if err := q.redis.Publish(ctx, newsChannel, id).Err(); err != nil && ctx.Err() == nil {
				q.warnings.Do(func() { q.log.Warn("queue: other processes hear late of what has changed", "error", err) })
			}
		}
	}
}

// listen rings this process's lanes when another process publishes, and passes its news on, until ctx ends. The client
// reconnects by itself.
func (q *Queue) listen(ctx context.Context) {
	sub := q.redis.Subscribe(ctx, ringChannel, newsChannel)
	defer func() { _ = sub.Close() }() // it only says that it was closed before
	rings := sub.Channel(redis.WithChannelSize(newsMost))
	for {
		select {
		case <-ctx.Done():
			return
		case m, ok := <-rings:
			if !ok {
				return
			}
			q.heard(m)
		}
	}
}

func (q *Queue) heard(m *redis.Message) {
	if m.Channel == newsChannel {
		if q.opt.Heard != nil {
			q.opt.Heard(m.Payload)
		}
		return
	}
	if l := q.lanes[m.Payload]; l != nil {
		signal(l.bell)
	}
}
