package providers

import (
	"errors"
	"math"
	"sync"
	"testing"
	"time"
)

// allowance is how a made-up upstream limits calls: it says whether it takes one
// now, and if not, after how long it will.
type allowance interface {
	take(now time.Time) (ok bool, after time.Duration)
}

// refill is a token bucket.
type refill struct {
	rate, burst float64
	level       float64
	at          time.Time
}

func newRefill(rate, burst float64) *refill {
	return &refill{rate: rate, burst: burst, level: burst, at: time.Now()}
}

func (r *refill) take(now time.Time) (bool, time.Duration) {
	r.level = min(r.burst, r.level+now.Sub(r.at).Seconds()*r.rate)
	r.at = now
	if r.level < 1 {
		return false, time.Duration((1 - r.level) / r.rate * 1e9)
	}
	r.level--
	return true, 0
}

// window allows so many calls in each stretch of time.
type window struct {
	calls  int
	length time.Duration
	start  time.Time
	used   int
}

func (w *window) take(now time.Time) (bool, time.Duration) {
	if now.Sub(w.start) >= w.length {
		w.start, w.used = now.Truncate(w.length), 0
	}
	if w.used >= w.calls {
		return false, w.start.Add(w.length).Sub(now)
	}
	w.used++
	return true, 0
}

// load makes calls through a limiter at a made-up upstream, as shards do.
type load struct {
	limiter *Limiter
	latency time.Duration
	silent  bool // refuses without Retry-After
	callers int
	calls   int       // ends after so many answers; 0: no end
	until   time.Time // ends then; zero: no end

	mu        sync.Mutex
	allowance allowance
	started   int
	answered  int
	refused   int
	slowest   time.Duration // between two answers
	lastAt    time.Time
}

func (l *load) run(t *testing.T) time.Duration {
	t.Helper()
	start := time.Now()
	l.lastAt = start
	var callers sync.WaitGroup
	for range l.callers {
		callers.Go(func() {
			for l.another() {
				l.line(t)
			}
		})
	}
	callers.Wait()
	return time.Since(start)
}

func (l *load) another() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.calls > 0 && l.started >= l.calls || !l.until.IsZero() && !time.Now().Before(l.until) {
		return false
	}
	l.started++
	return true
}

// line makes one call until it is answered.
func (l *load) line(t *testing.T) {
	for {
		slot, err := l.limiter.Acquire(t.Context(), Turn{Project: "p", Job: "j"}, 2*time.Second)
		var busy *BusyError
		if errors.As(err, &busy) {
			time.Sleep(time.Until(busy.Until))
			if !l.until.IsZero() && !time.Now().Before(l.until) {
				return
			}
			continue
		}
		if err != nil {
			t.Error(err)
			return
		}
		failure := l.call()
		slot.Release(failure, Usage{})
		if failure == nil {
			return
		}
		time.Sleep(failure.After)
	}
}

// call is judged when it arrives. A refusal takes a tenth of a second at most.
func (l *load) call() *Error {
	l.mu.Lock()
	ok, after := l.allowance.take(time.Now())
	if !ok {
		l.refused++
	}
	l.mu.Unlock()
	if !ok {
		time.Sleep(min(l.latency, 100*time.Millisecond))
		if l.silent {
			return limited(0)
		}
		return limited(time.Duration(math.Ceil(after.Seconds())) * time.Second)
	}
	time.Sleep(l.latency)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered++
	l.slowest = max(l.slowest, time.Since(l.lastAt))
	l.lastAt = time.Now()
	return nil
}
