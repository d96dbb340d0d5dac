package jobs

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers"
)

// busyLimiter has one slot, which is taken, and one who waits for it.
func busyLimiter(t *testing.T) *providers.Limiter {
	t.Helper()
	registry, err := providers.New(providers.Options{Providers: []providers.Config{{
		Name: "p", BaseURL: "http://127.0.0.1:1/v1", Models: []string{"m"}, Concurrency: 1,
	}}})
	require.NoError(t, err)
	t.Cleanup(registry.Close)
	p, err := registry.Route("m")
	require.NoError(t, err)
	l := p.Limiter("m")
	_, err = l.Acquire(t.Context(), providers.Turn{Project: "p", Job: "j"}, time.Second)
	require.NoError(t, err)
	waits, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = l.Acquire(waits, providers.Turn{Project: "p", Job: "j"}, time.Hour)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	require.Eventually(t, func() bool { return l.Waiting() == 1 }, 10*time.Second, time.Millisecond)
	return l
}

func TestACrowdedProcessLeavesShardsToOthers(t *testing.T) {
	t.Parallel()
	batch, other := Ref{"p", "batch_1"}, Ref{"p", "batch_2"}
	h := inHand{batches: map[Ref]*batchInHand{}}
	require.True(t, h.take(batch, true))
	require.True(t, h.take(batch, true))
	require.False(t, h.take(batch, true), "few are enough while nobody knows whether they wait")
	require.True(t, h.take(other, true), "another batch's shards are another matter")
	require.True(t, h.take(batch, false), "alone it takes all")
	h.calls(batch, busyLimiter(t))
	require.False(t, h.take(batch, true), "its lines wait")
	h.leave(batch)
	h.leave(batch)
	require.True(t, h.take(batch, true), "one in hand is few")
	h.leave(batch)
	h.leave(batch)
	h.leave(other)
	require.Empty(t, h.batches)
}

func TestBatchOf(t *testing.T) {
	t.Parallel()
	require.Equal(t, Ref{"p", "batch_1"}, batchOf(Ref{"p", "batch_1:17"}))
}
