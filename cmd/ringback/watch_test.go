package main

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// jobWith submits a generation to a fake server whose polls fail for a while.
func jobWith(t *testing.T, fails func(poll int32) bool) (*fakeServer, *Client) {
	t.Helper()
	server := newFakeServer(t)
	var polls atomic.Int32
	server.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/v1/jobs/") || !fails(polls.Add(1)) {
			return false
		}
		w.WriteHeader(http.StatusBadGateway)
		return true
	}
	client := server.client()
	_, err := client.Generate(t.Context(), map[string]any{"model": "m"})
	require.NoError(t, err)
	server.mu.Lock()
	server.jobs["gen_1"].ended = false
	server.mu.Unlock()
	return server, client
}

func TestWatchOutlivesARestart(t *testing.T) {
	t.Parallel()
	_, client := jobWith(t, func(poll int32) bool { return poll > 1 && poll < 3+2*clientTries })
	var states []string
	job, err := watch(t.Context(), client, "gen_1", func(job Job, _ time.Time) { states = append(states, job.Status) })
	require.NoError(t, err)
	require.True(t, job.Ended())
	require.Equal(t, "in_progress", states[0])
	require.Equal(t, "completed", states[len(states)-1])
}

func TestWatchOfNothingEnds(t *testing.T) {
	t.Parallel()
	server, client := jobWith(t, func(int32) bool { return true })
	_, err := watch(t.Context(), client, "gen_1", func(Job, time.Time) {})
	require.ErrorContains(t, err, "502")
	require.Len(t, server.sent("GET", "/v1/jobs/gen_1?wait=0s"), clientTries)

	_, err = watch(t.Context(), newFakeServer(t).client(), "gen_2", func(Job, time.Time) {})
	require.ErrorContains(t, err, "404")
}
