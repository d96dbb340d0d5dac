package metrics

import (
	"slices"
	"sync"
	"sync/atomic"
)

// children are a metric's series by what tells them apart, each made at its first use and found again without a lock. Keys
// are few and never a client's.
type children[K comparable, T any] struct {
	make  func(K) T
	known atomic.Pointer[[]child[K, T]]
	mu    sync.Mutex
}

type child[K comparable, T any] struct {
	key    K
	metric T
}

func newChildren[K comparable, T any](make func(K) T, first ...K) *children[K, T] {
	c := &children[K, T]{make: make}
	c.known.Store(&[]child[K, T]{})
	for _, key := range first {
		c.of(key)
	}
	return c
}

func (c *children[K, T]) of(key K) T {
	if metric, ok := find(*c.known.Load(), key); ok {
		return metric
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	known := *c.known.Load()
	if metric, ok := find(known, key); ok {
		return metric
	}
	metric := c.make(key)
	more := append(slices.Clone(known), child[K, T]{key, metric})
	c.known.Store(&more)
	return metric
}

func find[K comparable, T any](known []child[K, T], key K) (metric T, ok bool) {
	for i := range known {
		if known[i].key == key {
			return known[i].metric, true
		}
	}
	return metric, false
}
