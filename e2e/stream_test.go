package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// frame is one event as a stream tells it.
type frame struct{ id, event, data string }

// stream follows /v1/events/stream after an event until it has ended or most frames have come; zero is no bound. It may
// run beside the test; told counts the frames as they come.
func (c *client) stream(after string, most int, told *atomic.Int64) (frames []frame, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", c.url+"/v1/events/stream?after=0", nil)
	if err != nil {
		return nil, err
	}
	if after != "" {
		request.Header.Set("Last-Event-ID", after)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if kind := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/event-stream") {
		return nil, fmt.Errorf("the stream is answered %s with %s", response.Status, kind)
	}
	lines := bufio.NewReader(response.Body)
	for f := (frame{}); most == 0 || len(frames) < most; {
		text, err := lines.ReadString('\n')
		if err == io.EOF && text == "" {
			return frames, nil
		}
		if err != nil {
			return frames, err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(text, "\n"), ": ")
		switch name {
		case "id":
			f.id = value
		case "event":
			f.event = value
		case "data":
			f.data += value
		case "":
			if f.data != "" {
				frames = append(frames, f)
				told.Add(1)
			}
			f = frame{}
		}
	}
	return frames, nil
}

// A stream tells each event of a load once, in commit order, byte for byte; who comes back after a restart with the last
// ID goes on where the stream broke off.
func TestStreamSurvivesARestart(t *testing.T) {
	t.Parallel()
	const jobs, senders = 200, 10
	up := startUpstream(t, func(string) reply { return reply{wait: 50 * time.Millisecond, body: completion("fine")} })
	s := startServer(t, up.provider(""))
	load := func() *sync.WaitGroup {
		var all sync.WaitGroup
		for range senders {
			all.Go(func() {
				for range jobs / 2 / senders {
					if a, err := s.do("POST", "/v1/generate", strings.NewReader(ask("hello"))); err != nil || a.status != http.StatusAccepted {
						t.Errorf("%d %v: %s", a.status, err, a.body)
					}
				}
			})
		}
		return &all
	}
	var before []frame
	var told atomic.Int64
	ended := make(chan error, 1)
	go func() {
		var err error
		before, err = s.stream("", 0, &told)
		ended <- err
	}()
	load().Wait()
	s.eventually("the stream tells something", func() bool { return told.Load() > 0 })
	code, _ := s.stop()
	require.Zero(t, code)
	require.NoError(t, <-ended, "a server that stops ends its streams in order")
	require.NotEmpty(t, before)
	require.LessOrEqual(t, len(before), jobs, "the first half alone")
	s.restart()
	rest := load()
	after, err := s.stream(before[len(before)-1].id, 2*jobs-len(before), &told)
	require.NoError(t, err)
	rest.Wait()
	s.quiet()
	listed := s.events("")
	require.Len(t, listed, 2*jobs)
	t.Logf("%d events before the restart, %d after it", len(before), len(after))
	for i, f := range append(before, after...) {
		require.Equal(t, listed[i].Get("id").String(), f.id, "place %d", i)
		require.Equal(t, listed[i].Get("type").String(), f.event)
		require.Equal(t, listed[i].Raw, f.data)
	}
	_, err = s.stream("evt_none", 1, &told)
	require.ErrorContains(t, err, "400", "a lost place is said before the stream begins")
}
