package jobs

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Beats is what a Presence asks of the store.
type Beats interface {
	// Beat says that a process lives, by the store's clock.
	Beat(ctx context.Context, owner string) (Heard, error)
	// TakeOver frees the claims of other processes that have not been heard of for a lease, and tells whether there were any.
	TakeOver(ctx context.Context, owner string) (found bool, err error)
}

// Heard is what a process hears when it beats.
type Heard struct {
	Life int64 // another one than before: it was taken for dead meanwhile, and its claims have gone to others
	At   Time  // the store's clock
}

// The times of a fleet's life. A claim is held for a lease by the store's clock. What follows from a pause of the
// database: who could beat first after it sees the others' beats as old as the pause and a beat. So nobody takes over who
// has not beaten without such a gap for a whole lease; nor where the store's clock has jumped.
const (
	BeatLease = 15 * time.Second
	BeatGap   = 7500 * time.Millisecond

	beatEvery  = 3 * time.Second
	beatAgain  = time.Second      // after one that failed
	beatLapse  = 10 * time.Second // without a beat, a process begins nothing more
	lookAround = time.Second
)

// PresenceOptions are the parts a Presence works with.
type PresenceOptions struct {
	Beats Beats
	Owner string
	// Lost is told that this process was taken for dead: what it has in hand is others' by now.
	Lost func()
	// Took is told that claims of dead processes have been freed.
	Took func()
	Log  *slog.Logger
}

// Presence keeps a process known among others that work on the same rows, and takes over from those that have died.
//
// A process that could not say that it lives begins no more calls, and lets those in flight end: they are paid for, and an
// outcome counts as long as nobody has taken the row over. So a database that is away for a while repeats nothing.
type Presence struct {
	PresenceOptions
	mu    sync.Mutex
	last  time.Time // of the last beat
	heard Heard     // by it
	since time.Time // beats have come without a gap
}

// NewPresence makes one; Begin must be called before this process claims anything.
func NewPresence(o PresenceOptions) *Presence { return &Presence{PresenceOptions: o} }

// Begin makes this process known.
func (p *Presence) Begin(ctx context.Context) error {
	heard, err := p.Beats.Beat(ctx, p.Owner)
	if err == nil {
		p.note(time.Now(), heard)
	}
	return err
}

// Run beats and takes over until ctx ends.
func (p *Presence) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	loops.Go(func() { p.beat(ctx) })
	loops.Go(func() { p.look(ctx) })
	loops.Wait()
	return ctx.Err()
}

// Lapsed tells whether this process may have been taken for dead: it shall begin nothing now. A nil Presence is alone, and
// never lapses. The wall clock counts too: while a machine is suspended the other one stands.
func (p *Presence) Lapsed() bool { return p.Age() > beatLapse }

// Age is how long ago this process could last say that it lives; zero where it is alone.
func (p *Presence) Age() time.Duration {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return apart(p.last, time.Now())
}

// apart is how long it is from one instant to another, by the clock that says it is longer.
func apart(from, to time.Time) time.Duration {
	return max(to.Sub(from), to.Round(0).Sub(from.Round(0)))
}

func (p *Presence) note(now time.Time, heard Heard) {
	p.mu.Lock()
	defer p.mu.Unlock()
	moved := heard.At.Time().Sub(p.heard.At.Time())
	if p.last.IsZero() || apart(p.last, now) > BeatGap || moved < 0 || moved > BeatGap {
		p.since = now
	}
	p.last, p.heard = now, heard
}

// died tells whether this process was taken for dead since its last beat.
func (p *Presence) died(heard Heard) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return heard.Life != p.heard.Life
}

// stands tells whether this process may take over.
func (p *Presence) stands(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return apart(p.last, now) <= BeatGap && now.Sub(p.since) >= BeatLease
}

func (p *Presence) beat(ctx context.Context) {
	pause := beatEvery // Begin has beaten
	for wait(ctx, pause) {
		asked := time.Now() // a beat that took long counts from its beginning
		heard, err := p.Beats.Beat(ctx, p.Owner)
		if err != nil {
			pause = beatAgain
			p.Log.Warn("no heartbeat: after a while nothing new is begun here, and others take over", "err", err)
			continue
		}
		pause = beatEvery
		if p.died(heard) { // before it counts as heard of: until then nothing new begins
			p.Log.Warn("this process was taken for dead, and its work has gone to others; it goes on with new work")
			p.Lost()
		}
		p.note(asked, heard)
	}
}

func (p *Presence) look(ctx context.Context) {
	for wait(ctx, lookAround) {
		if !p.stands(time.Now()) {
			continue
		}
		found, err := p.Beats.TakeOver(ctx, p.Owner)
		switch {
		case err != nil && ctx.Err() == nil:
			p.Log.Warn("cannot look for processes that have died; trying again", "err", err)
		case found:
			p.Log.Warn("a process has died or is not heard of: what it had in hand is due again")
			p.Took()
		}
	}
}

// wait rests, and tells whether ctx still stands.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
