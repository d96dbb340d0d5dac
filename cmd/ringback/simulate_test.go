package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSimulateServesUntilStopped(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	lines, out := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"simulate", "--listen", "127.0.0.1:0"}, strings.NewReader(""), out, io.Discard)
	}()
	line, err := bufio.NewReader(lines).ReadString('\n')
	require.NoError(t, err)
	base, ok := strings.CutPrefix(strings.TrimSpace(line), "simulator listens on ")
	require.True(t, ok, line)
	require.True(t, strings.HasSuffix(base, "/v1"), line)

	answer, err := http.Post(base+"/chat/completions", "application/json",
		strings.NewReader(`{"model":"sim-small","messages":[{"role":"user","content":"hello"}],"max_tokens":4}`))
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode)
	stop()
	require.Equal(t, exitOK, <-ended)
	_, err = http.Get(base + "/models")
	require.Error(t, err, "the port is free again")
}

func TestSimulateNamesATakenPort(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	code, _, errs := runCommand(t, "", "simulate", "--listen", strings.TrimPrefix(server.URL, "http://"))
	require.Equal(t, exitFailure, code)
	require.Contains(t, errs, "address already in use")
}
