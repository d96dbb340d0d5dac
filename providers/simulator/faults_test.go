package simulator_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers/simulator"
)

func TestFailShareIsHonestAndARetrySucceeds(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{Fail: 0.2})
	failed, twice, last := 0, 0, 0
	for range 200 {
		got := u.post(chatPath, chat("a", ""))
		if got.status == http.StatusInternalServerError {
			require.Equal(t, "server_error", got.Get("error.type").Str)
			failed++
			if last == got.status {
				twice++
			}
		}
		last = got.status
	}
	require.InDelta(t, 40, failed, 2)
	require.Zero(t, twice)
}

func TestResetShareResetsConnections(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{Reset: 1})
	_, err := u.try("POST", chatPath, chat("a", ""))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.GreaterOrEqual(t, u.Calls(), int64(1))
}

// watched tells when a call has arrived and when it has ended.
type watched struct {
	next           http.Handler
	arrived, ended chan struct{}
}

func (h watched) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.arrived <- struct{}{}
	defer func() { h.ended <- struct{}{} }()
	h.next.ServeHTTP(w, r)
}

func TestWaitsEndWithTheClient(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, prompt string
		opts         simulator.Options
	}{
		{"hang by share", "a", simulator.Options{Hang: 1}},
		{"hang by directive", "[[sim:hang]]", simulator.Options{}},
		{"latency", "a", simulator.Options{TTFT: time.Hour}},
		{"latency by directive", "[[sim:wait=1h]]", simulator.Options{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := watched{simulator.New(tt.opts), make(chan struct{}, 1), make(chan struct{}, 1)}
			server := httptest.NewServer(h)
			defer server.Close()
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			result := make(chan error, 1)
			go func() {
				req, err := http.NewRequestWithContext(ctx, "POST", server.URL+chatPath, strings.NewReader(chat(tt.prompt, "")))
				if err == nil {
					_, err = server.Client().Do(req) // no answer, so no body to close
				}
				result <- err
			}()
			receive(t, h.arrived)
			leave()
			require.ErrorIs(t, <-result, context.Canceled)
			receive(t, h.ended)
		})
	}
}

func receive(t *testing.T, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(10 * time.Second):
		require.FailNow(t, "no signal within 10 s")
	}
}

func TestLatencyCountsTokens(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{TTFT: 30 * time.Millisecond, TPOT: 5 * time.Millisecond})
	start := time.Now()
	got := u.ok(chatPath, chat("a", `,"max_tokens":4`))
	require.GreaterOrEqual(t, time.Since(start), 50*time.Millisecond)
	require.EqualValues(t, 4, got.Get("usage.completion_tokens").Int())
	require.NotEqual(t, "0", got.header.Get("Openai-Processing-Ms"))
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	clock.Store(1_800_000_000_000_000_000)
	u := serve(t, simulator.Options{RPM: 120, Now: func() time.Time { return time.Unix(0, clock.Load()) }})
	for remaining := range 2 {
		got := u.ok(chatPath, chat("a", ""))
		require.Equal(t, "120", got.header.Get("X-Ratelimit-Limit-Requests"))
		require.Equal(t, string(rune('1'-remaining)), got.header.Get("X-Ratelimit-Remaining-Requests"))
		require.Equal(t, []string{"500ms", "1s"}[remaining], got.header.Get("X-Ratelimit-Reset-Requests"))
	}
	got := u.refused("POST", chatPath, chat("a", ""), 429)
	require.Equal(t, "1", got.header.Get("Retry-After"))
	require.Equal(t, "rate_limit_exceeded", got.Get("error.code").Str)
	require.Equal(t, "0", got.header.Get("X-Ratelimit-Remaining-Requests"))

	clock.Add(int64(time.Second))
	u.ok(chatPath, chat("a", ""))
	u.ok(chatPath, chat("a", ""))
	u.refused("POST", chatPath, chat("a", ""), 429)
	require.EqualValues(t, 6, u.Calls())
}

func TestSlowRateLimitNamesTheWait(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{RPM: 6, Now: func() time.Time { return time.Unix(1_800_000_000, 0) }})
	u.ok(chatPath, chat("a", ""))
	require.Equal(t, "10", u.refused("POST", chatPath, chat("a", ""), 429).header.Get("Retry-After"))
}

func TestBrokenBodiesAreNoCleanEnd(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	whole := u.ok(chatPath, chat("[[sim:wait=1ms]]", ""))
	require.NotEmpty(t, content(whole))

	got, err := u.try("POST", chatPath, chat("[[sim:truncate]]", ""))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NotEmpty(t, got.raw)
	require.Equal(t, http.StatusOK, got.status)

	_, err = u.try("POST", chatPath, chat("[[sim:reset=body]]", ""))
	require.Error(t, err)
	require.True(t, errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.ErrUnexpectedEOF), err)

	_, err = u.try("POST", chatPath, chat("[[sim:reset]]", ""))
	require.ErrorIs(t, err, syscall.ECONNRESET)
}
