package queue

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSweeperDeliversWithoutAnyWake(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, url string) {
		t.Parallel()
		table := newRows(3000, time.Minute)
		runQueue(t, Options{Redis: url, Lanes: []Lane{{Name: "jobs", Workers: 4, Group: 50, Due: table.due, Work: table.work}}})
		require.Eventually(t, func() bool { return table.left() == 0 }, patience, 5*time.Millisecond)
		table.mu.Lock()
		defer table.mu.Unlock()
		for id, n := range table.seen {
			require.Equal(t, 1, n, id)
		}
	})
}

// A backlog far beyond the window, one row a task: with a tick an hour away only the empty lane can ask for the rest.
func TestSweeperGoesOnWhenTheLaneRanEmpty(t *testing.T) {
	t.Parallel()
	table := newRows(500, time.Minute)
	q := openQueue(t, Options{Window: 16, Sweep: time.Hour, Lanes: []Lane{{Name: "jobs", Due: table.due, Work: table.work}}})
	l := q.lanes["jobs"]
	l.backlog.Store(true)
	l.ranEmpty()
	start(t, q)
	require.Eventually(t, func() bool { return table.left() == 0 }, patience, 5*time.Millisecond)
}

func TestSweepOnce(t *testing.T) {
	t.Parallel()
	broken := errors.New("database is away")
	for _, tc := range []struct {
		name       string
		window     int
		group      int
		waiting    int // tasks already there
		due        int // rows due
		err        error
		asked      int
		n          int
		more, back bool
	}{
		{name: "nothing due", window: 256, group: 100, asked: 1000},
		{name: "some due", window: 256, group: 100, due: 7, asked: 1000, n: 7},
		{name: "as many as asked for", window: 256, group: 100, due: 5000, asked: 1000, n: 1000, more: true, back: true},
		{name: "half the window at most", window: 8, group: 3, due: 100, asked: 12, n: 12, more: true, back: true},
		{name: "the room that is left", window: 8, group: 3, waiting: 6, due: 100, asked: 6, n: 6, more: true, back: true},
		{name: "no room", window: 8, group: 3, waiting: 8, due: 100, back: true},
		{name: "an error", window: 8, group: 3, err: broken, asked: 12},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			due := func(_ context.Context, n int) ([]string, error) {
				asked = n
				return slices.Repeat([]string{"row"}, min(n, tc.due)), tc.err
			}
			q := openQueue(t, Options{Window: tc.window, Lanes: []Lane{{Name: "jobs", Group: tc.group, Due: due}}})
			l := q.lanes["jobs"]
			require.NoError(t, l.enqueue(t.Context(), slices.Repeat([]string{"old"}, tc.waiting*tc.group)))
			n, more, err := l.sweepOnce(t.Context())
			require.ErrorIs(t, err, tc.err)
			require.Equal(t, []any{tc.asked, tc.n, tc.more, tc.back}, []any{asked, n, more, l.backlog.Load()})
			require.Zero(t, l.reserved)
		})
	}
}

func TestSweeperOutlivesErrors(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	work, tasks := collect()
	due := func(context.Context, int) ([]string, error) {
		switch calls.Add(1) {
		case 1, 2:
			return nil, errors.New("database is away")
		case 3:
			return []string{"job_1"}, nil
		}
		return nil, nil
	}
	runQueue(t, Options{Sweep: time.Millisecond, Lanes: []Lane{{Name: "jobs", Due: due, Work: work}}})
	require.Equal(t, []string{"job_1"}, receive(t, tasks))
}
