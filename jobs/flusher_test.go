package jobs

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestFlusherBoundsWhatIsNotKept fails every write: no more is taken than fits, and when writes work again every line
// is kept once, in sets.
func TestFlusherBoundsWhatIsNotKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		var kept, sets atomic.Int64
		f := newFlusher(func(_ context.Context, lines []Line) error {
			if broken.Load() {
				return errors.New("the disk is full")
			}
			kept.Add(int64(len(lines)))
			sets.Add(1)
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		go f.run(ctx)
		broken.Store(true)
		var added, done atomic.Int64
		for range 1500 {
			go func() {
				if f.add(ctx, Line{Text: []byte("{}")}, func() { done.Add(1) }) {
					added.Add(1)
				}
			}()
		}
		time.Sleep(10 * time.Second)
		require.EqualValues(t, flushRows, added.Load(), "the rest waits")
		require.Zero(t, done.Load())
		broken.Store(false)
		time.Sleep(10 * time.Second)
		require.EqualValues(t, 1500, kept.Load())
		require.EqualValues(t, 1500, done.Load())
		require.Less(t, sets.Load(), int64(10))
		cancel()
		synctest.Wait()
	})
}

func TestFlusherBoundsBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := newFlusher(func(ctx context.Context, _ []Line) error {
			select {
			case <-release:
			case <-ctx.Done():
			}
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		go f.run(ctx)
		var added atomic.Int64
		for range 5 {
			go func() {
				if f.add(ctx, Line{Text: make([]byte, 16<<20)}, func() {}) {
					added.Add(1)
				}
			}()
		}
		time.Sleep(time.Second)
		require.EqualValues(t, 2, added.Load(), "32 MiB hold two of 16")
		close(release)
		time.Sleep(time.Second)
		require.EqualValues(t, 5, added.Load())
		cancel()
		synctest.Wait()
	})
}

// TestFlusherIsPrompt keeps a lone line after 50 ms, and at once when hurried.
func TestFlusherIsPrompt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFlusher(func(context.Context, []Line) error { return nil })
		ctx, cancel := context.WithCancel(t.Context())
		go f.run(ctx)
		began := time.Now()
		done := make(chan struct{})
		require.True(t, f.add(ctx, Line{}, func() { close(done) }))
		<-done
		require.Equal(t, flushEvery, time.Since(began))
		began, done = time.Now(), make(chan struct{})
		require.True(t, f.add(ctx, Line{}, func() { close(done) }))
		f.hurry()
		<-done
		require.Zero(t, time.Since(began))
		cancel()
		synctest.Wait()
	})
}
