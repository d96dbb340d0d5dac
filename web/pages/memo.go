package pages

import (
	"sync"
	"time"
)

// memo keeps answers for a moment, so that many open pages ask the store once.
type memo struct {
	mu   sync.Mutex
	kept map[string]*kept
}

type kept struct {
	mu    sync.Mutex
	until time.Time
	value any
}

// How long an answer is good enough: the pace of the streams, or longer where it took long to find, so that finding it again and
// again costs little of a core.
const (
	fresh     = 900 * time.Millisecond
	freshMost = 10 * time.Second
	thrift    = 200 // times as long as it took
)

// remember gives a key's answer, and asks for it where there is none that is fresh. Those who ask together wait for one.
func remember[T any](m *memo, key string, ask func() (T, error)) (T, error) {
	m.mu.Lock()
	if m.kept == nil {
		m.kept = map[string]*kept{}
	}
	k, ok := m.kept[key]
	if !ok {
		if len(m.kept) > 1000 {
			clear(m.kept)
		}
		k = &kept{}
		m.kept[key] = k
	}
	m.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Now().Before(k.until) {
		return k.value.(T), nil
	}
	began := time.Now()
	value, err := ask()
	if err == nil {
		now := time.Now()
		k.value, k.until = value, now.Add(min(max(fresh, thrift*now.Sub(began)), freshMost))
	}
	return value, err
}
