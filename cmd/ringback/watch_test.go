package main

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

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
	var shown bytes.Buffer
	ends, err := watch(t.Context(), client, newJobView(&shown, false), "gen_1")
	require.NoError(t, err)
	require.Len(t, ends, 1)
	require.NoError(t, ends[0].failure())
	require.Equal(t, "in_progress\ncompleted\n", shown.String())
}

func TestWatchOfNothingEnds(t *testing.T) {
	t.Parallel()
	server, client := jobWith(t, func(int32) bool { return true })
	view := newJobView(io.Discard, false)
	err := follow(t.Context(), client, view, "gen_1")
	require.ErrorContains(t, err, "502")
	require.Equal(t, exitAway, exitCode(err))
	require.Len(t, server.sent("GET", "/v1/jobs/gen_1?wait=0s"), clientTries)

	err = follow(t.Context(), newFakeServer(t).client(), view, "gen_2")
	require.ErrorContains(t, err, "404")
	require.Equal(t, exitNotFound, exitCode(err))
}
