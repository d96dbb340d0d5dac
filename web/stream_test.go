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
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// following is one client of the stream.
type following struct {
	t      *testing.T
	answer *http.Response
	lines  *bufio.Reader
	leave  context.CancelFunc
}

// frame is one block of a stream.
type frame struct{ id, event, data, retry, comment string }

// follow opens the stream; it fails after 10 s without what it waits for.
func (h *harness) follow(t *testing.T, query string, headers ...string) *following {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.server.URL+"/v1/events/stream"+query, nil)
	require.NoError(t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := h.server.Client().Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	require.Equal(t, http.StatusOK, response.StatusCode)
	f := &following{t: t, answer: response, lines: bufio.NewReader(response.Body), leave: cancel}
	place := f.next()
	require.NotEmpty(t, place.id, "one that is cut off now knows where it stood")
	require.Equal(t, frame{retry: "1000", id: place.id}, place)
	return f
}

// read reads a block.
func (f *following) read() (got frame, err error) {
	for {
		line, err := f.lines.ReadString('\n')
		if err != nil {
			return got, err
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			got.data = strings.TrimPrefix(got.data, "\n")
			return got, nil
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			got.id = value
		case "event":
			got.event = value
		case "data":
			got.data += "\n" + value
		case "retry":
			got.retry = value
		case "":
			got.comment = value
		default:
			return got, fmt.Errorf("no field of a stream: %q", line)
		}
	}
}

func (f *following) next() frame {
	f.t.Helper()
	got, err := f.read()
	require.NoError(f.t, err)
	return got
}

// ids are those of the next n events.
func (f *following) ids(n int) []string {
	f.t.Helper()
	got := make([]string, n)
	for i := range got {
		got[i] = f.next().id
	}
	return got
}

func numbered(from, to int) (ids []string) {
	for n := from; n <= to; n++ {
		ids = append(ids, fmt.Sprintf("evt_%d", n))
	}
	return ids
}

// startStream is a server whose streams look often.
func startStream(t *testing.T, tweaks ...func(*pace)) *harness {
	t.Helper()
	h := start(t).madeUp()
	h.web.pace.poll = 2 * time.Millisecond
	for _, tweak := range tweaks {
		tweak(&h.web.pace)
	}
	return h
}

func times(n int, typ jobs.EventType) []jobs.EventType {
	types := make([]jobs.EventType, n)
	for i := range types {
		types[i] = typ
	}
	return types
}

func TestAStreamBeginsWithWhatHappensNext(t *testing.T) {
	t.Parallel()
	for _, before := range []int{0, 3} {
		h := startStream(t)
		h.records.happen(times(before, "batch.created")...)
		f := h.follow(t, "", "Accept-Encoding", "gzip", "Accept", "application/json")
		h.records.happen("batch.completed", "batch.failed")
		first, second := fmt.Sprintf("evt_%d", before+1), fmt.Sprintf("evt_%d", before+2)
		require.Equal(t, frame{id: first, event: "batch.completed", data: `{"id":"` + first + `"}`}, f.next())
		require.Equal(t, frame{id: second, event: "batch.failed", data: `{"id":"` + second + `"}`}, f.next())
		header := f.answer.Header
		require.Equal(t, "text/event-stream", header.Get("Content-Type"))
		require.Equal(t, "no", header.Get("X-Accel-Buffering"))
		require.Equal(t, "no-store", header.Get("Cache-Control"))
		require.Empty(t, header.Get("Content-Encoding"))
		require.Empty(t, header.Get("Content-Length"))
		require.True(t, f.answer.Close, "its last write's deadline would stay on the connection")
	}
}

func TestAStreamGoesOnWhereItsClientLeftOff(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		query   string
		headers []string
		first   int
	}{
		"an ID":            {"?after=evt_30", nil, 31},
		"a position":       {"?after=30", nil, 31},
		"the beginning":    {"?after=0", nil, 1},
		"the last":         {"?after=evt_90", nil, 91},
		"header":           {"", []string{"Last-Event-ID", "evt_30"}, 31},
		"header, position": {"", []string{"Last-Event-ID", "90"}, 91},
		"header is newer":  {"?after=evt_1", []string{"Last-Event-ID", "evt_30"}, 31},
		"empty header":     {"?after=evt_1", []string{"Last-Event-ID", ""}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := startStream(t)
			h.records.happen(times(90, "batch.created")...)
			f := h.follow(t, tc.query, tc.headers...)
			h.records.happen(times(45, "batch.completed")...)
			require.Equal(t, numbered(tc.first, 135), f.ids(135-tc.first+1))
			h.records.happen("batch.failed")
			require.Equal(t, "evt_136", f.next().id)
		})
	}
}

func TestNothingIsSkippedOrSentTwiceWhileEventsPourIn(t *testing.T) {
	t.Parallel()
	h := startStream(t, func(p *pace) { p.page = 3 })
	h.records.happen(times(100, "batch.created")...)
	f := h.follow(t, "?after=0")
	written := make(chan struct{})
	go func() {
		defer close(written)
		for range 400 {
			h.records.happen("batch.completed")
		}
	}()
	require.Equal(t, numbered(1, 500), f.ids(500))
	<-written
}

func TestAStreamIsFilteredByType(t *testing.T) {
	t.Parallel()
	happened := []jobs.EventType{"batch.created", "batch.completed", "file.created", "generation.failed", "generation.completed"}
	for query, want := range map[string][]string{
		"types=batch.*":                            {"evt_1", "evt_2"},
		"types=batch.*,file.*":                     {"evt_1", "evt_2", "evt_3"},
		"types=batch.completed&types=generation.*": {"evt_2", "evt_4", "evt_5"},
		"types=*":                       numbered(1, 5),
		"types=":                        numbered(1, 5),
		"types=,":                       numbered(1, 5),
		"types=file.created":            {"evt_3"},
		"types=endpoint.*,file.created": {"evt_3"},
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			h := startStream(t)
			h.records.happen(happened...)
			f := h.follow(t, "?after=0&"+query)
			require.Equal(t, want, f.ids(len(want)))
		})
	}
}

func TestAStreamedBodyIsTheFrozenOne(t *testing.T) {
	t.Parallel()
	h := startStream(t)
	body := "{\"id\":\"evt_1\",\r\n \"s\": \"a\\r\\nb\",\r\"n\":\n\n 1.0 }\n"
	long := `{"s":"` + strings.Repeat("x", 100_000) + `"}`
	h.records.events = []jobs.Event{
		{Position: 1, ID: "evt_1", Type: "batch.completed", Body: []byte(body)},
		{Position: 2, ID: "evt_2", Type: "batch.completed", Body: []byte(long)},
	}
	f := h.follow(t, "?after=0")
	require.Equal(t, strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(body), f.next().data)
	require.Equal(t, long, f.next().data)
}

func TestASilentStreamPings(t *testing.T) {
	t.Parallel()
	h := startStream(t, func(p *pace) { p.ping = 10 * time.Millisecond })
	f := h.follow(t, "?types=batch.*")
	for range 3 {
		require.Equal(t, frame{comment: "ping"}, f.next())
	}
	h.records.happen("generation.completed", "batch.completed")
	for got := f.next(); got.id == ""; got = f.next() {
		require.Equal(t, frame{comment: "ping"}, got)
	}
}

func TestAStreamThatCannotBeginSaysSo(t *testing.T) {
	t.Parallel()
	h := startStream(t)
	h.records.happen("batch.created", "batch.completed")
	for name, tc := range map[string]struct {
		query   string
		headers []string
		param   string
	}{
		"unknown ID":          {"?after=evt_gone", nil, "after"},
		"unknown in header":   {"?after=evt_1", []string{"Last-Event-ID", "evt_gone"}, "after"},
		"position to come":    {"?after=3", nil, "after"},
		"position below zero": {"?after=-1", nil, "after"},
		"NUL":                 {"?after=%00", nil, "after"},
		"not UTF-8":           {"?after=%ff", nil, "after"},
		"no filter":           {"?types=batch.[", nil, "types"},
		"unknown type":        {"?types=nonsense", nil, "types"},
		"unknown family":      {"?types=task.*", nil, "types"},
		"second is unknown":   {"?types=batch.*,batch.done", nil, "types"},
		"second is no filter": {"?types=batch.*&types=[a-", nil, "types"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := h.get("/v1/events/stream"+tc.query, tc.headers...)
			require.Equal(t, http.StatusBadRequest, a.status, a.body)
			require.Equal(t, shown{failure(t, a).Message, typeRequest, tc.param, "invalid_value"}, failure(t, a))
		})
	}
}

func TestHeadOfAStreamEnds(t *testing.T) {
	t.Parallel()
	h := startStream(t)
	a := h.do(http.MethodHead, "/v1/events/stream", "")
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "text/event-stream", a.header.Get("Content-Type"))
	require.Empty(t, a.body)
	require.Equal(t, http.StatusBadRequest, h.do(http.MethodHead, "/v1/events/stream?after=evt_gone", "").status)
}

// ended waits until the stream's line stands in the access log: its handler has returned.
func (h *harness) ended(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(h.log.String(), "route=/v1/events/stream") }, 10*time.Second, 2*time.Millisecond)
}

func TestAClientThatDoesNotReadIsCutOff(t *testing.T) {
	t.Parallel()
	h := startStream(t, func(p *pace) { p.write, p.rate = 50*time.Millisecond, 1<<30 })
	body := bytes.Repeat([]byte("x"), 1<<20)
	for n := range 64 { // far more than the buffers between the two hold
		h.records.events = append(h.records.events, jobs.Event{Position: int64(n + 1), ID: fmt.Sprintf("evt_%d", n+1), Type: "batch.completed", Body: body})
	}
	address := strings.TrimPrefix(h.server.URL, "http://")
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "GET /v1/events/stream?after=0 HTTP/1.1\r\nHost: %s\r\n\r\n", address)
	require.NoError(t, err)
	h.ended(t)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	got, err := io.Copy(io.Discard, conn)
	require.Less(t, got, int64(64<<20))
	require.False(t, errors.Is(err, context.DeadlineExceeded) || isTimeout(err), "the connection stays open")
	require.NotContains(t, h.log.String(), "request failed")
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestAStreamEndsWhenItsClientGoesAway(t *testing.T) {
	t.Parallel()
	h := startStream(t)
	h.follow(t, "").leave()
	h.ended(t)
	require.NotContains(t, h.log.String(), "request failed")
}

func TestShutdownEndsStreams(t *testing.T) {
	t.Parallel()
	h := startStream(t)
	h.records.happen("batch.completed")
	f := h.follow(t, "?after=0")
	require.Equal(t, "evt_1", f.next().id)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	require.NoError(t, h.server.Config.Shutdown(ctx))
	_, err := f.read()
	require.Equal(t, io.EOF, err, "an end, and no cut")
	require.NotContains(t, h.log.String(), "request failed")
}

func TestAStreamWhoseStoreFailsIsCutOff(t *testing.T) {
	t.Parallel()
	h := startStream(t)
	f := h.follow(t, "")
	h.records.setFail(errors.New("disk: canary"))
	_, err := f.read()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Eventually(t, func() bool { return strings.Contains(h.log.String(), "canary") }, 10*time.Second, 2*time.Millisecond)
}

func TestAStreamNeedsNoConnection(t *testing.T) {
	t.Parallel()
	h := startStream(t)
	h.records.happen("batch.completed")
	h.web.EndWaits()
	r := httptest.NewRequest(http.MethodGet, "http://localhost/v1/events/stream?after=0", nil)
	recorder := httptest.NewRecorder()
	h.web.ServeHTTP(recorder, r)
	require.Equal(t, http.StatusOK, recorder.Code)
	require.True(t, strings.HasPrefix(recorder.Body.String(), "retry: 1000\nid: 0\n\n"))
	require.True(t, recorder.Flushed)
}

func TestAnEventIsItsFrozenBytes(t *testing.T) {
	t.Parallel()
	h := start(t).madeUp()
	body := `{"id":"evt_1", "n": 12345678901234567890, "s":"<é\u00e9>" }`
	h.records.events = []jobs.Event{{Position: 1, ID: "evt_1", Body: []byte(body)}}
	require.Equal(t, body, h.get("/v1/events/evt_1").body)
	for _, id := range []string{"evt_2", "1", "a%00b", "%ff"} {
		a := h.get("/v1/events/" + id)
		require.Equal(t, http.StatusNotFound, a.status, id)
		require.Contains(t, failure(t, a).Message, "No event found with id '")
	}
}
