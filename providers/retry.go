package providers

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	backoffStart = 500 * time.Millisecond
	backoffMax   = 30 * time.Second
	jitterShare  = 0.2
	// afterMax is the longest wait that an upstream can ask for.
	afterMax = time.Hour
)

// Retry says whether to make a call again that has failed tries times so far, 1
// after the first failure, and after how long: 0.5 s doubling to 30 s, never
// sooner than the upstream asked, plus up to 20 % of jitter, an hour at most. It
// decides only; the caller waits and calls.
func (p *Provider) Retry(err *Error, tries int) (delay time.Duration, again bool) {
	if err == nil || !err.Retry || tries > p.config.Retries {
		return 0, false
	}
	wait := backoff(tries)
	jitter := jittered(wait, p.rand) - wait
	return min(max(wait, err.After)+jitter, afterMax), true
}

// jittered adds up to 20 %, so that callers do not come back all at once.
func jittered(wait time.Duration, rand func() float64) time.Duration {
	return wait + time.Duration(jitterShare*rand()*float64(wait))
}

// backoff is 0.5 s after the first failure, doubling to 30 s.
func backoff(failures int) time.Duration {
	shift := min(max(failures-1, 0), 16)
	return min(backoffStart<<shift, backoffMax)
}

// retryAfter reads how long the upstream asks to wait: retry-after-ms, else
// Retry-After in seconds or as an HTTP date (RFC 9110, 10.2.3). Garbage and
// negative numbers count as absent; a date in the past is 0; the result is at
// most an hour.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	if d, ok := parseAfter(h.Get("Retry-After-Ms"), time.Millisecond); ok {
		return d, true
	}
	value := h.Get("Retry-After")
	if d, ok := parseAfter(value, time.Second); ok {
		return d, true
	}
	at, err := http.ParseTime(strings.TrimSpace(value))
	if err != nil {
		return 0, false
	}
	return min(max(at.Sub(now), 0), afterMax), true
}

// parseAfter takes plain decimal numbers only, fractions allowed.
func parseAfter(value string, unit time.Duration) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	if strings.Trim(value, "0123456789.") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
		return 0, false
	}
	return time.Duration(min(math.Ceil(n*float64(unit)), float64(afterMax))), true
}
