package pages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// firstLook is what a page's stream sends first.
func (d *desk) firstLook(path string) (sent []change) {
	d.t.Helper()
	ended, end := context.WithCancel(d.t.Context())
	end() // the server stops: what has been seen is sent, and that is all
	d.pages.Until = ended
	w := d.get(path, "Accept", "text/event-stream")
	require.Equal(d.t, "text/event-stream", w.Header().Get("Content-Type"))
	return changesOf(d.t, w.Body.String())
}

func changesOf(t require.TestingT, stream string) (sent []change) {
	for message := range strings.SplitSeq(stream, "\n\n") {
		data, ok := strings.CutPrefix(message, "data: ")
		if !ok {
			continue
		}
		var c change
		require.NoError(t, json.Unmarshal([]byte(data), &c))
		sent = append(sent, c)
	}
	return sent
}

// stream reads a page's stream in a bubble of time of its own.
type stream struct {
	d    *desk
	out  *recorder
	end  context.CancelFunc
	done chan struct{}
}

// recorder is a writer that a test reads while somebody writes.
type recorder struct {
	mu     sync.Mutex
	header http.Header
	status int
	body   strings.Builder
	broken bool // the browser has gone
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) { r.status = status }

func (r *recorder) Flush() {}

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken {
		return 0, errors.New("broken pipe")
	}
	return r.body.Write(b)
}

// take gives what was written since the last time.
func (r *recorder) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.body.Reset()
	return r.body.String()
}

func (d *desk) follow(path string) *stream {
	ctx, end := context.WithCancel(context.Background())
	s := &stream{d: d, out: &recorder{header: http.Header{}}, end: end, done: make(chan struct{})}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	r.Header.Set("Accept", "text/event-stream")
	go func() {
		defer close(s.done)
		d.mux.ServeHTTP(s.out, r)
	}()
	synctest.Wait()
	return s
}

func (s *stream) names() (names []string) {
	for _, c := range changesOf(s.d.t, s.out.take()) {
		names = append(names, c.Name)
	}
	return names
}

func (s *stream) later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// TestAStreamSendsWhatChanges: all at first, then what is new, and a sign of life where nothing is.
func TestAStreamSendsWhatChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := full(t, "Report")
		s := d.follow("/jobs")
		require.Equal(t, "text/event-stream", s.out.header.Get("Content-Type"))
		require.ElementsMatch(t, []string{"jobs.counts", "jobs.list", "nav.deliveries", "nav.jobs", "nav.webhooks"}, s.names())
		s.later(5 * livePace)
		require.Empty(t, s.out.take(), "nothing has changed")
		d.facts.change(func(f *facts) { f.jobs[0].Completed++ })
		s.later(2 * livePace)
		require.Equal(t, []string{"jobs.list"}, s.names())
		d.facts.change(func(f *facts) { f.jobs[0].Status = jobs.Failed })
		s.later(2 * livePace)
		require.ElementsMatch(t, []string{"jobs.counts", "jobs.list", "nav.jobs"}, s.names())
		s.later(livePace)
		require.Empty(t, s.out.take())
		s.later(livePace + liveSilence)
		require.Equal(t, ": still here\n\n", s.out.take())
		s.end()
		<-s.done
	})
}

func TestAStreamEnds(t *testing.T) {
	t.Parallel()
	t.Run("with its browser", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			left := 0
			d := open(t, world("x"), func(o *Options) { o.Streaming = func() (func(), error) { return func() { left++ }, nil } })
			s := d.follow("/jobs")
			s.end()
			<-s.done
			require.Equal(t, 1, left, "its place is free again")
		})
	})
	t.Run("with a browser that reads no more", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			d := full(t, "x")
			s := d.follow("/jobs")
			defer s.end()
			s.out.mu.Lock()
			s.out.broken = true
			s.out.mu.Unlock()
			s.later(liveSilence + 2*livePace)
			<-s.done
		})
	})
	t.Run("with the server", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			until, stop := context.WithCancel(context.Background())
			d := open(t, world("x"), func(o *Options) { o.Until = until })
			s := d.follow("/jobs")
			defer s.end()
			stop()
			<-s.done
		})
	})
}

// TestAStreamTellsOfTrouble, goes on, and says when it is over even where nothing has changed.
func TestAStreamTellsOfTrouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := full(t, "x")
		s := d.follow("/events")
		first := s.names()
		d.facts.change(func(f *facts) { f.fail = errors.New("disk I/O error: secret path") })
		s.later(2*livePace + time.Second/2)
		require.Contains(t, s.out.body.String(), "event: trouble\ndata: {}\n\n")
		require.NotContains(t, s.out.take(), "disk")
		require.Contains(t, d.log.String(), "disk I/O error")
		d.facts.change(func(f *facts) { f.fail = nil })
		s.later(2 * livePace)
		require.ElementsMatch(t, first, s.names())
		s.end()
		<-s.done
	})
}

func TestAStreamThatCannotBegin(t *testing.T) {
	t.Parallel()
	d := full(t, "x")
	d.facts.fail = errors.New("disk")
	w := d.get("/jobs", "Accept", "text/event-stream")
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Equal(t, http.StatusNotFound, open(t, &facts{}).get("/jobs/none", "Accept", "text/event-stream").Code)
}

// TestManyLookersAskOnce: pages that are open at once share what they are told.
func TestManyLookersAskOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m memo
		asked := 0
		ask := func() (int, error) { asked++; return asked, nil }
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				got, err := remember(&m, "a", ask)
				assert.NoError(t, err)
				assert.Equal(t, 1, got)
			})
		}
		all.Wait()
		time.Sleep(fresh)
		got, err := remember(&m, "a", ask)
		require.NoError(t, err)
		require.Equal(t, 2, got, "an old answer is asked for again")
		_, err = remember(&m, "b", func() (int, error) { return 0, errors.New("no") })
		require.Error(t, err)
		got, err = remember(&m, "b", func() (int, error) { return 7, nil })
		require.NoError(t, err, "a failure is not kept")
		require.Equal(t, 7, got)
		for i := range 3000 {
			_, _ = remember(&m, fmt.Sprint(i), func() (int, error) { return i, nil })
		}
		require.LessOrEqual(t, len(m.kept), 1002)
	})
}

// TestWhatNeedsAttentionStandsStill: the order of what is wrong is the same at each look.
func TestWhatNeedsAttentionStandsStill(t *testing.T) {
	t.Parallel()
	f := world("x")
	for i := range 20 {
		e := f.endpoints[0]
		e.ID, e.Name = fmt.Sprintf("more-%d", i), fmt.Sprintf("More %d", i)
		f.endpoints = append(f.endpoints, e)
		f.backlogs[fmt.Sprintf("host-%d", i)] = callbacks.Backlog{N: 1, ShutAt: 1}
	}
	var first string
	for range 20 {
		d := open(t, f)
		attention := words(having(d.get("/").doc, "data-live", "attention")[0])
		if first == "" {
			first = attention
		}
		require.Equal(t, first, attention)
	}
	require.Contains(t, first, "More 19")
}
