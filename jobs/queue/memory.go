package queue

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// memory is a Redis inside this process without a port. It forgets everything at the end: the rows know.
type memory struct {
	server *miniredis.Miniredis
	mu     sync.Mutex
	closed bool
}

func newMemory() *memory { return &memory{server: miniredis.NewMiniRedis()} }

// dial connects to it. After close it refuses, since miniredis would start anew.
func (m *memory) dial(context.Context, string, string) (net.Conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, net.ErrClosed
	}
	return m.server.Dial()
}

// age lets keys expire until ctx ends: miniredis has no clock of its own, and its ClockTTL looks at every key at every
// command.
func (m *memory) age(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			m.server.FastForward(time.Second)
		}
	}
}

func (m *memory) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.server.Close()
}
