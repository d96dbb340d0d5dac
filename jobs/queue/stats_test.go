package queue

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestStatsTellHowBusyALaneIs: one at work, two in the queue.
func TestStatsTellHowBusyALaneIs(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	q, err := Open(Options{Window: 7, Lanes: []Lane{
		{Name: "jobs", Work: func(context.Context, []string) { <-hold }},
		{Name: "others"},
	}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx) }()
	for _, id := range []string{"a", "b", "c"} {
		q.Wake(ctx, "jobs", id)
	}
	require.Eventually(t, func() bool {
		waiting, err := q.Waiting(ctx)
		return err == nil && waiting["jobs"] == 2 && q.Stats("jobs").Busy == 1
	}, 10*time.Second, time.Millisecond)
	waiting, err := q.Waiting(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"jobs": 2, "others": 0}, waiting)
	require.Equal(t, Stats{Busy: 1, Workers: 1, Window: 7}, q.Stats("jobs"))
	require.Equal(t, Stats{Window: 7}, q.Stats("others"), "it has no workers here")
	close(hold)
	cancel()
	require.NoError(t, <-ended)
	_, err = q.Waiting(t.Context())
	require.Error(t, err, "closed")
}
