package providers

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRetry(t *testing.T) {
	t.Parallel()
	again := &Error{Kind: Overloaded, Retry: true}
	after := func(d time.Duration) *Error { return &Error{Kind: RateLimited, Retry: true, After: d} }
	tests := []struct {
		name  string
		err   *Error
		tries int
		rand  float64
		want  time.Duration // 0: not again
	}{
		{"success", nil, 1, 0, 0},
		{"settled", &Error{Kind: Rejected, After: time.Second}, 1, 0, 0},
		{"first", again, 1, 0, 500 * time.Millisecond},
		{"first with jitter", again, 1, 0.5, 550 * time.Millisecond},
		{"second", again, 2, 0, time.Second},
		{"fifth", again, 5, 0, 8 * time.Second},
		{"seventh is capped", again, 7, 0, 30 * time.Second},
		{"seventh with jitter", again, 7, 1, 36 * time.Second},
		{"far", again, 99, 0, 30 * time.Second},
		{"last", again, 100, 0, 30 * time.Second},
		{"past the last", again, 101, 0, 0},
		{"no tries counts as one", again, 0, 0, 500 * time.Millisecond},
		{"told to wait longer", after(time.Minute), 1, 0, time.Minute},
		{"told to wait longer, with jitter", after(time.Minute), 1, 1, time.Minute + 100*time.Millisecond},
		{"told to wait shorter", after(time.Second), 5, 0, 8 * time.Second},
		{"told to wait too long", after(48 * time.Hour), 7, 1, time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := providerAt(t, "http://127.0.0.1:9/v1", func(o *Options, c *Config) {
				c.Retries = 100
				o.Rand = func() float64 { return tt.rand }
			})
			got, ok := p.Retry(tt.err, tt.tries)
			require.Equal(t, tt.want, got)
			require.Equal(t, tt.want != 0, ok)
		})
	}
}

func TestRetriesEndAsConfigured(t *testing.T) {
	t.Parallel()
	for retries, want := range map[int]int{0: 5, 2: 2, -1: 0} {
		p := providerAt(t, "http://127.0.0.1:9/v1", func(_ *Options, c *Config) { c.Retries = retries })
		calls := 1
		for {
			if _, again := p.Retry(&Error{Kind: Timeout, Retry: true}, calls); !again {
				break
			}
			calls++
		}
		require.Equal(t, want, calls-1)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		ms, after string
		want      time.Duration
		ok        bool
	}{
		{"", "", 0, false},
		{"", "7", 7 * time.Second, true},
		{"", " 7 ", 7 * time.Second, true},
		{"", "0", 0, true},
		{"", "0.5", 500 * time.Millisecond, true},
		{"250", "7", 250 * time.Millisecond, true},
		{"0.5", "", 500 * time.Microsecond, true},
		{"junk", "7", 7 * time.Second, true},
		{"-1", "", 0, false},
		{"", "-1", 0, false},
		{"", "1e3", 0, false},
		{"", "0x10", 0, false},
		{"", "NaN", 0, false},
		{"", "Inf", 0, false},
		{"", ".", 0, false},
		{"", "7 s", 0, false},
		{"", "99999999999999999999999", time.Hour, true},
		{"", "Sat, 21 Nov 2026 12:00:30 GMT", 30 * time.Second, true},
		{"", "Saturday, 21-Nov-26 12:00:30 GMT", 30 * time.Second, true},
		{"", "Sat, 21 Nov 2026 11:00:00 GMT", 0, true},
		{"", "Sun, 21 Nov 2126 12:00:00 GMT", time.Hour, true},
		{"", "2026-11-21T12:00:30Z", 0, false},
	}
	for _, tt := range tests {
		got, ok := retryAfter(http.Header{"Retry-After-Ms": {tt.ms}, "Retry-After": {tt.after}}, now)
		require.Equal(t, tt.want, got, "%q %q", tt.ms, tt.after)
		require.Equal(t, tt.ok, ok, "%q %q", tt.ms, tt.after)
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "7", "0.5", "-1", "1e400", "NaN", "Sat, 21 Nov 2026 12:00:30 GMT", "Mon Jan _2 15:04:05 2006"} {
		f.Add(seed, seed, int64(1763726400))
	}
	f.Fuzz(func(t *testing.T, ms, after string, now int64) {
		got, ok := retryAfter(http.Header{"Retry-After-Ms": {ms}, "Retry-After": {after}}, time.Unix(now, 0))
		require.GreaterOrEqual(t, got, time.Duration(0))
		require.LessOrEqual(t, got, time.Hour)
		if !ok {
			require.Zero(t, got)
		}
	})
}
