package queue

import (
	"context"
	"fmt"
	"time"
)

// sweepRows is the most rows that one Due is asked for: the length of a page in the store.
const sweepRows = 1000

// sweep asks Due at once, then every interval until ctx ends, and whenever the lane ran empty while more was due. A lane
// in which nothing was due rests twice as long: an idle process costs next to nothing.
func (l *lane) sweep(ctx context.Context, every time.Duration) {
	for {
		rest := every
		if l.sweepAll(ctx) == 0 {
			rest *= 2
		}
		timer := time.NewTimer(rest)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-l.hungry:
			timer.Stop()
		}
	}
}

// sweepAll sweeps until a sweep comes back with less than it asked for, and says how many rows came. Errors are logged:
// the next sweep tries again.
func (l *lane) sweepAll(ctx context.Context) (rows int) {
	for ctx.Err() == nil {
		n, more, err := l.sweepOnce(ctx)
		rows += n
		if err != nil && ctx.Err() == nil {
			l.warn("queue: sweep failed, the next one tries again", err)
		}
		if err != nil || !more {
			break
		}
	}
	return rows
}

// sweepOnce takes due rows while the window has room and enqueues them. It says how many, and whether to sweep again at
// once. It asks for half a window at most, so that a wake-up finds room meanwhile.
func (l *lane) sweepOnce(ctx context.Context) (n int, more bool, err error) {
	want := min(max(1, l.q.opt.Window/2), l.tasksFor(sweepRows))
	room, err := l.reserve(ctx, want)
	if err != nil {
		return 0, false, err
	}
	defer l.release(room)
	if room == 0 {
		l.backlog.Store(true)
		return 0, false, nil
	}
	rows := min(room*l.Group, sweepRows)
	ids, err := l.due(ctx, rows)
	if err != nil {
		return 0, false, err
	}
	l.backlog.Store(len(ids) >= rows)
	return len(ids), len(ids) >= rows, l.enqueue(ctx, ids)
}

func (l *lane) due(ctx context.Context, n int) ([]string, error) {
	ids, err := l.Due(ctx, n)
	if err != nil {
		return nil, fmt.Errorf("take due rows: %w", err)
	}
	return ids, nil
}

// ranEmpty is told by the dequeue that found nothing.
func (l *lane) ranEmpty() {
	if l.Due != nil && l.backlog.Load() {
		signal(l.hungry)
	}
}
