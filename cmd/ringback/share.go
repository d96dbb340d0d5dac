package main

import (
	"context"

	"github.com/ringback/ringback/jobs/queue"
	"github.com/ringback/ringback/providers"
)

// sharing lets the limiters of package providers share their limits through the queue's Redis: neither package knows the
// other.
type sharing struct{ *queue.Sharer }

// Share implements providers.Sharer.
func (s sharing) Share(ctx context.Context, name string, ask providers.ShareAsk) (providers.Share, error) {
	share, err := s.Sharer.Share(ctx, name, queue.ShareAsk(ask))
	return providers.Share(share), err
}

// openSharer makes the providers' limits those of all processes of one Redis. The embedded queue has one process, and
// shares nothing.
func (a *app) openSharer(context.Context) (err error) {
	if a.cfg.Queue.Redis == "" {
		return nil
	}
	a.sharer, err = queue.OpenSharer(queue.SharerOptions{Redis: a.cfg.Queue.Redis.Reveal(), Process: a.owner})
	return err
}

// sharing is nil where nothing is shared.
func (a *app) sharing() providers.Sharer {
	if a.sharer == nil {
		return nil
	}
	return sharing{a.sharer}
}
