package web

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// Response is what responses have beside their rows.
func (m *memory) Response(_ context.Context, ref jobs.Ref) (jobs.Response, error) {
	return jobs.Response{ProjectID: ref.ProjectID, JobID: ref.ID, Items: []byte(`[{"id":"msg_1","type":"message"},{"id":"msg_2","type":"message"},{"id":"msg_3","type":"message"}]`)}, nil
}

// responder is a ResponseService whose responses say what the test tells them to; all else is jobs.Service.
type responder struct {
	Jobs
	facts *memory

	mu       sync.Mutex
	created  []jobs.NewResponse
	deleted  []string
	events   []jobs.ResponseEvent
	ended    bool
	told     chan struct{} // closed and made anew at each change
	keys     map[string][]byte
	streamed jobs.Streaming
}

func respond(t *testing.T, tweaks ...func(*Options)) (*harness, *responder) {
	t.Helper()
	r := &responder{told: make(chan struct{}), keys: map[string][]byte{}, streamed: jobs.Streamed}
	h := start(t, append(tweaks, func(o *Options) {
		r.Jobs, r.facts = o.Jobs, o.Facts.(*memory)
		o.Jobs, o.Facts = r, &responseFacts{r.facts, r}
	})...)
	return h, r
}

// responseFacts are jobs with what their responses show.
type responseFacts struct {
	*memory
	r *responder
}

func (f *responseFacts) Job(ctx context.Context, ref jobs.Ref) (jobs.Snapshot, error) {
	s, err := f.memory.Job(ctx, ref)
	s.Response = &jobs.Response{Settings: []byte(`{"temperature":0,"metadata":null}`), Streaming: f.r.streamed}
	return s, err
}

func (r *responder) CreateResponse(_ context.Context, n jobs.NewResponse) (jobs.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	j := jobs.Job{ProjectID: n.ProjectID, ID: "resp_" + strconv.Itoa(len(r.created)+1), Kind: jobs.KindResponse, Status: jobs.Queued}
	s := jobs.Snapshot{Job: j, Response: &jobs.Response{Settings: []byte(`{"temperature":0,"metadata":null}`)}}
	if n.Idempotency != nil {
		if kept, used := r.keys[n.Idempotency.Key]; used {
			return jobs.Snapshot{}, &jobs.Replay{Answer: kept}
		}
		r.keys[n.Idempotency.Key] = s.Object()
	}
	r.created = append(r.created, n)
	r.facts.mu.Lock()
	defer r.facts.mu.Unlock()
	r.facts.jobs = append(r.facts.jobs, j)
	return s, nil
}

func (r *responder) CancelResponse(ctx context.Context, ref jobs.Ref) (jobs.Snapshot, error) {
	s, err := r.facts.Job(ctx, ref)
	s.Status = jobs.Cancelled
	return s, err
}

func (r *responder) DeleteResponse(_ context.Context, ref jobs.Ref) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deleted = append(r.deleted, ref.ID)
	return nil
}

// say adds events: 0, 1, 2, …
func (r *responder) say(ended bool, types ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, typ := range types {
		n := int64(len(r.events))
		r.events = append(r.events, jobs.ResponseEvent{N: n, Type: typ, Data: []byte(`{"n":` + strconv.FormatInt(n, 10) + `}`)})
	}
	r.ended = ended
	close(r.told)
	r.told = make(chan struct{})
}

func (r *responder) ResponseEvents(ctx context.Context, _ jobs.Ref, after int64, wait time.Duration) ([]jobs.ResponseEvent, bool, error) {
	for over := time.After(wait); ; {
		r.mu.Lock()
		page, ended, told := r.events[min(int(after)+1, len(r.events)):], r.ended, r.told
		r.mu.Unlock()
		if len(page) > 0 || ended {
			return page, ended, nil
		}
		select {
		case <-told:
		case <-over:
			return nil, false, nil
		case <-ctx.Done():
			return nil, false, nil
		}
	}
}

const askResponse = `{"model":"sim-small","input":"hi","background":true,"metadata":{"a":"b"}`

func TestResponseKeepsOwnKeysFromTheProvider(t *testing.T) {
	t.Parallel()
	h, r := respond(t, func(o *Options) { o.Now = fixedNow })
	a := h.post("/v1/responses", askResponse+`, "webhook":"https://example.com/hook","webhook_ids":["known"],"priority":"low","run_at":"2024-01-01T00:00:00Z", "x":1e0}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, "queued", object(t, a.body)["status"])
	n := r.created[0]
	require.Equal(t, askResponse+`, "x":1e0}`, string(n.Body))
	require.Equal(t, `{"a":"b"}`, string(n.Metadata))
	require.Equal(t, "https://example.com/hook", n.Webhook.URL)
	require.Equal(t, jobs.PriorityLow, n.Priority)
	require.Equal(t, jobs.At(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)), n.RunAt)
}

func TestResponseRefusals(t *testing.T) {
	t.Parallel()
	h, _ := respond(t)
	h.post("/v1/responses", askResponse+"}")
	h.post("/v1/generate", `{"model":"sim-small","input":"hi"}`)
	_, _, _ = h.records.last()
	generation := h.records.jobs[1].ID
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		param, code              string
	}{
		{"no JSON", "POST", "/v1/responses", "{", 400, "", ""},
		{"own key twice", "POST", "/v1/responses", askResponse + `,"priority":"low","priority":"high"}`, 400, "priority", "invalid_value"},
		{"bad priority", "POST", "/v1/responses", askResponse + `,"priority":"urgent"}`, 400, "priority", "invalid_value"},
		{"unknown", "GET", "/v1/responses/resp_9", "", 404, "id", ""},
		{"of another kind", "GET", "/v1/responses/" + generation, "", 404, "id", ""},
		{"cancel unknown", "POST", "/v1/responses/resp_9/cancel", "", 404, "id", ""},
		{"delete unknown", "DELETE", "/v1/responses/resp_9", "", 404, "id", ""},
		{"items of unknown", "GET", "/v1/responses/resp_9/input_items", "", 404, "id", ""},
		{"strange stream", "GET", "/v1/responses/resp_1?stream=yes", "", 400, "stream", "invalid_type"},
		{"strange stream in the body", "GET", "/v1/responses/resp_1", `{"stream":"yes"}`, 400, "stream", "invalid_type"},
		{"strange place", "GET", "/v1/responses/resp_1?stream=true&starting_after=x", "", 400, "starting_after", "invalid_type"},
		{"place before all", "GET", "/v1/responses/resp_1?stream=true&starting_after=-1", "", 400, "starting_after", "integer_below_min_value"},
		{"items in a strange order", "GET", "/v1/responses/resp_1/input_items?order=up", "", 400, "order", "invalid_value"},
		{"too many items", "GET", "/v1/responses/resp_1/input_items?limit=101", "", 400, "limit", "integer_above_max_value"},
		{"items after nothing", "GET", "/v1/responses/resp_1/input_items?after=msg_9", "", 400, "after", "invalid_value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := h.do(tt.method, tt.path, tt.body)
			require.Equal(t, tt.status, a.status, a.body)
			e := failure(t, a)
			require.Equal(t, tt.param, e.Param)
			require.Equal(t, tt.code, e.Code)
		})
	}
}

func TestResponseStreamsThatCannotBe(t *testing.T) {
	t.Parallel()
	for streaming, word := range map[jobs.Streaming]string{jobs.NotStreamed: "was not created with", jobs.StreamGone: "24 hours"} {
		h, r := respond(t)
		r.streamed = streaming
		h.post("/v1/responses", askResponse+"}")
		a := h.get("/v1/responses/resp_1?stream=true")
		require.Equal(t, http.StatusBadRequest, a.status)
		require.Contains(t, failure(t, a).Message, word)
		require.Equal(t, http.StatusOK, h.get("/v1/responses/resp_1").status)
	}
}

func TestResponseInputItems(t *testing.T) {
	t.Parallel()
	h, _ := respond(t)
	h.post("/v1/responses", askResponse+"}")
	const path = "/v1/responses/resp_1/input_items"
	for query, want := range map[string]string{
		"":                   `{"object":"list","data":[{"id":"msg_3","type":"message"},{"id":"msg_2","type":"message"},{"id":"msg_1","type":"message"}],"first_id":"msg_3","last_id":"msg_1","has_more":false}`,
		"?order=asc&limit=1": `{"object":"list","data":[{"id":"msg_1","type":"message"}],"first_id":"msg_1","last_id":"msg_1","has_more":true}`,
		"?after=msg_3":       `{"object":"list","data":[{"id":"msg_2","type":"message"},{"id":"msg_1","type":"message"}],"first_id":"msg_2","last_id":"msg_1","has_more":false}`,
		"?after=msg_1":       `{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}`,
	} {
		require.Equal(t, want, h.get(path+query).body, query)
	}
}

func TestResponseCancelAndDelete(t *testing.T) {
	t.Parallel()
	h, r := respond(t)
	h.post("/v1/responses", askResponse+"}")
	require.Equal(t, "cancelled", object(t, h.post("/v1/responses/resp_1/cancel", "").body)["status"])
	require.JSONEq(t, `{"id":"resp_1","object":"response","deleted":true}`, h.do("DELETE", "/v1/responses/resp_1", "").body)
	require.Equal(t, []string{"resp_1"}, r.deleted)
}

// watch opens a stream and gives its lines as they come.
func (h *harness) watch(method, path, body string, headers ...string) (http.Header, *bufio.Scanner, func()) {
	h.t.Helper()
	ctx, leave := context.WithCancel(h.t.Context())
	request, err := http.NewRequestWithContext(ctx, method, h.server.URL+path, strings.NewReader(body))
	require.NoError(h.t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := h.server.Client().Do(request)
	require.NoError(h.t, err)
	h.t.Cleanup(func() { _ = answer.Body.Close(); leave() })
	require.Equal(h.t, http.StatusOK, answer.StatusCode)
	return answer.Header, bufio.NewScanner(answer.Body), leave
}

func requireLines(t *testing.T, s *bufio.Scanner, want ...string) {
	t.Helper()
	for _, line := range want {
		require.True(t, s.Scan(), "the stream has ended before %q: %v", line, s.Err())
		require.Equal(t, line, s.Text())
	}
}

func TestResponseStreamIsWrittenAsItComes(t *testing.T) {
	t.Parallel()
	h, r := respond(t)
	header, lines, _ := h.watch("POST", "/v1/responses", askResponse+`,"stream":true}`) // the headers come before any event
	require.Equal(t, "text/event-stream", header.Get("Content-Type"))
	r.say(false, "response.created")
	requireLines(t, lines, "event: response.created", `data: {"n":0}`, "")
	r.say(false, "a", "b")
	requireLines(t, lines, "event: a", `data: {"n":1}`, "", "event: b", `data: {"n":2}`, "")
	r.say(true, "response.completed")
	requireLines(t, lines, "event: response.completed", `data: {"n":3}`, "")
	require.False(t, lines.Scan(), "the stream ends after its last event, with no [DONE]")
}

func TestResponseStreamResumes(t *testing.T) {
	t.Parallel()
	h, r := respond(t)
	h.post("/v1/responses", askResponse+"}")
	r.say(true, "a", "b", "c")
	for _, tt := range []struct{ path, body string }{
		{"?stream=true&starting_after=1", ""},
		{"?starting_after=1", `{"stream":true}`}, // openai-go
		{"", `{"stream":true,"starting_after":1,"include":["x"]}`},
		{"?stream=true&starting_after=1&include[]=x&include=y&include_obfuscation=false", `{"stream":false,"starting_after":0}`},
	} {
		_, lines, _ := h.watch("GET", "/v1/responses/resp_1"+tt.path, tt.body)
		requireLines(t, lines, "event: c", `data: {"n":2}`, "")
		require.False(t, lines.Scan())
	}
	_, lines, _ := h.watch("GET", "/v1/responses/resp_1?stream=true&starting_after=7", "")
	require.False(t, lines.Scan(), "nothing follows the last event")
	require.Equal(t, "queued", object(t, h.get("/v1/responses/resp_1?stream=false").body)["status"])
}

func TestResponseStreamIsCreatedOnce(t *testing.T) {
	t.Parallel()
	h, r := respond(t)
	r.say(true, "a")
	for i := range 2 {
		header, lines, _ := h.watch("POST", "/v1/responses", askResponse+`,"stream":true}`, "Idempotency-Key", "k")
		requireLines(t, lines, "event: a", `data: {"n":0}`, "")
		require.Equal(t, i == 1, header.Get("Idempotent-Replayed") == "true")
	}
	require.Len(t, r.created, 1)
}

func TestResponseStreamPingsWhileNothingIsSaid(t *testing.T) {
	t.Parallel()
	h, r := respond(t)
	h.web.pace.ping = 10 * time.Millisecond
	_, lines, _ := h.watch("POST", "/v1/responses", askResponse+`,"stream":true}`)
	requireLines(t, lines, ": ping", "", ": ping", "")
	r.say(true, "a")
	for lines.Scan() && lines.Text() != `data: {"n":0}` { //nolint:revive // pings may come in between
	}
	require.Equal(t, `data: {"n":0}`, lines.Text())
}

func TestResponseStreamsAreBounded(t *testing.T) {
	t.Parallel()
	h, r := respond(t)
	h.web.streams = make(chan struct{}, 1)
	_, lines, leave := h.watch("POST", "/v1/responses", askResponse+`,"stream":true}`)
	for _, a := range []answer{h.get("/v1/responses/resp_1?stream=true"), h.post("/v1/responses", askResponse+`,"stream":true}`)} {
		require.Equal(t, http.StatusTooManyRequests, a.status)
		require.Equal(t, "too_many_streams", failure(t, a).Code)
		require.Contains(t, failure(t, a).Message, "create or fetch a response without 'stream', then poll it")
	}
	require.Len(t, r.created, 1, "nothing is created that could not be watched")
	leave()
	require.False(t, lines.Scan())
	require.Eventually(t, func() bool { return len(h.web.streams) == 0 }, 10*time.Second, time.Millisecond)
}

// TestResponseStreamIsCutOffByShutdown: whoever reads an orderly end takes it for the response's.
func TestResponseStreamIsCutOffByShutdown(t *testing.T) {
	t.Parallel()
	h, r := respond(t)
	_, lines, _ := h.watch("POST", "/v1/responses", askResponse+`,"stream":true}`)
	r.say(false, "a")
	requireLines(t, lines, "event: a", `data: {"n":0}`, "")
	h.web.EndWaits()
	require.False(t, lines.Scan())
	require.ErrorIs(t, lines.Err(), io.ErrUnexpectedEOF)
	require.Eventually(t, func() bool { return len(h.web.streams) == 0 }, 10*time.Second, time.Millisecond, "its place is free again")
}

// TestResponseStreamIsReplayedWhileItCanBeRead: a key whose response is deleted, or whose stream is kept no more, says so.
func TestResponseStreamIsReplayedWhileItCanBeRead(t *testing.T) {
	t.Parallel()
	h, r := respond(t)
	r.say(true, "a")
	create := func() answer {
		return h.do("POST", "/v1/responses", askResponse+`,"stream":true}`, "Idempotency-Key", "k")
	}
	require.Equal(t, http.StatusOK, create().status)
	r.streamed = jobs.StreamGone
	a := create()
	require.Equal(t, http.StatusBadRequest, a.status)
	require.Contains(t, failure(t, a).Message, "24 hours")
	h.records.mu.Lock()
	h.records.jobs = nil
	h.records.mu.Unlock()
	a = create()
	require.Equal(t, http.StatusNotFound, a.status)
	require.Contains(t, failure(t, a).Message, "resp_1")
	require.Empty(t, h.web.streams)
}

// TestResponseStreamBeginsSoon: one that is planned for later would hold a place until then.
func TestResponseStreamBeginsSoon(t *testing.T) {
	t.Parallel()
	h, r := respond(t, func(o *Options) { o.Now = fixedNow })
	at := func(d time.Duration) string {
		return askResponse + fmt.Sprintf(`,"stream":true,"run_at":%d}`, fixedNow().Add(d).Unix())
	}
	r.say(true, "a")
	a := h.post("/v1/responses", at(61*time.Second))
	require.Equal(t, http.StatusBadRequest, a.status, a.body)
	require.Equal(t, "stream", failure(t, a).Param)
	require.Contains(t, failure(t, a).Message, "without 'stream'")
	require.Empty(t, r.created)
	require.Equal(t, http.StatusOK, h.post("/v1/responses", at(59*time.Second)).status)
	require.Equal(t, http.StatusOK, h.post("/v1/responses", strings.Replace(at(time.Hour), `"stream":true`, `"stream":false`, 1)).status)
}
