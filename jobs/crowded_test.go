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

func TestAShardIsHandedOnAtOnceButOnce(t *testing.T) {
	t.Parallel()
	batch, shard := Ref{"p", "batch_1"}, Ref{"p", "batch_1:7"}
	h := inHand{batches: map[Ref]*batchInHand{}}
	require.False(t, h.first(shard), "nothing of its batch is in hand: who left it knows nothing")
	require.True(t, h.take(batch, true))
	require.True(t, h.first(shard))
	require.False(t, h.first(shard), "it would go round without end")
	require.True(t, h.first(Ref{"p", "batch_1:8"}))
	h.leave(batch)
	require.Empty(t, h.batches)
}

// offers has shards to offer and lets nobody have them: others are quicker.
type offers struct {
	Store
	free          []Ref
	looks, claims int
}

func (o *offers) FreeShards(context.Context, Ref, Time, int) ([]Ref, error) {
	o.looks++
	return o.free, nil
}

func (o *offers) ClaimShards(context.Context, string, []Ref, Time) ([]Shard, error) {
	o.claims++
	return nil, nil
}

func TestAProcessThatHasGivenOutAShardLooksForTheNext(t *testing.T) {
	t.Parallel()
	batch := Ref{"p", "batch_1"}
	for _, tt := range []struct {
		name          string
		alone         bool
		inHand        int // shards of the batch, beside the one that was given out
		following     int
		looks, claims int
	}{
		{"each that is free is tried", false, 1, 3, 1, 3},
		{"alone the queue offers them all", true, 1, 3, 0, 0},
		{"after many in a row the queue decides", false, 1, 0, 0, 0},
		{"who has enough in hand takes none", false, fewShards, 3, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := &offers{free: []Ref{{"p", "batch_1:3"}, {"p", "batch_1:4"}, {"p", "batch_1:5"}}}
			r := &Runner{RunnerOptions: RunnerOptions{Store: o, Now: time.Now}, inHand: inHand{batches: map[Ref]*batchInHand{}}}
			if !tt.alone {
				r.Presence = &Presence{last: time.Now()}
			}
			for range tt.inHand {
				require.True(t, r.inHand.take(batch, true))
			}
			(&shardWork{r: r, ctx: t.Context()}).follow(batch, tt.following)
			require.Equal(t, []int{tt.looks, tt.claims}, []int{o.looks, o.claims})
			require.Equal(t, tt.inHand, r.inHand.batches[batch].shards, "what was not had is not counted in")
		})
	}
}

func TestBatchOf(t *testing.T) {
	t.Parallel()
	require.Equal(t, Ref{"p", "batch_1"}, batchOf(Ref{"p", "batch_1:17"}))
}
