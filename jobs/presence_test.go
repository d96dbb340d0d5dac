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
	mute  bool          // answers are lost
	step  time.Duration // of the clock
	beats map[string]time.Time
	lives map[string]int64
	life  int64
	took  []string // who took over
}

func newFleet() *fleet { return &fleet{beats: map[string]time.Time{}, lives: map[string]int64{}} }

func (f *fleet) clock() time.Time { return time.Now().Add(f.step) }

func (f *fleet) Beat(_ context.Context, owner string) (Heard, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return Heard{}, errors.New("the database is away")
	}
	if _, known := f.beats[owner]; !known {
		f.life++
		f.lives[owner] = f.life
	}
	f.beats[owner] = f.clock()
	if f.mute {
		return Heard{}, errors.New("the answer is lost")
	}
	return Heard{f.lives[owner], At(f.beats[owner])}, nil
}

func (f *fleet) TakeOver(_ context.Context, owner string) (found bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return false, errors.New("the database is away")
	}
	if own, known := f.beats[owner]; !known || f.clock().Sub(own) > BeatGap || own.After(f.clock()) {
		return false, nil
	}
	for other, at := range f.beats {
		if silent := f.clock().Sub(at); other != owner && (silent > BeatLease || silent < -BeatLease) {
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
		time.Sleep(BeatLease - beatEvery)
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
		time.Sleep(BeatLease - time.Second)
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

// However many answers are lost, it hears of it in the end.
func TestATakenOverProcessIsToldThoughAnswersAreLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, lost := newFleet(), &atomic.Int32{}
		_, end := f.joins(t, "a", lost)
		defer end()
		time.Sleep(10 * time.Second)
		f.mu.Lock()
		delete(f.beats, "a")
		f.mute = true
		f.mu.Unlock()
		time.Sleep(5 * time.Second)
		require.Zero(t, lost.Load())
		f.mu.Lock()
		f.mute = false
		f.mu.Unlock()
		time.Sleep(5 * time.Second)
		require.EqualValues(t, 1, lost.Load())
	})
}

// A clock of the database that is set forward or back makes nobody take over from anybody; and the dead are still found.
func TestAJumpOfTheClockTakesNothingOver(t *testing.T) {
	t.Parallel()
	for _, step := range []time.Duration{time.Hour, -time.Hour, 20 * time.Second, -20 * time.Second} {
		for apart := range 3 {
			synctest.Test(t, func(t *testing.T) {
				f, lost := newFleet(), &atomic.Int32{}
				_, endA := f.joins(t, "a", lost)
				defer endA()
				time.Sleep(time.Duration(apart)*time.Second + 300*time.Millisecond)
				_, endB := f.joins(t, "b", lost)
				defer endB()
				_, kill := f.joins(t, "dead", lost)
				time.Sleep(time.Minute)
				f.mu.Lock()
				f.step = step
				f.mu.Unlock()
				time.Sleep(time.Minute)
				require.Empty(t, f.taken())
				kill()
				time.Sleep(time.Minute)
				require.Len(t, f.taken(), 1)
				require.Zero(t, lost.Load())
			})
		}
	}
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
