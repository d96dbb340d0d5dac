package jobs_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/providers"
)

// What an upstream says with a status of success and is no answer is a failed try: the next one counts, and a response of
// which no try held an answer has failed.
func TestResponseTriesAgainAfterWhatIsNoAnswer(t *testing.T) {
	t.Parallel()
	const chat = providers.ResponsesChat
	for _, tt := range []struct {
		name, speaks string
		streamed     bool
		say          func(http.ResponseWriter, string)
		why          string
	}{
		{"another object", chat, false, sayJSON(`{"foo":1}`), "no message"},
		{"no choice", chat, false, sayJSON(`{"choices":[]}`), "no message"},
		{"another object to a stream", chat, true, sayJSON(`{"foo":1}`), "no message"},
		{"another object in a stream", chat, true, sayEvents(`{"foo":1}`, "[DONE]"), "no message"},
		{"no choice in a stream", chat, true, sayEvents(`{"choices":[]}`, "[DONE]"), "no message"},
		{"broken off", chat, false, sayJSON(`{"choices":[{"message":{"content":"n"},"finish_reason":"error"}]}`), "'error'"},
		{"cut", chat, true, sayEvents(word("n"), "[DONE]"), "finish_reason"},
		{"broken off in a stream", chat, true, sayEvents(word("n"), strings.Replace(stop, "stop", "abort", 1), "[DONE]"), "'abort'"},
		{"another object of responses", "", false, sayJSON(`{"foo":1}`), "no response"},
		{"another object of responses to a stream", "", true, sayJSON(`{"foo":1}`), "no response"},
		{"cancelled by them", "", true, sayEvents(`{"type":"response.cancelled","response":` + native + `}`), "cancelled"},
		{"cancelled by them in one piece", "", false, sayJSON(`{"status":"cancelled","output":[]}`), "cancelled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			body := `{"model":"m1","background":true,"input":"hi"}`
			if tt.streamed {
				body = strings.Replace(body, `{`, `{"stream":true,`, 1)
			}
			x := newResponding(t, tt.speaks)
			x.replies(tt.say)
			lost := x.settle(x.created(body))
			require.Equal(t, jobs.Failed, lost.Status, "%s", lost.Object())
			require.Equal(t, "server_error", gjson.GetBytes(lost.Object(), "error.code").Str)
			require.Contains(t, gjson.GetBytes(lost.Object(), "error.message").Str, tt.why)
			paths, _ := x.asked()
			require.Len(t, paths, 2, "one retry")

			ref := x.created(body)
			x.later(time.Second)
			x.sweep()
			require.Equal(t, jobs.InProgress, x.job(ref).Status)
			good := map[string]func(http.ResponseWriter, string){
				chat: sayJSON(`{"choices":[{"message":{"content":"yes"},"finish_reason":"stop"}]}`), "": sayJSON(native),
			}
			x.replies(good[tt.speaks])
			done := x.settle(ref)
			require.Equal(t, jobs.Completed, done.Status)
			require.Equal(t, "yes", gjson.GetBytes(done.Object(), "output.0.content.0.text").Str)
			if tt.streamed {
				types := typesOf(x.watched(ref))
				require.NotContains(t, types, "cancelled")
				require.Equal(t, 1, strings.Count(types, "completed"))
			}
		})
	}
}

// Whoever adds up a stream by output_index starts anew where response.in_progress comes again: an attempt that broke off
// counts for nothing.
func TestResponseStreamSaysThatItStartsAnew(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, speaks string
		broken, said []string
	}{
		{"of chat", providers.ResponsesChat, []string{word("no"), word("pe"), "CUT"}, []string{word("yes"), stop, "[DONE]"}},
		{
			"of responses", "",
			[]string{`{"type":"response.output_text.delta","output_index":0,"delta":"nope"}`, "CUT"},
			[]string{`{"type":"response.output_text.delta","output_index":0,"delta":"yes"}`, `{"type":"response.completed","response":` + native + `}`},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newResponding(t, tt.speaks)
			ref := x.created(`{"model":"m1","background":true,"input":"hi","stream":true,"instructions":"be"}`)
			x.replies(sayEvents(tt.broken...))
			x.later(time.Second)
			x.sweep()
			require.Equal(t, jobs.InProgress, x.job(ref).Status)
			x.replies(sayEvents(tt.said...))
			done := x.settle(ref)

			text, starts := map[int64]string{}, 0
			for _, e := range x.watched(ref) {
				v := gjson.ParseBytes(e.Data)
				switch e.Type {
				case "response.in_progress":
					starts++
					clear(text)
					require.Equal(t, `["in_progress",[],"be",null]`, v.Get("[response.status,response.output,response.instructions,response.completed_at]").Raw)
					require.Equal(t, ref.ID, v.Get("response.id").Str)
				case "response.output_text.delta":
					text[v.Get("output_index").Int()] += v.Get("delta").Str
				}
			}
			require.Equal(t, 2, starts)
			require.Equal(t, map[int64]string{0: gjson.GetBytes(done.Object(), "output.0.content.0.text").Str}, text)
		})
	}
}

// An attempt that says nothing before it breaks off is not told of.
func TestResponseStreamIsSilentAboutSilentAttempts(t *testing.T) {
	t.Parallel()
	x := newResponding(t, providers.ResponsesChat)
	ref := x.created(`{"model":"m1","background":true,"input":"hi","stream":true}`)
	x.replies(sayEvents("CUT"))
	x.later(time.Second)
	x.sweep()
	x.replies(sayEvents(word("yes"), stop, "[DONE]"))
	x.settle(ref)
	require.Equal(t, 1, strings.Count(typesOf(x.watched(ref)), "in_progress"))
}

// A type that an upstream makes up cannot end its line in our stream, and what it says of its response's life is not said
// of ours.
func TestResponseStreamLeavesOutWhatIsNoEvent(t *testing.T) {
	t.Parallel()
	x := newResponding(t, "")
	x.replies(sayEvents(`{"type":"x\ndata: {\"type\":\"lie\"}\n\nevent: y","delta":"a"}`, `{"type":"response.expiring","response":{}}`,
		`{"type":"response.output_text.delta","delta":"yes"}`, `{"type":"response.completed","response":`+native+`}`))
	ref := x.created(`{"model":"m1","background":true,"input":"hi","stream":true}`)
	x.settle(ref)
	require.Equal(t, "created queued in_progress output_text.delta completed", typesOf(x.watched(ref)))
}
