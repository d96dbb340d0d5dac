package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// R21: SIGTERM under load lets calls in flight end, hands the rest back, and the next start goes on.
func TestSIGTERMUnderLoad(t *testing.T) {
	const lines, generations = 1500, 8
	const grace = 5 * time.Second
	up := startUpstream(t, func(body string) reply {
		return reply{wait: 30 * time.Millisecond, body: completion("answer to " + prompt(body))}
	})
	hook := startReceiver(t)
	s := startServer(t, append(openCallbacks(), up.provider(""), "server.shutdown_grace=5s")...)
	secret := s.secret()
	batch := s.batch(s.input(numbered(lines, 0)), hook.field())
	eventually(t, "a third is called", func() bool { return up.count() > lines/3 })
	var ids []string
	for range generations {
		ids = append(ids, s.generate("stay", hook.field()))
	}
	code, took := s.stop()
	require.Zero(t, code)
	require.Less(t, took, grace)
	before := up.count()
	require.Less(t, before, lines, "it stopped in the middle")
	s.restart()
	for _, id := range ids {
		require.Equal(t, "completed", s.ended(id).get("status").String())
		hook.wait(id, "generation.completed")
		hook.onlyOnce(id, secret)
	}
	done := s.ended(batch)
	s.whole(done, lines)
	hook.wait(batch, "batch.completed")
	t.Logf("stopped in %s after %d of %d calls; %d cut", took.Round(time.Millisecond), before, up.count(), cuts(up))
	require.LessOrEqual(t, up.count(), lines+generations+cuts(up), "only calls that were cut are made again")
}

// What does not end within the grace period is cut and handed back.
func TestSIGTERMCutsWhatTakesTooLong(t *testing.T) {
	const lines = 100
	const grace = time.Second
	slow := make(chan struct{})
	up := startUpstream(t, func(body string) reply {
		select {
		case <-slow:
			return reply{body: completion("answer to " + prompt(body))}
		default:
			return reply{wait: time.Hour}
		}
	})
	s := startServer(t, up.provider(""), "server.shutdown_grace=1s")
	batch := s.batch(s.input(numbered(lines, 0)), "")
	generation := s.generate("wait", "")
	eventually(t, "calls are in flight", func() bool { return up.busy() == slots })
	code, took := s.stop()
	require.Zero(t, code)
	t.Logf("stopped in %s with a grace period of %s", took.Round(time.Millisecond), grace)
	require.Less(t, took, grace+time.Second)
	eventually(t, "the calls are cut", func() bool { return up.busy() == 0 })
	close(slow)
	s.restart()
	require.Equal(t, "completed", s.ended(generation).get("status").String())
	s.whole(s.ended(batch), lines)
	require.LessOrEqual(t, up.count(), lines+1+cuts(up))
}

// Who only waits for news is answered at SIGTERM, and does not keep the server from stopping.
func TestSIGTERMEndsLongPolls(t *testing.T) {
	const grace = 3 * time.Second
	up := startUpstream(t, func(string) reply { return reply{wait: time.Hour} })
	s := startServer(t, up.provider(""), "server.shutdown_grace=3s")
	id := s.generate("wait", "")
	eventually(t, "the call is in flight", func() bool { return up.busy() == 1 })
	polled := make(chan time.Time, 1)
	sent := make(chan struct{})
	go func() {
		s.poll(id, sent)
		polled <- time.Now()
	}()
	<-sent
	s.read("/v1/jobs/" + id) // the poll was sent before this one
	asked := time.Now()
	code, took := s.stop()
	require.Zero(t, code)
	answered := (<-polled).Sub(asked)
	t.Logf("the poll was answered %s after SIGTERM, the server ended after %s", answered.Round(time.Millisecond), took.Round(time.Millisecond))
	require.Less(t, answered, grace/2, "long polls are answered at once")
	require.Less(t, took, grace+grace/2, "the grace period is one for all")
}

// The grace period is one for all: a client that never ends its upload and a call that never ends share it.
func TestSIGTERMHasOneGracePeriod(t *testing.T) {
	const grace = 2 * time.Second
	up := startUpstream(t, func(string) reply { return reply{wait: time.Hour} })
	s := startServer(t, up.provider(""), "server.shutdown_grace=2s")
	s.generate("wait", "")
	eventually(t, "the call is in flight", func() bool { return up.busy() == 1 })
	connection := s.dial()
	_, err := fmt.Fprintf(connection, "POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000\r\n\r\n"+
		"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n{")
	require.NoError(t, err)
	eventually(t, "the upload has begun", func() bool { return len(s.blobs()) == 1 })
	code, took := s.stop()
	require.Zero(t, code)
	t.Logf("stopped in %s with a grace period of %s", took.Round(time.Millisecond), grace)
	require.Less(t, took, grace+grace/2)
	s.restart()
	require.Empty(t, s.blobs(), "half an upload leaves nothing")
}

// poll waits for news of a job; sent is closed once the request is on its way.
func (c *client) poll(job string, sent chan struct{}) {
	trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { close(sent) }}
	ctx := httptrace.WithClientTrace(context.Background(), trace)
	request, err := http.NewRequestWithContext(ctx, "GET", c.url+"/v1/jobs/"+job+"?wait=60s", nil)
	if err != nil {
		c.t.Error(err)
		return
	}
	response, err := c.http.Do(request)
	if err != nil {
		c.t.Error("the poll was not answered:", err)
		return
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		c.t.Error("the poll was answered", response.Status)
	}
}

func cuts(up *upstream) (n int) {
	for _, c := range up.seen() {
		if c.cut {
			n++
		}
	}
	return n
}

// One data_dir has one server: a second one refuses to start and says what to do.
func TestSecondServerOnOneDataDirRefuses(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	second := exec.Command(binary, "serve", "--set", "server.listen=127.0.0.1:0", "--set", "data_dir="+s.dir)
	second.Dir = t.TempDir()
	output, err := second.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, 1, second.ProcessState.ExitCode())
	require.Contains(t, string(output), "in use by another ringback")
	s.read("/readyz")
}
