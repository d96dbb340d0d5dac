package jobs

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers"
)

func TestLinesThatFailedTakeTurnsAfterTheOthers(t *testing.T) {
	t.Parallel()
	order := func(left map[int64]tries) (order []int64) {
		for _, round := range rounds(left) {
			for number := range int64(7) {
				if round(number) {
					order = append(order, number)
				}
			}
		}
		return order
	}
	require.Equal(t, []int64{0, 1, 2, 3, 4, 5, 6}, order(nil))
	require.Equal(t, []int64{0, 1, 2, 3, 4, 5, 6}, order(map[int64]tries{2: {}}), "too many calls are no failure of a line's")
	require.Equal(t, []int64{0, 3, 4, 5, 6, 2, 1}, order(map[int64]tries{1: {FailedAt: 20}, 2: {FailedAt: 10}}))
	require.Equal(t, []int64{0, 3, 5, 6, 4, 1, 2}, order(map[int64]tries{1: {FailedAt: 10}, 2: {FailedAt: 30}, 4: {FailedAt: 20}}))
}

func TestWhatIsNoTryOfALine(t *testing.T) {
	t.Parallel()
	var so tries
	limited := &providers.Error{Kind: providers.RateLimited, Retry: true}
	broken := &providers.Error{Kind: providers.Connection, Retry: true}
	for range 2 * mostRefusals {
		require.True(t, so.refused(limited, false))
	}
	for range mostRefusals {
		require.False(t, so.refused(broken, false))
		require.True(t, so.refused(broken, true))
	}
	require.False(t, so.refused(broken, true), "it may be the line's own doing")
	require.True(t, so.refused(limited, true))
	require.False(t, so.refused(&providers.Error{Kind: providers.Connection}, true))
}

// TestFailuresBetweenAnswersToOthers are a line's own, and no sign of an outage.
func TestFailuresBetweenAnswersToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all, err := providers.New(providers.Options{Providers: []providers.Config{{Name: "p", BaseURL: "http://127.0.0.1:1/v1", Models: []string{"*"}}}})
		require.NoError(t, err)
		limiter := all.Providers()[0].Limiter("m")
		slot := func() *providers.Slot {
			slot, err := limiter.Acquire(t.Context(), providers.Turn{}, time.Second)
			require.NoError(t, err)
			return slot
		}
		broken := &providers.Error{Kind: providers.Connection, Retry: true}
		var so tries
		fail := func(failed *providers.Error) {
			s := slot()
			so.failed(failed, s)
			s.Release(failed, providers.Usage{})
			time.Sleep(time.Second)
		}
		answered := func() {
			slot().Release(nil, providers.Usage{})
			time.Sleep(time.Second)
		}
		answered()
		fail(&providers.Error{Kind: providers.InvalidAnswer, Retry: true})
		answered()
		fail(broken)
		fail(broken)
		require.False(t, so.Alone, "nobody was answered in between")
		answered()
		require.False(t, so.Alone)
		fail(broken)
		require.True(t, so.Alone)
		for range 10 {
			fail(broken)
		}
		require.Empty(t, limiter.State().Reason, "they make no outage")
	})
}
