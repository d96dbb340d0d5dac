package jobs_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/providers"
)

// responding is an exchange whose provider speaks responses, or only chat completions.
type responding struct {
	*exchange
	mu     sync.Mutex
	paths  []string
	bodies []string
	reply  func(w http.ResponseWriter, body string)
}

func newResponding(t *testing.T, speaks string) *responding {
	t.Helper()
	x := &responding{exchange: newExchange(t)}
	upstream := httptest.NewServer(http.HandlerFunc(x.serve))
	t.Cleanup(upstream.Close)
	registry, err := providers.New(providers.Options{Providers: []providers.Config{{
		Name: "up", BaseURL: upstream.URL + "/v1", Models: []string{"m*"}, Timeout: 10 * time.Second, Retries: 1, Responses: speaks,
	}}})
	require.NoError(t, err)
	t.Cleanup(registry.Close)
	clock := func() time.Time { return x.now() }
	x.service = jobs.NewService(jobs.ServiceOptions{
		Records: x.store, Blobs: x.files, Router: registry, Waker: nobody{}, Watchers: jobs.NewWatchers(), Now: clock,
	})
	x.restart(registry, jobs.Limits{}, clock)
	return x
}

func (x *responding) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	x.mu.Lock()
	x.paths, x.bodies = append(x.paths, r.URL.Path), append(x.bodies, string(body))
	reply := x.reply
	x.mu.Unlock()
	reply(w, string(body))
}

func (x *responding) replies(reply func(w http.ResponseWriter, body string)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.reply = reply
}

// asked are the calls so far.
func (x *responding) asked() (paths, bodies []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return append([]string(nil), x.paths...), append([]string(nil), x.bodies...)
}

func (x *responding) create(body string) (jobs.Snapshot, error) {
	return x.service.CreateResponse(x.t.Context(), jobs.NewResponse{Submission: submitted(nil), Body: []byte(body)})
}

func (x *responding) created(body string) jobs.Ref {
	x.t.Helper()
	s, err := x.create(body)
	require.NoError(x.t, err)
	require.Equal(x.t, jobs.Queued, s.Status)
	require.Equal(x.t, "queued", gjson.GetBytes(s.Object(), "status").Str)
	return s.Ref()
}

// watched are all events of a response that has ended.
func (x *responding) watched(ref jobs.Ref) (all []jobs.ResponseEvent) {
	x.t.Helper()
	for after := int64(-1); ; {
		page, ended, err := x.service.ResponseEvents(x.t.Context(), ref, after, 10*time.Second)
		require.NoError(x.t, err)
		for _, e := range page {
			require.Equal(x.t, after+1, e.N, "gapless")
			require.Equal(x.t, e.N, gjson.GetBytes(e.Data, "sequence_number").Int())
			require.Equal(x.t, e.Type, gjson.GetBytes(e.Data, "type").Str)
			all, after = append(all, e), e.N
		}
		if ended {
			return all
		}
	}
}

func typesOf(events []jobs.ResponseEvent) string {
	var types []string
	for _, e := range events {
		types = append(types, strings.TrimPrefix(e.Type, "response."))
	}
	return strings.Join(types, " ")
}

func sayJSON(body string) func(http.ResponseWriter, string) {
	return func(w http.ResponseWriter, _ string) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

// sayEvents streams data lines; "CUT" breaks the connection.
func sayEvents(data ...string) func(http.ResponseWriter, string) {
	return func(w http.ResponseWriter, _ string) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, d := range data {
			if d == "CUT" {
				panic(http.ErrAbortHandler)
			}
			fmt.Fprintf(w, "data: %s\n\n", d)
			_ = http.NewResponseController(w).Flush()
		}
	}
}

func word(text string) string {
	return fmt.Sprintf(`{"model":"m1-2026","choices":[{"index":0,"delta":{"content":%q},"finish_reason":null}]}`, text)
}

const (
	stop   = `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`
	native = `{"id":"resp_theirs","object":"response","created_at":1,"status":"completed","model":"m1-2026","output":[{"id":"msg_x","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"yes","annotations":[],"logprobs":[]}]}],"usage":{"input_tokens":3,"output_tokens":2,"total_tokens":5},"vendor":1e0}`
)

func TestResponseFromAnUpstreamThatSpeaksResponses(t *testing.T) {
	t.Parallel()
	x := newResponding(t, "")
	x.replies(sayJSON(native))
	ref := x.created(`{"model":"m1", "background":true,"input":"h\u0069","metadata":{"a":"b"},"z":12345678901234567890}`)
	done := x.settle(ref)
	paths, bodies := x.asked()
	require.Equal(t, []string{"/v1/responses"}, paths)
	require.Equal(t, `{"model":"m1","input":"h\u0069","metadata":{"a":"b"},"z":12345678901234567890,"store":false}`, bodies[0])
	require.Equal(t, jobs.Completed, done.Status)
	require.Equal(t, int64(5), done.TotalTokens)
	v := gjson.ParseBytes(done.Object())
	require.Equal(t, ref.ID, v.Get("id").Str)
	require.Equal(t, "yes", v.Get("output.0.content.0.text").Str)
	require.Equal(t, "1e0", v.Get("vendor").Raw)
	require.Equal(t, "b", v.Get("metadata.a").Str)
	require.Equal(t, done.CreatedAt.Unix(), v.Get("created_at").Int())

	events, _, err := x.store.Events(t.Context(), "default", "0", 10)
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Equal(t, jobs.ResponseCompleted, events[0].Type)
	require.Equal(t, string(done.Object()), gjson.GetBytes(events[0].Body, "data.object").Raw, "the callback shows what polling shows")
}

func TestResponseFromAnUpstreamThatSpeaksChat(t *testing.T) {
	t.Parallel()
	x := newResponding(t, providers.ResponsesChat)
	x.replies(sayJSON(`{"model":"m1-2026","choices":[{"message":{"content":"yes"},"finish_reason":"length"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`))
	ref := x.created(`{"model":"m1","background":true,"input":"hi","temperature":0}`)
	done := x.settle(ref)
	paths, bodies := x.asked()
	require.Equal(t, []string{"/v1/chat/completions"}, paths)
	require.Equal(t, `{"model":"m1","messages":[{"role":"user","content":"hi"}],"temperature":0}`, bodies[0])
	require.Equal(t, jobs.Incomplete, done.Status)
	require.Equal(t, "max_output_tokens", gjson.GetBytes(done.Object(), "incomplete_details.reason").Str)
	events, _, err := x.store.Events(t.Context(), "default", "0", 10)
	require.NoError(t, err)
	require.Equal(t, jobs.ResponseIncomplete, events[0].Type)
}

func TestResponseStreamOfChat(t *testing.T) {
	t.Parallel()
	x := newResponding(t, providers.ResponsesChat)
	x.replies(sayEvents(word("y"), word("es"), stop, "[DONE]"))
	ref := x.created(`{"model":"m1","background":true,"input":"hi","stream":true}`)
	done := x.settle(ref)
	events := x.watched(ref)
	require.Equal(t, "created queued in_progress output_item.added content_part.added output_text.delta output_text.delta output_text.done content_part.done output_item.done completed", typesOf(events))
	require.Equal(t, "queued", gjson.GetBytes(events[0].Data, "response.status").Str)
	require.Equal(t, string(done.Object()), gjson.GetBytes(events[10].Data, "response").Raw)
	require.Equal(t, int64(5), done.TotalTokens)
	_, bodies := x.asked()
	require.Equal(t, `{"include_usage":true}`, gjson.Get(bodies[0], "stream_options").Raw)
}

func TestResponseStreamOfResponses(t *testing.T) {
	t.Parallel()
	x := newResponding(t, "")
	x.replies(sayEvents(`{"type":"response.created","sequence_number":0,"response":{}}`,
		`{"type":"response.output_text.delta","sequence_number":1,"delta":"yes"}`,
		`{"type":"response.completed","sequence_number":2,"response":`+native+`}`))
	ref := x.created(`{"model":"m1","background":true,"input":"hi","stream":true}`)
	done := x.settle(ref)
	events := x.watched(ref)
	require.Equal(t, "created queued in_progress output_text.delta completed", typesOf(events))
	require.Equal(t, `{"type":"response.output_text.delta","sequence_number":3,"delta":"yes"}`, string(events[3].Data))
	require.Equal(t, string(done.Object()), gjson.GetBytes(events[4].Data, "response").Raw)
}

// A long stream is read in pages, and its end comes after the last of them.
func TestResponseLongStream(t *testing.T) {
	t.Parallel()
	x := newResponding(t, providers.ResponsesChat)
	const words = 250
	data := make([]string, 0, words+2)
	for i := range words {
		data = append(data, word(fmt.Sprintf("%d ", i)))
	}
	x.replies(sayEvents(append(data, stop, "[DONE]")...))
	ref := x.created(`{"model":"m1","background":true,"input":"hi","stream":true}`)
	done := x.settle(ref)
	var text strings.Builder
	events := x.watched(ref)
	for _, e := range events {
		text.WriteString(gjson.GetBytes(e.Data, "delta").Str)
	}
	require.Equal(t, "response.completed", events[len(events)-1].Type)
	require.Equal(t, gjson.GetBytes(done.Object(), "output.0.content.0.text").Str, text.String())
	require.Len(t, events, 3+2+words+3+1)
}

// A provider that answers in one piece where it was asked for a stream has answered all the same.
func TestResponseThatIsNotStreamedAfterAll(t *testing.T) {
	t.Parallel()
	for speaks, body := range map[string]string{
		"":                      native,
		providers.ResponsesChat: `{"choices":[{"message":{"content":"yes"},"finish_reason":"stop"}]}`,
	} {
		x := newResponding(t, speaks)
		x.replies(sayJSON(body))
		ref := x.created(`{"model":"m1","background":true,"input":"hi","stream":true}`)
		done := x.settle(ref)
		require.Equal(t, "yes", gjson.GetBytes(done.Object(), "output.0.content.0.text").Str)
		require.Equal(t, "created queued in_progress output_item.added content_part.added output_text.delta output_text.done content_part.done output_item.done completed",
			typesOf(x.watched(ref)), "the stream is whole")
	}
}

// An attempt that breaks off in mid-answer leaves what it said; the next one goes on with the next number, and the last
// event is the one that counts.
func TestResponseStreamGoesOnAfterABreak(t *testing.T) {
	t.Parallel()
	x := newResponding(t, providers.ResponsesChat)
	x.replies(sayEvents(word("no"), "CUT"))
	ref := x.created(`{"model":"m1","background":true,"input":"hi","stream":true}`)
	x.later(time.Second)
	x.sweep()
	require.Equal(t, jobs.InProgress, x.job(ref).Status)
	x.replies(sayEvents(word("yes"), stop, "[DONE]"))
	done := x.settle(ref)
	events := x.watched(ref)
	require.Equal(t, "created queued in_progress output_item.added content_part.added output_text.delta "+
		"in_progress output_item.added content_part.added output_text.delta output_text.done content_part.done output_item.done completed", typesOf(events))
	require.Equal(t, "yes", gjson.GetBytes(done.Object(), "output.0.content.0.text").Str)
	require.Len(t, gjson.GetBytes(done.Object(), "output").Array(), 1)
}

func TestResponseFailures(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		status int
		body   string
		code   string
		says   string
	}{
		{"rejected", 400, `{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}`, "invalid_prompt", "too long"},
		{"refused for a reason of OpenAI's", 400, `{"error":{"message":"bad image","code":"invalid_image"}}`, "invalid_image", "bad image"},
		{"quota", 429, `{"error":{"message":"pay","code":"insufficient_quota","type":"insufficient_quota"}}`, "rate_limit_exceeded", "pay"},
		{"our key", 401, `{"error":{"message":"key sk-1"}}`, "server_error", ""},
		{"its own failure", 400, `<html>`, "invalid_prompt", ""},
		{"an answer that is none", 200, `{"status":"in_progress"}`, "server_error", "in_progress"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newResponding(t, "")
			x.replies(func(w http.ResponseWriter, _ string) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			})
			ref := x.created(`{"model":"m1","background":true,"input":"hi","stream":true}`)
			done := x.settle(ref)
			require.Equal(t, jobs.Failed, done.Status)
			v := gjson.ParseBytes(done.Object())
			require.Equal(t, "failed", v.Get("status").Str)
			require.Equal(t, tt.code, v.Get("error.code").Str)
			require.Contains(t, v.Get("error.message").Str, tt.says)
			require.NotContains(t, v.Get("error.message").Str, "sk-1")
			require.Equal(t, "created queued in_progress failed", typesOf(x.watched(ref)))
		})
	}
}

func TestResponseRefusals(t *testing.T) {
	t.Parallel()
	x := newResponding(t, providers.ResponsesChat)
	running := x.created(`{"model":"m1","background":true,"input":"hi"}`)
	for _, tt := range []struct {
		name, body, param string
		code              jobs.Code
	}{
		{"in the foreground", `{"model":"m1","input":"hi"}`, "background", jobs.CodeUnsupported},
		{"no input", `{"model":"m1","background":true}`, "input", jobs.CodeMissing},
		{"unknown model", `{"model":"x","background":true,"input":"hi"}`, "model", jobs.CodeModel},
		{"a tool that chat does not have", `{"model":"m1","background":true,"input":"hi","tools":[{"type":"web_search"}]}`, "tools[0].type", jobs.CodeUnsupported},
		{"unknown previous", `{"model":"m1","background":true,"input":"hi","previous_response_id":"resp_0"}`, "previous_response_id", jobs.CodePrevious},
		{"no ID of a response", `{"model":"m1","background":true,"input":"hi","previous_response_id":"gen_\u0000"}`, "previous_response_id", jobs.CodePrevious},
		{"previous has not ended", `{"model":"m1","background":true,"input":"hi","previous_response_id":"` + running.ID + `"}`, "previous_response_id", jobs.CodeValue},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := x.create(tt.body)
			var e *jobs.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, tt.code, e.Code, e.Message)
			require.Equal(t, tt.param, e.Param)
		})
	}
}

func TestResponseContinuesAnother(t *testing.T) {
	t.Parallel()
	x := newResponding(t, "")
	x.replies(sayJSON(native))
	first := x.created(`{"model":"m1","background":true,"input":"one"}`)
	x.settle(first)
	second := x.created(`{"model":"m1","background":true,"input":"two","previous_response_id":"` + first.ID + `"}`)
	x.settle(second)
	require.NoError(t, x.service.DeleteResponse(t.Context(), first), "a deleted one is in those that continued it")
	third := x.created(`{"model":"m1","background":true,"input":"three","previous_response_id":"` + second.ID + `"}`)
	done := x.settle(third)
	require.Equal(t, second.ID, gjson.GetBytes(done.Object(), "previous_response_id").Str)
	_, bodies := x.asked()
	var said []string
	for _, item := range gjson.Get(bodies[2], "input").Array() {
		said = append(said, item.Get("role").Str+":"+item.Get("content.0.text").Str)
	}
	require.Equal(t, []string{"user:one", "assistant:yes", "user:two", "assistant:yes", "user:three"}, said)
	facts, err := x.store.Response(t.Context(), third)
	require.NoError(t, err)
	require.Len(t, gjson.ParseBytes(facts.Items).Array(), 1, "its own items")
}

func TestResponseIsCancelledAndDeletedInFlight(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"cancelled", "deleted"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newResponding(t, providers.ResponsesChat)
			begun, left := make(chan struct{}), make(chan struct{})
			x.replies(func(w http.ResponseWriter, _ string) {
				sayEvents(word("y"))(w, "")
				close(begun)
				<-left
			})
			ref := x.created(`{"model":"m1","background":true,"input":"hi","stream":true}`)
			x.later(time.Second)
			var swept sync.WaitGroup
			swept.Go(func() { x.sweep() })
			<-begun
			if name == "deleted" {
				require.NoError(t, x.service.DeleteResponse(t.Context(), ref))
			} else {
				s, err := x.service.CancelResponse(t.Context(), ref)
				require.NoError(t, err)
				require.Equal(t, "cancelled", gjson.GetBytes(s.Object(), "status").Str)
			}
			swept.Wait() // the call was broken off
			close(left)
			events, _, err := x.store.Events(t.Context(), "default", "0", 10)
			require.NoError(t, err)
			require.Len(t, events, 1)
			require.Equal(t, jobs.ResponseCancelled, events[0].Type)
			if name == "deleted" {
				_, err := x.store.Job(t.Context(), ref)
				require.True(t, jobs.IsCode(err, jobs.CodeNotFound))
				require.True(t, jobs.IsCode(x.service.DeleteResponse(t.Context(), ref), jobs.CodeNotFound))
			}
			require.NotContains(t, typesOf(x.watched(ref)), "cancelled", "its stream just ends")
		})
	}
}

func TestResponseThatHasEndedIsCancelledAsItIs(t *testing.T) {
	t.Parallel()
	x := newResponding(t, "")
	x.replies(sayJSON(native))
	ref := x.created(`{"model":"m1","background":true,"input":"hi"}`)
	done := x.settle(ref)
	again, err := x.service.CancelResponse(t.Context(), ref)
	require.NoError(t, err)
	require.Equal(t, string(done.Object()), string(again.Object()))
}

// A worker that has lost its claim adds nothing to the stream of the one that has it.
func TestResponseStreamHasOneWriter(t *testing.T) {
	t.Parallel()
	x := newResponding(t, "")
	ref := x.created(`{"model":"m1","background":true,"input":"hi","stream":true}`)
	claim := func(owner string) jobs.Job {
		claimed, err := x.store.ClaimJobs(t.Context(), owner, []jobs.Ref{ref}, jobs.At(x.now()))
		require.NoError(t, err)
		require.Len(t, claimed, 1)
		return claimed[0]
	}
	event := func(n int64, data string) []jobs.ResponseEvent {
		return []jobs.ResponseEvent{{ProjectID: ref.ProjectID, JobID: ref.ID, N: n, Type: "a", Data: []byte(data)}}
	}
	first := claim("one")
	require.NoError(t, x.store.KeepResponseEvents(t.Context(), first, event(3, "1")))
	require.NoError(t, x.store.KeepResponseEvents(t.Context(), first, event(3, "again")), "a set that was kept already")
	require.NoError(t, x.store.FreeOthers(t.Context(), "two"))
	second := claim("two")
	require.ErrorIs(t, x.store.KeepResponseEvents(t.Context(), first, event(4, "late")), jobs.ErrStale)
	require.NoError(t, x.store.KeepResponseEvents(t.Context(), second, event(4, "2")))
	look, err := x.store.LookAtStream(t.Context(), ref, jobs.StreamQuery{Events: 10, Bytes: 1000})
	require.NoError(t, err)
	kept := look.Events
	require.Len(t, kept, 2)
	require.Equal(t, "1", string(kept[0].Data))
	require.Equal(t, "2", string(kept[1].Data))
}

// Whoever waits for events is answered by the next ones, or when the time is up.
func TestResponseEventsAreWaitedFor(t *testing.T) {
	t.Parallel()
	x := newResponding(t, "")
	ref := x.created(`{"model":"m1","background":true,"input":"hi","stream":true}`)
	page, ended, err := x.service.ResponseEvents(t.Context(), ref, -1, time.Minute)
	require.NoError(t, err)
	require.False(t, ended)
	require.Equal(t, "created queued", typesOf(page))
	page, ended, err = x.service.ResponseEvents(t.Context(), ref, 1, time.Millisecond)
	require.NoError(t, err)
	require.True(t, len(page) == 0 && !ended)
	gone, leave := context.WithCancel(t.Context())
	leave()
	_, ended, err = x.service.ResponseEvents(gone, ref, 1, time.Minute)
	require.True(t, err != nil || !ended)
	_, err = x.service.CancelResponse(t.Context(), ref)
	require.NoError(t, err)
	require.Equal(t, "created queued", typesOf(x.watched(ref)), "it has never begun")
}

// An event about a long response leaves out what makes it long, and still shows a response.
func TestResponseEventIsBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	s := jobs.Snapshot{
		Job:      jobs.Job{ID: "resp_1", Kind: jobs.KindResponse, Status: jobs.Completed, Model: "m1", Metadata: []byte(`{"a":"b"}`), EndedAt: 5000},
		Response: &jobs.Response{Settings: []byte(`{"instructions":"` + long + `"}`)},
		Result:   []byte(`{"id":"resp_1","output":"` + long + `"}`),
	}
	e := jobs.JobEvent(&s, jobs.ResponseCompleted, 5000, jobs.EventLimits{Bytes: 4000, PublicURL: "https://ring"})
	require.Less(t, len(e.Body), 4000)
	v := gjson.ParseBytes(e.Body)
	require.True(t, v.Get("response_omitted").Bool())
	require.Equal(t, "https://ring/v1/jobs/resp_1", v.Get("result_url").Str)
	require.Equal(t, "completed", v.Get("data.object.status").Str)
	require.Equal(t, "5", v.Get("data.object.completed_at").Raw)
	require.Equal(t, "b", v.Get("data.object.metadata.a").Str)
	require.Equal(t, "[]", v.Get("data.object.output").Raw)
}
