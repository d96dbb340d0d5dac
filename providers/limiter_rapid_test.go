package providers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Whatever callers do, no more calls run than the limit allows, every slot comes
// back, and nothing is kept for those who left.
func TestNoSlotIsEverLost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c := Config{Concurrency: rapid.IntRange(1, 4).Draw(rt, "concurrency")}
		if rapid.Bool().Draw(rt, "bounded") {
			c.RequestsPerMinute, c.TokensPerMinute = 600_000, 60_000_000
		}
		l := testLimiter(t, c, 0)
		seed := rapid.Uint64().Draw(rt, "seed")
		var running, most atomic.Int32
		var callers sync.WaitGroup
		for i := range rapid.IntRange(1, 40).Draw(rt, "callers") {
			callers.Go(func() {
				dice := rand.New(rand.NewPCG(seed, uint64(i)))
				for range 5 {
					call(t.Context(), l, dice, &running, &most)
				}
			})
		}
		callers.Wait()
		state := l.State()
		require.LessOrEqual(rt, int(most.Load()), c.Concurrency)
		require.Zero(rt, state.InFlight)
		require.Zero(rt, state.Waiting)
		require.Empty(rt, l.line.byName)
		require.Zero(rt, l.line.projects.Len())
		require.True(rt, l.alarm.at.IsZero())
	})
}

// call acquires with little patience or a context that ends soon, and may fail
// in a way that shuts the limiter for a moment.
func call(ctx context.Context, l *Limiter, dice *rand.Rand, running, most *atomic.Int32) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(dice.IntN(300))*time.Microsecond)
	defer cancel()
	turn := Turn{Project: fmt.Sprint(dice.IntN(3)), Job: fmt.Sprint(dice.IntN(3)), Priority: dice.IntN(3)}
	slot, err := l.Acquire(ctx, turn, time.Duration(dice.IntN(300))*time.Microsecond)
	if err != nil {
		return
	}
	now := running.Add(1)
	for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
	}
	running.Add(-1)
	var failure *Error
	switch dice.IntN(8) {
	case 0:
		failure = missed(Connection)
	case 1, 2:
		failure = limited(time.Duration(1+dice.IntN(100)) * time.Microsecond)
	}
	slot.Release(failure, Usage{TotalTokens: int64(dice.IntN(1000))})
}

// The line against a plain model: nobody is lost, and no project is served twice
// while another one that waited all the time is served not at all.
func TestLineIsFair(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		l := newLine()
		var waiting []*waiter
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"join", "join", "leave", "next"}).Draw(rt, "step") {
			case "join":
				name := rapid.SampledFrom([]string{"a", "b", "c"})
				turn := Turn{Project: name.Draw(rt, "project"), Job: name.Draw(rt, "job"), Priority: rapid.IntRange(-1, 2).Draw(rt, "priority")}
				waiting = append(waiting, l.join(turn))
			case "leave":
				if len(waiting) > 0 {
					i := rapid.IntRange(0, len(waiting)-1).Draw(rt, "who")
					l.leave(waiting[i])
					waiting = append(waiting[:i:i], waiting[i+1:]...)
				}
			case "next":
				if len(waiting) > 0 {
					waiting = without(waiting, l.next())
				}
			}
			require.Equal(rt, len(waiting), l.waiting)
		}
		requireFair(rt, &l, waiting)
	})
}

func without(waiting []*waiter, gone *waiter) []*waiter {
	var rest []*waiter
	for _, w := range waiting {
		if w != gone {
			rest = append(rest, w)
		}
	}
	return rest
}

// requireFair empties the line: in each round every project that waits is served once.
func requireFair(rt *rapid.T, l *line, waiting []*waiter) {
	for len(waiting) > 0 {
		projects := make(map[string]bool)
		for _, w := range waiting {
			projects[w.job.project.name] = true
		}
		for range len(projects) {
			w := l.next()
			require.True(rt, projects[w.job.project.name], "served twice in one round")
			delete(projects, w.job.project.name)
			require.Same(rt, firstOf(waiting, w), w, "not in order within its job")
			requireHighest(rt, waiting, w)
			waiting = without(waiting, w)
		}
	}
	require.Zero(rt, l.waiting)
	require.Empty(rt, l.byName)
	require.Zero(rt, l.projects.Len())
}

// requireHighest finds nobody of the same project at a higher priority.
func requireHighest(rt *rapid.T, waiting []*waiter, served *waiter) {
	for _, w := range waiting {
		if w.job.project.name == served.job.project.name {
			require.LessOrEqual(rt, w.job.level.priority, served.job.level.priority)
		}
	}
}

// firstOf is who joined first of those in the same job of the same project, at the
// same priority.
func firstOf(waiting []*waiter, like *waiter) *waiter {
	for _, w := range waiting {
		if w.job.name == like.job.name && w.job.project.name == like.job.project.name && w.job.level.priority == like.job.level.priority {
			return w
		}
	}
	return nil
}
