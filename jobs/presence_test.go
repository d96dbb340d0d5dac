package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// fleet is a store's view of processes: who has beaten when, by one clock.
type fleet struct {
	mu    sync.Mutex
	away  bool
	beats map[string]time.Time
	took  []string // who took over
}

func newFleet() *fleet { return &fleet{beats: map[string]time.Time{}} }

func (f *fleet) Beat(_ context.Context, owner string) (known bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return false, errors.New("the database is away")
	}
	_, known = f.beats[owner]
	f.beats[owner] = time.Now()
	return known, nil
}

func (f *fleet) TakeOver(_ context.Context, owner string) (found bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return false, errors.New("the database is away")
	}
	for other, at := range f.beats {
		if other != owner && time.Since(at) > beatLease {
			delete(f.beats, other)
			f.took = append(f.took, owner+" from "+other)
			found = true
		}
	}
	return found, nil
}

func (f *fleet) leave(away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = away
}

func (f *fleet) taken() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.took...)
}

// joins runs a process's presence until the end is called.
func (f *fleet) joins(t *testing.T, owner string, lost *atomic.Int32) (p *Presence, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p = NewPresence(PresenceOptions{
		Beats: f, Owner: owner, Lost: func() { lost.Add(1) }, Took: func() {}, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, p.Begin(ctx))
	var ended sync.WaitGroup
	ended.Go(func() { _ = p.Run(ctx) })
	return p, func() { cancel(); ended.Wait() }
}

func TestADeadProcessIsTakenOverInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, lost := newFleet(), &atomic.Int32{}
		_, endLiving := f.joins(t, "living", lost)
		defer endLiving()
		time.Sleep(time.Minute)
		_, kill := f.joins(t, "dying", lost)
		time.Sleep(10 * time.Second)
		kill()
		time.Sleep(beatLease - beatEvery)
		require.Empty(t, f.taken(), "its lease still runs")
		time.Sleep(beatEvery + 2*lookAround)
		require.Equal(t, []string{"living from dying"}, f.taken())
		require.Zero(t, lost.Load())
	})
}

// A database that nobody reaches for a while makes nobody take over from anybody, however the beats happened to lie.
func TestAPauseOfTheDatabaseTakesNothingOver(t *testing.T) {
	t.Parallel()
	for _, pause := range []time.Duration{4 * time.Second, 8 * time.Second, 12 * time.Second, 15 * time.Second, 40 * time.Second} {
		for apart := range 3 { // seconds between the two processes' beats
			synctest.Test(t, func(t *testing.T) {
				f, lost := newFleet(), &atomic.Int32{}
				a, endA := f.joins(t, "a", lost)
				defer endA()
				time.Sleep(time.Duration(apart)*time.Second + 300*time.Millisecond)
				b, endB := f.joins(t, "b", lost)
				defer endB()
				time.Sleep(time.Minute)
				f.leave(true)
				time.Sleep(pause)
				if pause > beatLapse+beatEvery {
					require.True(t, a.Lapsed(), "nothing new begins")
					require.True(t, b.Lapsed())
				}
				f.leave(false)
				time.Sleep(time.Minute)
				require.Empty(t, f.taken())
				require.Zero(t, lost.Load())
				require.False(t, a.Lapsed())
				require.False(t, b.Lapsed())
			})
		}
	}
}

// A process that comes to life while the database has only just come back waits for the others as well.
func TestANewProcessWaitsBeforeItTakesOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, lost := newFleet(), &atomic.Int32{}
		f.beats["dead"] = time.Now().Add(-time.Hour)
		_, end := f.joins(t, "new", lost)
		defer end()
		time.Sleep(beatLease - time.Second)
		require.Empty(t, f.taken())
		time.Sleep(3 * time.Second)
		require.Equal(t, []string{"new from dead"}, f.taken())
	})
}

// A process that was frozen begins nothing before its next beat, and learns from that that its work is others'.
func TestAFrozenProcessIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, lost := newFleet(), &atomic.Int32{}
		p, end := f.joins(t, "frozen", lost)
		defer end()
		time.Sleep(10 * time.Second)
		p.mu.Lock() // as if it had slept for a minute
		p.last = p.last.Add(-time.Minute)
		p.mu.Unlock()
		require.True(t, p.Lapsed())
		f.mu.Lock()
		delete(f.beats, "frozen") // and others had taken over
		f.mu.Unlock()
		time.Sleep(beatEvery)
		require.EqualValues(t, 1, lost.Load())
		require.False(t, p.Lapsed())
	})
}

func TestAProcessAloneNeverLapses(t *testing.T) {
	t.Parallel()
	var alone *Presence
	require.False(t, alone.Lapsed())
}

// The wall clock counts while the other one stands (a suspended machine), and a jump of it backwards counts for nothing.
func TestApart(t *testing.T) {
	t.Parallel()
	now := time.Now()
	require.Equal(t, time.Second, apart(now, now.Add(time.Second)))
	require.Equal(t, time.Hour, apart(now, now.Round(0).Add(time.Hour)))
	require.LessOrEqual(t, apart(now, now.Round(0).Add(-time.Hour)), time.Duration(0))
}
