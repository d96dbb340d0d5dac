package web

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// counted notes what a Server's meter hears.
type counted struct {
	mu   sync.Mutex
	said []string
	took time.Duration
}

func (c *counted) requests(method, route string) func(int, time.Duration) {
	return func(status int, took time.Duration) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.said = append(c.said, fmt.Sprint(method, " ", route, " ", status))
		c.took = took
	}
}

func (c *counted) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	said := c.said
	c.said = nil
	return said
}

func TestRequestsAreCountedByRouteAndNeverByPath(t *testing.T) {
	t.Parallel()
	var c counted
	h := start(t, func(o *Options) { o.Requests, o.Keys = c.requests, []string{"rb-one"} })
	key := []string{"Authorization", "Bearer rb-one"}
	for _, tt := range []struct {
		method, path string
		headers      []string
		want         string
	}{
		{"GET", "/healthz", nil, "GET /healthz 200"},
		{"HEAD", "/v1/files", key, "HEAD /v1/files 200"},
		{"GET", "/v1/batches/canary", key, "GET /v1/batches/:id 404"},
		{"GET", "/v1/batches/canary", nil, "GET /v1/batches/:id 401"},
		{"GET", "/canary", key, "any unmatched 404"},
		{"CANARY", "/v1/batches", key, "any unmatched 405"},
	} {
		h.do(tt.method, tt.path, "", tt.headers...)
		require.Eventually(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.said) > 0 }, 5*time.Second, time.Millisecond)
		require.Equal(t, []string{tt.want}, c.take(), "%s %s", tt.method, tt.path)
	}
}

func TestMetricsAskForAKeyLikeTheAPI(t *testing.T) {
	t.Parallel()
	numbers := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = w.Write([]byte("up 1\n"))
	})
	with := start(t, func(o *Options) { o.Metrics, o.Keys = numbers, []string{"rb-one"} })
	require.Equal(t, http.StatusUnauthorized, with.get("/metrics").status)
	require.Equal(t, "up 1\n", with.get("/metrics", "Authorization", "Bearer rb-one").body)
	without := start(t, func(o *Options) { o.Metrics = numbers })
	require.Equal(t, "up 1\n", without.get("/metrics").body)
	require.Equal(t, http.StatusForbidden, without.get("/metrics", "Host", "ringback.example.com").status)
	require.Equal(t, http.StatusForbidden, without.get("/metrics", "Origin", "https://example.com").status)
	require.Equal(t, http.StatusNotFound, start(t).get("/metrics").status)
}
