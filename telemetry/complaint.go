package telemetry

import (
	"log/slog"
	"sync"
	"time"
)

// complainEvery is how often a failing export is told.
const complainEvery = time.Minute

// complaint tells the log that spans are lost: at once, and then once a minute with what has been lost since.
type complaint struct {
	log *slog.Logger

	mu   sync.Mutex
	last time.Time
	lost int
}

func (c *complaint) make(spans int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost += spans
	if !c.last.IsZero() && time.Since(c.last) < complainEvery {
		return
	}
	c.log.Warn("spans could not be exported; check telemetry.otlp_endpoint and its collector (told once a minute at most)", "lost", c.lost, "err", err)
	c.last, c.lost = time.Now(), 0
}
