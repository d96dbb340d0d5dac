package simulator_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers/simulator"
)

func TestBurstIsLetThroughAtOnceAndThenThePaceHolds(t *testing.T) {
	t.Parallel()
	u, pass := clocked(t, simulator.Options{RPM: 60, Burst: 3})
	for range 3 {
		u.ok(chatPath, chat("a", ""))
	}
	require.Equal(t, "1", u.refused("POST", chatPath, chat("a", ""), 429).header.Get("Retry-After"))
	pass(time.Second)
	u.ok(chatPath, chat("a", ""))
	u.refused("POST", chatPath, chat("a", ""), 429)
	pass(time.Minute)
	for range 3 {
		u.ok(chatPath, chat("a", ""))
	}
	u.refused("POST", chatPath, chat("a", ""), 429)
	health := u.get("/healthz")
	require.EqualValues(t, 3, health.Get("refused").Int())
	require.EqualValues(t, 10, health.Get("calls").Int())
	require.EqualValues(t, 3, u.Refused())
}

func TestNoRetryAfterSaysOnlyThatItWasTooMuch(t *testing.T) {
	t.Parallel()
	u, _ := clocked(t, simulator.Options{RPM: 6, NoRetryAfter: true})
	u.ok(chatPath, chat("a", ""))
	got := u.refused("POST", chatPath, chat("a", ""), 429)
	require.NotContains(t, got.header, "Retry-After")
	require.NotContains(t, got.Get("error.message").Str, "Retry after")
	require.Equal(t, "rate_limit_exceeded", got.Get("error.code").Str)
}

func TestRefusedCountsDirectivesToo(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{NoRetryAfter: true})
	got := u.refused("POST", chatPath, chat("[[sim:status=429 retry_after=2]]", ""), 429)
	require.Equal(t, "2", got.header.Get("Retry-After"))
	u.refused("POST", chatPath, chat("[[sim:status=500]]", ""), 500)
	require.EqualValues(t, 1, u.Refused())
}
