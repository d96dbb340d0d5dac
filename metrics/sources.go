package metrics

import (
	"context"
	"time"
)

// Sources are asked at a scrape. Those with a context read the database or the queue: they have two seconds, side by side,
// and what they say stands for five, so that many scrapers cost no more than one. Any may be nil: its metrics are left out.
type Sources struct {
	Jobs      func(ctx context.Context) ([]Jobs, error)                   // that have not ended
	OldestDue func(ctx context.Context) (map[string]time.Duration, error) // by lane; a lane without due rows has zero
	ShutGates func(ctx context.Context) (int64, error)
	Waiting   func(ctx context.Context) (map[string]int64, error) // tasks in the queue, by lane

	Lanes     func() []Lane
	Providers func() []Provider
	Callbacks func() Callbacks
	Heartbeat func() time.Duration // since the last one; of a process among others
}

// Jobs says how many jobs of a kind are in a state.
type Jobs struct {
	Kind, Status string
	N            int64
}

// Lane is how one lane of the queue fares in this process.
type Lane struct {
	Name                       string
	Busy, Workers              int
	Window                     int   // tasks that may wait
	Dropped, Malformed, Panics int64 // since the start
}

// Provider is how one provider fares in this process.
type Provider struct {
	Name    string
	Calls   int // in flight
	Waiting int // callers that wait for the limiter
	Down    bool
}

// Callbacks is how the sender fares in this process.
type Callbacks struct {
	InHand, Room int // deliveries between claim and record; how many there may be
	Gates        int // that are remembered
}
