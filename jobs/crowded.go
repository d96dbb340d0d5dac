package jobs

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/ringback/ringback/providers"
)

// In a fleet a process that cannot use more of a batch's shards leaves them to others: one that already holds some of it,
// whose lines wait for the limiter's slots, would only keep them. And a process that has given out a shard's last line looks
// for the next shard itself: the queue may offer it to those that have no room.
const (
	// fewShards of a batch are in hand whatever the limiter says: while one ends, the other fills its slots.
	fewShards = 2
	// A shard that was left twice is offered again after so long, and up to as much more.
	passFor = 300 * time.Millisecond
	// handOnAfter is when one that was left for the first time is offered again.
	handOnAfter = 40 * time.Millisecond
	// mostFollowing is how many shards of a batch a process takes one after the other without a word from the queue, where
	// higher priorities go first.
	mostFollowing = 8
	// freeLooked is at how many shards a process looks for one that no other takes at the same time.
	freeLooked = 8
)

// inHand counts the shards of which this process gives out lines, by batch.
type inHand struct {
	mu      sync.Mutex
	batches map[Ref]*batchInHand
}

type batchInHand struct {
	shards  int
	limiter *providers.Limiter // nil until a shard has found its provider
	left    map[Ref]bool       // shards that were left to others
}

// crowded tells whether another shard of the batch would only wait here. Before the limiter is known, few are enough.
func (b *batchInHand) crowded() bool {
	return b.shards >= fewShards && (b.limiter == nil || b.limiter.Waiting() > 0)
}

// take counts a shard in, unless it had better go to another process; leave gives it back.
func (h *inHand) take(batch Ref, fleet bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.batches[batch]
	if b == nil {
		b = &batchInHand{}
		h.batches[batch] = b
	}
	if fleet && b.crowded() {
		return false
	}
	b.shards++
	return true
}

// first notes that a shard was left, and tells whether it was for the first time. Its batch is in hand, or was just now.
func (h *inHand) first(shard Ref) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.batches[batchOf(shard)]
	if b == nil || b.left[shard] {
		return false
	}
	if b.left == nil {
		b.left = map[Ref]bool{}
	}
	b.left[shard] = true
	return true
}

func (h *inHand) leave(batch Ref) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.batches[batch]
	if b.shards--; b.shards == 0 {
		delete(h.batches, batch)
	}
}

// calls notes whom a batch's lines wait for.
func (h *inHand) calls(batch Ref, l *providers.Limiter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.batches[batch].limiter = l
}

// takeShards counts in those that this process shall claim, and has the rest offered again, to whoever has room: at once
// where they came here for the first time, since the queue gives much to who is quick, and else later.
func (r *Runner) takeShards(ctx context.Context, shards []Ref) (taken []Ref) {
	var fresh, left []Ref
	for _, s := range shards {
		switch {
		case r.inHand.take(batchOf(s), r.Presence != nil):
			taken = append(taken, s)
		case r.inHand.first(s):
			fresh = append(fresh, s)
		default:
			left = append(left, s)
		}
	}
	if len(fresh) > 0 {
		r.handOn(ctx, fresh)
	}
	if len(left) > 0 {
		wake := At(r.Now()).Add(passFor + rand.N(passFor))
		if err := r.Store.PassShards(ctx, left, wake); err != nil {
			r.Log.Warn("shards that others could work on are offered late", "shards", len(left), "err", err)
		}
	}
	return taken
}

// handOn offers shards again after a moment in which others come to the queue.
func (r *Runner) handOn(ctx context.Context, shards []Ref) {
	select {
	case <-ctx.Done():
	case <-time.After(handOnAfter):
		r.Waker.Wake(ctx, LaneShards, texts(shards)...)
	}
}

// follow takes another shard of a batch, if this process has room and one is free.
func (w *shardWork) follow(batch Ref, following int) {
	r := w.r
	if r.Presence == nil || following == 0 || r.resting() {
		return
	}
	free, err := r.Store.FreeShards(w.ctx, batch, At(r.Now()), freeLooked)
	if err != nil {
		r.Log.Warn("cannot look for a batch's next shard; the sweeper will offer it", "batch", batch.ID, "err", err)
		return
	}
	for _, i := range rand.Perm(len(free)) { // others look at the same time
		if !r.inHand.take(batch, true) || w.claim(free[i:i+1], following-1) > 0 {
			return
		}
	}
}

// batchOf is the batch that a shard's ID speaks of.
func batchOf(shard Ref) Ref {
	id, _, _ := strings.Cut(shard.ID, ":")
	return Ref{shard.ProjectID, id}
}
