package queue

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// rows plays the table behind a lane: rows that wait, each with a wake time.
type rows struct {
	mu     sync.Mutex
	wakeAt map[string]time.Time
	offer  time.Duration // how far Due moves a wake time on
	seen   map[string]int
}

func newRows(n int, offer time.Duration) *rows {
	r := &rows{wakeAt: make(map[string]time.Time, n), offer: offer, seen: map[string]int{}}
	for i := range n {
		r.wakeAt[fmt.Sprintf("row_%05d", i)] = time.Time{}
	}
	return r
}

func (r *rows) due(_ context.Context, n int) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []string
	now := time.Now()
	for id, at := range r.wakeAt {
		if len(ids) == n {
			break
		}
		if !at.After(now) {
			ids = append(ids, id)
			r.wakeAt[id] = now.Add(r.offer)
		}
	}
	return ids, nil
}

func (r *rows) work(_ context.Context, ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		r.seen[id]++
		delete(r.wakeAt, id)
	}
}

// done counts the rows that were worked on.
func (r *rows) done() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seen)
}

func (r *rows) left() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.wakeAt)
}
