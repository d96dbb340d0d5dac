package providers

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// troubled is an upstream that answers within 50 ms, but for half a minute.
type troubled struct {
	limiter *Limiter
	start   time.Time
	fail    func(call int) *Error // in that time; may sleep

	mu    sync.Mutex
	calls int // made in the trouble
	after int // answers since then, until the limit was back at its ceiling
	back  time.Time
}

const (
	troubleFrom  = 10 * time.Second
	troubleUntil = 40 * time.Second
)

func (u *troubled) call() *Error {
	if past := time.Since(u.start); past >= troubleFrom && past < troubleUntil {
		u.mu.Lock()
		u.calls++
		n := u.calls
		u.mu.Unlock()
		return u.fail(n)
	}
	time.Sleep(50 * time.Millisecond)
	u.mu.Lock()
	defer u.mu.Unlock()
	if time.Since(u.start) > troubleUntil && u.back.IsZero() {
		u.after++
	}
	return nil
}

func (u *troubled) work(t *testing.T) {
	for !u.over() {
		s, err := u.limiter.Acquire(t.Context(), Turn{}, 2*time.Second)
		var busy *BusyError
		if errors.As(err, &busy) {
			time.Sleep(time.Until(busy.Until))
			continue
		}
		if err != nil {
			return
		}
		s.Release(u.call(), Usage{})
	}
}

func (u *troubled) over() bool {
	full := u.limiter.State().Limit == 32
	u.mu.Lock()
	defer u.mu.Unlock()
	if time.Since(u.start) > troubleUntil && full && u.back.IsZero() {
		u.back = time.Now()
	}
	return !u.back.IsZero() || time.Since(u.start) > 10*time.Minute
}

// However a provider fails, few calls are wasted on it, and soon after it has
// mended all slots are in use again: 32²/2 answers are what growing by one call a
// flight takes from 1 to 32.
func TestConcurrencyComesBackAfterTrouble(t *testing.T) {
	t.Parallel()
	quick := func(err *Error) func(int) *Error {
		return func(int) *Error {
			time.Sleep(10 * time.Millisecond)
			return err
		}
	}
	tests := []struct {
		name   string
		fail   func(int) *Error
		calls  int           // the most in the trouble
		within time.Duration // of its end
	}{
		{"429 with Retry-After", quick(limited(time.Second)), 32 + 15, 30 * time.Second},
		{"429 without", quick(limited(0)), 32 + 15, 30 * time.Second},
		{"500", quick(missed(Overloaded)), 32 + 15, 30 * time.Second},
		{"connection refused", quick(missed(Connection)), 32 + 15, 30 * time.Second},
		{"hang", func(int) *Error {
			time.Sleep(10 * time.Second)
			return missed(Timeout)
		}, 32 + 15, 30 * time.Second},
		{"every second call fails", func(call int) *Error {
			time.Sleep(50 * time.Millisecond)
			if call%2 == 0 {
				return missed(Overloaded)
			}
			return nil
		}, 1500, 10 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				u := &troubled{limiter: newTestLimiter(t, Config{Concurrency: 32}, 0.5), start: time.Now(), fail: tt.fail}
				var callers sync.WaitGroup
				for range 100 {
					callers.Go(func() { u.work(t) })
				}
				callers.Wait()
				require.LessOrEqual(t, u.calls, tt.calls)
				require.LessOrEqual(t, u.after, 600)
				require.Less(t, u.back.Sub(u.start), troubleUntil+tt.within)
				require.Equal(t, 32, u.limiter.State().Limit)
			})
		})
	}
}
