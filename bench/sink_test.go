package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// writeEvents writes so many events, one a line, and gives the file's path.
func writeEvents(t *testing.T, count int) string {
	t.Helper()
	var text []byte
	for n := range count {
		text = fmt.Appendf(text, `{"id":"evt_%d","type":"generation.completed"}`+"\n", n)
	}
	path := filepath.Join(t.TempDir(), "events.jsonl")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	return path
}

func TestBareLoopSignsAndPostsEachEventOnce(t *testing.T) {
	t.Parallel()
	r, err := startReceiver()
	require.NoError(t, err)
	defer r.close()
	s, hook := r.open(100)
	s.trust(vectorSecret)
	args := []string{"--url", hook, "--secret", vectorSecret, "--in", writeEvents(t, 100), "--concurrency", "8"}
	require.NoError(t, postCommand(t.Context(), args, t.Output()))
	require.NoError(t, s.wait(t.Context()))
	require.Equal(t, tally{Expected: 100, Verified: 100}, s.tally())

	require.NoError(t, postCommand(t.Context(), args, t.Output()))
	require.Equal(t, tally{Expected: 100, Verified: 100, Repeated: 100}, s.tally())
	require.Zero(t, r.tally())
	r.settle(s)
	require.Equal(t, tally{Expected: 100, Verified: 100, Repeated: 100}, r.tally())
}

func TestBareLoopEndsWhereItIsRefused(t *testing.T) {
	t.Parallel()
	r, err := startReceiver()
	require.NoError(t, err)
	defer r.close()
	s, hook := r.open(1)
	s.trust("whsec_" + "b3RoZXI=")
	err = postCommand(t.Context(), []string{"--url", hook, "--secret", vectorSecret, "--in", writeEvents(t, 1)}, t.Output())
	require.ErrorContains(t, err, "401 Unauthorized to evt_0")
	require.Len(t, s.tally().Refused, 1)
}

func TestSinkRefusesWhatDoesNotVerify(t *testing.T) {
	t.Parallel()
	r, err := startReceiver()
	require.NoError(t, err)
	defer r.close()
	s, url := r.open(1)
	s.trust(vectorSecret)
	hook, withPair := webhook{URL: url}, func(h http.Header) { h.Set("webhook-signature", h.Get("webhook-signature")+" v1a,AAAA") }

	require.Equal(t, http.StatusUnauthorized, post(t, hook, "{}", nil))
	require.Equal(t, http.StatusUnauthorized, post(t, hook, "{}", func(h http.Header) { h.Set("webhook-signature", "v1,AAAA v1a,AAAA") }))
	require.Equal(t, []string{"the callback has no signature by a key pair", "no signature of the callback matches"}, s.tally().Refused)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorContains(t, s.wait(ctx), "0 of 1 callbacks came and verified, 2 were refused")

	require.Equal(t, http.StatusNoContent, post(t, hook, "{}", withPair))
	require.NoError(t, s.wait(t.Context()))
	r.shut(s)
	require.Equal(t, http.StatusUnauthorized, post(t, hook, "{}", withPair))
	require.Len(t, r.tally().Refused, 1)
}
