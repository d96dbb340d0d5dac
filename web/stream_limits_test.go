package web

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

func TestStreamsAreCounted(t *testing.T) {
	t.Parallel()
	h := start(t)
	open := make([]*following, maxStreams)
	for i := range open {
		open[i] = h.follow(t, "")
	}
	a := h.get("/v1/events/stream")
	require.Equal(t, http.StatusTooManyRequests, a.status)
	require.Equal(t, "1", a.header.Get("Retry-After"))
	want := shown{failure(t, a).Message, "rate_limit_error", "", "too_many_streams"}
	require.Equal(t, want, failure(t, a))
	require.Contains(t, want.Message, "64 streams are open")
	require.Contains(t, want.Message, "/v1/events?after=")
	require.Equal(t, http.StatusBadRequest, h.get("/v1/events/stream?types=nonsense").status, "what can never begin is told so")

	open[0].leave()
	h.ended(t)
	require.Eventually(t, func() bool {
		return h.do(http.MethodHead, "/v1/events/stream", "").status == http.StatusOK
	}, 10*time.Second, 5*time.Millisecond)
	h.follow(t, "")
	require.Equal(t, http.StatusTooManyRequests, h.get("/v1/events/stream").status, "HEAD has left its place")
}

func TestAnUnknownTypeIsToldTheKnownOnes(t *testing.T) {
	t.Parallel()
	h := start(t)
	long := strings.Repeat("x", 5000)
	for _, ask := range []string{"/v1/events/stream?types=" + long, "/v1/deliveries?event_type=" + long} {
		a := h.get(ask)
		require.Equal(t, http.StatusBadRequest, a.status)
		for _, known := range callbacks.EventTypes() {
			require.Contains(t, failure(t, a).Message, known)
		}
	}
}

func TestPatienceGrowsWithAnEvent(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[int]time.Duration{
		0: 10 * time.Second, 32 << 10: 10500 * time.Millisecond, 64 << 10: 11 * time.Second, 256 << 10: 14 * time.Second,
	} {
		require.Equal(t, want, defaultPace().patience(bytes), bytes)
	}
}

// slowWriter takes its time for each write, and notes the deadlines that it is given.
type slowWriter struct {
	http.ResponseWriter
	deadlines int
	last      time.Time
}

func (s *slowWriter) SetWriteDeadline(at time.Time) error {
	s.deadlines++
	s.last = at
	return nil
}

func (s *slowWriter) Write(p []byte) (int, error) {
	time.Sleep(time.Second)
	return s.ResponseWriter.Write(p)
}

func TestAnEventHasOneDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &slowWriter{ResponseWriter: httptest.NewRecorder()}
		f := &frames{w: w, conn: http.NewResponseController(w), pace: defaultPace()}
		began := time.Now()
		f.event("evt_1", "batch.completed", bytes.Repeat([]byte("line\n"), (128<<10)/5+1))
		require.NoError(t, f.err)
		require.Equal(t, 1, w.deadlines)
		require.WithinDuration(t, began.Add(12*time.Second), w.last, time.Millisecond)
	})
}

// narrow serves the API over connections that hold little of what is on its way.
func (h *harness) narrow(t *testing.T) (address string) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.Config = HTTPServer(h.web)
	server.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		_ = conn.(*net.TCPConn).SetWriteBuffer(16 << 10)
		return ctx
	}
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// dialStream opens the stream over a connection of which the test reads what it likes.
func dialStream(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(32<<10))
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = fmt.Fprintf(conn, "GET /v1/events/stream?after=0 HTTP/1.1\r\nHost: %s\r\n\r\n", address)
	require.NoError(t, err)
	return conn
}

func TestAClientThatTricklesIsCutOff(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	h := startStream(t, func(p *pace) { p.write, p.rate = 300*time.Millisecond, 1<<30 })
	h.records.events = []jobs.Event{{Position: 1, ID: "evt_1", Type: "batch.completed", Body: bytes.Repeat([]byte("x"), size)}}
	conn := dialStream(t, h.narrow(t))
	var got int64
	tick := time.NewTicker(5 * time.Millisecond) // each piece in time, the event never
	defer tick.Stop()
	for !strings.Contains(h.log.String(), "route=/v1/events/stream") {
		n, err := io.CopyN(io.Discard, conn, 16<<10)
		got += n
		if errors.Is(err, io.EOF) { // cut off, and the log follows
			break
		}
		require.NoError(t, err)
		<-tick.C
	}
	rest, err := io.Copy(io.Discard, conn)
	require.False(t, isTimeout(err), "the connection stays open")
	require.Less(t, got+rest, int64(size))
}

// freshBodies gives each reader its own copy of an event, as a database does.
type freshBodies struct{ Facts }

func (f freshBodies) Events(ctx context.Context, project, after string, limit int) ([]jobs.Event, bool, error) {
	found, more, err := f.Facts.Events(ctx, project, after, limit)
	found = slices.Clone(found)
	for i := range found {
		found[i].Body = bytes.Clone(found[i].Body)
	}
	return found, more, err
}

// liveHeap is what is in use, without garbage.
func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestStalledStreamsHoldLittle is not parallel: the heap that it measures is the whole process's.
func TestStalledStreamsHoldLittle(t *testing.T) {
	h := start(t, func(o *Options) { o.Facts = freshBodies{o.Facts} })
	body := bytes.Repeat([]byte("x"), 250_000)
	for n := range 40 {
		h.records.events = append(h.records.events, jobs.Event{Position: int64(n + 1), ID: fmt.Sprintf("evt_%d", n+1), Type: "batch.completed", Body: body})
	}
	address := h.narrow(t)
	before := liveHeap()
	for range 60 {
		conn := dialStream(t, address)
		lines := bufio.NewReader(conn)
		for line := ""; line != "id: evt_1\n"; { // its first event is being written: from here on it stalls
			var err error
			line, err = lines.ReadString('\n')
			require.NoError(t, err)
		}
	}
	grown := liveHeap() - before
	require.Positive(t, grown)
	require.Less(t, grown, int64(150_000_000))
	require.Len(t, h.web.streams, 60, "all of them still wait")
	t.Logf("60 stalled streams hold %d MB", grown/1_000_000)
}
