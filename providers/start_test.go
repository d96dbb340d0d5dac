package providers

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestALimiterStartsSlowly(t *testing.T) {
	t.Parallel()
	for concurrency, answers := range map[int]int{1: 0, 4: 0, 5: 2, 32: 56, 64: 120} {
		t.Run(fmt.Sprint(concurrency), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newTestLimiter(t, Config{Concurrency: concurrency}, 0)
				require.Equal(t, min(concurrency, 4), l.State().Limit)
				for range answers {
					require.Less(t, l.State().Limit, concurrency)
					take(t, l, 1)[0].Release(nil, Usage{})
				}
				require.Equal(t, concurrency, l.State().Limit)
			})
		})
	}
}

func TestTheFirstRefusalEndsTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newTestLimiter(t, Config{Concurrency: 32}, 0)
		for range 8 {
			take(t, l, 1)[0].Release(nil, Usage{})
		}
		take(t, l, 1)[0].Release(limited(time.Second), Usage{})
		time.Sleep(time.Second)
		take(t, l, 1)[0].Release(nil, Usage{})
		require.InDelta(t, 4.25, l.pace.limit, 0)
	})
}

// Where calls take minutes, no answer can tell that there is room for more.
func TestLongCallsDoNotHoldUpTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newTestLimiter(t, Config{Concurrency: 32}, 0)
		for range 100 {
			go func() {
				if s, err := l.Acquire(t.Context(), Turn{}, time.Hour); err == nil {
					time.Sleep(10 * time.Minute)
					s.Release(nil, Usage{})
				}
			}()
		}
		synctest.Wait()
		for _, want := range []int{4, 6, 9, 13, 20, 30, 32, 32} {
			require.Equal(t, want, l.State().InFlight)
			time.Sleep(time.Second)
			synctest.Wait()
		}
		require.True(t, l.alarm.at.IsZero())
		time.Sleep(time.Hour)
	})
}
