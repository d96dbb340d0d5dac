package providers

import (
	"context"
	"sync"
	"time"
)

// Sharer makes the limits of a provider and model those of all processes together. It is
// called about ten times a second for each limiter in use, half a second apart where
// nothing changes, and never for one that is idle; never twice at a time for the same name.
type Sharer interface {
	// Share tells the others what this process has and wants of the limiter name, and
	// answers what it may use until it asks again. An error changes nothing here; the ask
	// may all the same have been heard.
	Share(ctx context.Context, name string, ask ShareAsk) (Share, error)
}

// ShareAsk is what a process has and wants. All fields are totals or states and none is a
// step, so that an ask, or its answer, may be lost.
type ShareAsk struct {
	Limit int // calls in flight, of all processes together
	Held  int // calls that may be in flight here until the answer comes
	Want  int // calls that would be in flight here, were there slots for them
	Known int // processes at the last exchange, this one included; 0: none lately

	// Shut is for how long the provider has asked this process to wait, where the
	// others were not told yet. Down is for how long this one waits because it found
	// nobody there.
	Shut, Down time.Duration

	// Requests a second, of all processes together; 0: no limit. Of these units this
	// process has used so many in all, and wants so many for the next moment.
	RequestRate, RequestsUsed, RequestsNeed float64
	// The same for tokens. TokensLeast is what one call uses.
	TokenRate, TokensUsed, TokensNeed, TokensLeast float64
}

// Share is what a process may use.
type Share struct {
	// Slots is how many calls may be in flight here. Where that is less than there are,
	// none starts until enough have ended.
	Slots int
	Known int // processes that use the limiter, this one included
	// Shut is for how long no call may start, as any process was told by the provider.
	// Down is for how long another process waits because it found nobody there.
	Shut, Down time.Duration
	// The units that this process was ever given, and after which time more may come.
	RequestsGranted, TokensGranted float64
	RequestsIn, TokensIn           time.Duration
}

// sharing runs the exchanges of all limiters of a registry, one goroutine for each that
// is in use.
type sharing struct {
	sharer Sharer
	ctx    context.Context // ends with the registry
	end    context.CancelFunc

	mu    sync.Mutex
	ended bool
	loops sync.WaitGroup
}

// newSharing returns nil where nothing is shared.
func newSharing(s Sharer) *sharing {
	if s == nil {
		return nil
	}
	ctx, end := context.WithCancel(context.Background())
	return &sharing{sharer: s, ctx: ctx, end: end}
}

// start runs loop unless close was called.
func (s *sharing) start(loop func(context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.loops.Go(func() { loop(s.ctx) })
	}
	return !s.ended
}

// close gives everything back and waits for that.
func (s *sharing) close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.end()
	s.loops.Wait()
}
