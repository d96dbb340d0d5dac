package callbacks

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

var errFull = errors.New("database or disk is full")

// rows keeps deliveries in memory by the Store's promises, and writes down what was recorded.
type rows struct {
	mu       sync.Mutex
	byRef    map[jobs.Ref]*Claimed
	recorded []Outcome
	asked    []int         // how many refs each claim named
	most     int           // deliveries that were claimed at the same time
	refusing int           // claims that fail from now on
	begun    int           // outcomes that writes were asked to keep
	sets     []int         // how many outcomes each write had
	failing  int           // writes that fail from now on
	poison   string        // ID of a delivery that no write may hold
	gate     chan struct{} // each write waits for one, if set
	wrote    chan struct{} // rung after each write, failed or not
}

func newRows(claims ...Claimed) *rows {
	r := &rows{byRef: map[jobs.Ref]*Claimed{}, wrote: make(chan struct{}, 1000)}
	for i := range claims {
		c := claims[i]
		c.State, c.Attempt, c.Claims, c.DueAt = Waiting, c.Attempt-1, c.Claims-1, 1
		r.byRef[c.Ref()] = &c
	}
	return r
}

func (r *rows) ClaimDeliveries(_ context.Context, owner string, refs []jobs.Ref, now jobs.Time) ([]Claimed, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, len(refs))
	if r.refusing > 0 {
		r.refusing--
		return nil, errFull
	}
	var got []Claimed
	for _, ref := range refs {
		if c := r.byRef[ref]; c != nil && c.State == Waiting && c.DueAt <= now {
			c.State, c.Owner, c.Attempt, c.Claims = Sending, owner, c.Attempt+1, c.Claims+1
			got = append(got, *c)
		}
	}
	r.most = max(r.most, r.count(Sending))
	return got, nil
}

func (r *rows) count(state State) (n int) {
	for _, c := range r.byRef {
		if c.State == state {
			n++
		}
	}
	return n
}

func (r *rows) RecordAttempts(ctx context.Context, outcomes []Outcome, now jobs.Time) (refused int, err error) {
	defer func() { r.wrote <- struct{}{} }()
	r.begin(len(outcomes))
	if r.gate != nil {
		<-r.gate
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failing > 0 {
		r.failing--
		return 0, errFull
	}
	for _, o := range outcomes {
		if o.Claimed.ID == r.poison {
			return 0, errFull
		}
	}
	r.sets = append(r.sets, len(outcomes))
	for _, o := range outcomes {
		c := r.byRef[o.Claimed.Ref()]
		if c.State != Sending || c.Attempt != o.Claimed.Attempt {
			refused++
			continue
		}
		c.State, c.Reason, c.Tries, c.Claims = o.Decision.State, o.Decision.Reason, c.Tries+1, 0
		c.Due(now.Add(o.Decision.Delay))
		r.recorded = append(r.recorded, o)
	}
	return refused, nil
}

func (r *rows) begin(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun += n
}

func (r *rows) asks() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.begun
}

func (r *rows) outcomes() []Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Outcome(nil), r.recorded...)
}

func (r *rows) row(ref jobs.Ref) Claimed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return *r.byRef[ref]
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// newSender makes a Sender whose recorder runs until the test ends, or stop is called.
func newSender(t *testing.T, store Store, p *Poster, policy Policy) (s *Sender, stop func()) {
	t.Helper()
	return startSender(t, SenderOptions{Store: store, Poster: p, Policy: policy, Owner: "me", Now: p.Now, Log: quiet()})
}

// startSender is newSender with options of the test's own.
func startSender(t *testing.T, o SenderOptions) (s *Sender, stop func()) {
	t.Helper()
	s = NewSender(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return s, stop
}

func idsOf(claims ...Claimed) []string {
	ids := make([]string, len(claims))
	for i := range claims {
		ids[i] = claims[i].Ref().String()
	}
	return ids
}
