package simulator

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// A limiter lets calls through at an even pace, with bursts: a token bucket
// kept as the one instant at which it will be full again.
type limiter struct {
	rpm      int
	silent   bool  // a refusal does not say how long to wait
	interval int64 // nanoseconds a call
	depth    int64 // nanoseconds that the whole bucket is worth
	full     atomic.Int64
}

// newLimiter lets burst calls through at once; zero is a second's worth of rpm.
func newLimiter(rpm, burst int) *limiter {
	if rpm <= 0 {
		return &limiter{}
	}
	if burst <= 0 {
		burst = max(1, rpm/60)
	}
	interval := max(1, int64(time.Minute)/int64(rpm))
	return &limiter{rpm: rpm, interval: interval, depth: interval * int64(burst)}
}

// take spends one call, or says when there will be one to spend. It sets the
// x-ratelimit headers either way; the remaining calls are those of the burst.
func (l *limiter) take(h http.Header, now time.Time) *problem {
	if l.rpm <= 0 {
		return nil
	}
	owed, wait := l.spend(now.UnixNano())
	l.describe(h, owed)
	if wait <= 0 {
		return nil
	}
	p := failure(http.StatusTooManyRequests)
	p.message = "Rate limit reached: " + strconv.Itoa(l.rpm) + " requests a minute."
	if l.silent {
		return p
	}
	seconds := max(1, (wait+int64(time.Second)-1)/int64(time.Second))
	p.retryAfter = strconv.FormatInt(seconds, 10)
	p.message += " Retry after " + p.retryAfter + " s."
	return p
}

// spend answers how far the bucket is from full, and how long to wait if this
// call found it empty.
func (l *limiter) spend(now int64) (owed, wait int64) {
	for {
		old := l.full.Load()
		next := max(old, now) + l.interval
		if over := next - now - l.depth; over > 0 {
			return old - now, over
		}
		if l.full.CompareAndSwap(old, next) {
			return next - now, 0
		}
	}
}

func (l *limiter) describe(h http.Header, owed int64) {
	h["X-Ratelimit-Limit-Requests"] = []string{strconv.Itoa(l.rpm)}
	h["X-Ratelimit-Remaining-Requests"] = []string{strconv.FormatInt(max(0, (l.depth-owed)/l.interval), 10)}
	h["X-Ratelimit-Reset-Requests"] = []string{time.Duration(owed).String()}
}
