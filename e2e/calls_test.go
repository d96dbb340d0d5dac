package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers/simulator"
)

// submit takes a call for any path to POST /v1/jobs and gives the job's ID. more are further members.
func (c *client) submit(path, body, more string) string {
	c.t.Helper()
	text := fmt.Sprintf(`{"kind":"generation","path":%q,"body":%s%s}`, path, body, more)
	a := c.call(http.StatusAccepted, "POST", "/v1/jobs", text)
	require.Equal(c.t, "job", a.get("object").String())
	return a.get("id").String()
}

// Every sort of call that the upstream has, one callback field for all: JSON comes as it was, bytes become files, texts
// stand in the result, and a file that was uploaded goes to the model.
func TestEverySortOfCall(t *testing.T) {
	t.Parallel()
	hook := startReceiver(t)
	s := startServer(t, openCallbacks()...)
	audio := s.upload(http.StatusOK, part{"purpose", "", "user_data"}, part{"file", "talk.wav", "RIFF" + strings.Repeat("x", 4000)}).get("id").String()
	for name, tc := range map[string]struct {
		path, body string
		check      func(t *testing.T, done answer)
	}{
		"chat":        {chat, `{"model":"sim-small","messages":[{"role":"user","content":"a?"}]}`, hasOutput},
		"a stream":    {chat, `{"model":"sim-small","stream":true,"messages":[{"role":"user","content":"a?"}]}`, hasOutput},
		"completions": {"/v1/completions", `{"model":"sim-small","prompt":"a"}`, hasOutput},
		"responses":   {"/v1/responses", `{"model":"sim-small","input":"a"}`, hasOutput},
		"streamed responses": {"/v1/responses", `{"model":"sim-small","input":"a","stream":true}`, func(t *testing.T, done answer) {
			hasOutput(t, done)
			require.Equal(t, "response", done.get("result.object").String(), "the whole answer, not its pieces")
		}},
		"embeddings":  {"/v1/embeddings", `{"model":"sim-embed","input":["a","b"]}`, has("result.data.1.embedding.0")},
		"moderations": {"/v1/moderations", `{"model":"sim-small","input":"a"}`, has("result.results.0.categories")},
		"images":      {"/v1/images/generations", `{"model":"sim-small","prompt":"a"}`, has("result.data.0.b64_json")},
		"speech": {"/v1/audio/speech", `{"model":"sim-small","voice":"alloy","input":"some words to say","response_format":"wav"}`, func(t *testing.T, done answer) {
			require.Equal(t, "audio/wav", done.get("result.content_type").String(), "%s", done.body)
			sound := s.read("/v1/files/" + done.get("result.file_id").String() + "/content").body
			require.True(t, strings.HasPrefix(string(sound), "RIFF"))
			require.EqualValues(t, len(sound), done.get("result.bytes").Int())
			require.Equal(t, "generation_output", s.read("/v1/files/"+done.get("result.file_id").String()).get("purpose").String())
		}},
		"transcription":   {"/v1/audio/transcriptions", fmt.Sprintf(`{"model":"sim-small","file":%q,"language":"en"}`, audio), hasOutput},
		"transcript text": {"/v1/audio/transcriptions", fmt.Sprintf(`{"model":"sim-small","file":%q,"response_format":"text"}`, audio), hasOutput},
		"a video": {"/v1/videos", `{"model":"sim-small","prompt":"a cat"}`, func(t *testing.T, done answer) {
			require.Equal(t, "video/mp4", done.get("result.content_type").String(), "%s", done.body)
			film := s.read("/v1/files/" + done.get("result.file_id").String() + "/content").body
			require.Contains(t, string(film[:16]), "ftyp")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := s.submit(tc.path, tc.body, hook.field())
			done := s.ended(id)
			require.Equal(t, "completed", done.get("status").String(), "%s", done.body)
			tc.check(t, done)
			c := hook.wait(id, "generation.completed")
			require.NoError(t, c.verify(s.secret()))
			require.JSONEq(t, string(done.body), c.get("data.object").Raw)
		})
	}
}

func hasOutput(t *testing.T, done answer) {
	t.Helper()
	require.NotEmpty(t, done.get("model_output").String(), "%s", done.body)
}

func has(path string) func(*testing.T, answer) {
	return func(t *testing.T, done answer) {
		t.Helper()
		require.True(t, done.get(path).Exists(), "%.500s", done.body)
	}
}

// A failed job of the provider's own says why, in the provider's words.
func TestFailedVideo(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	done := s.ended(s.submit("/v1/videos", `{"model":"sim-small","prompt":"[[sim:fail]]"}`, ""))
	require.Equal(t, "failed", done.get("status").String())
	require.NotEmpty(t, done.get("error.message").String())
	require.Equal(t, "generation_failed", done.get("error.body.error.code").String(), "%s", done.body)
}

// A provider's own job is submitted once, whatever crashes: its answer lost, or this process killed while it runs.
func TestVideosAreSubmittedOnce(t *testing.T) {
	t.Parallel()
	up, setting := startSimulator(t, simulator.Options{MediaTime: 3 * time.Second}, `, media: [{path: /v1/videos, fetch: "/v1/videos/{id}/content", cancel: "DELETE /v1/videos/{id}"}]`)
	s := startServer(t, "simulator.enabled=false", setting)
	lost := s.submit("/v1/videos", `{"model":"sim-small","prompt":"[[sim:truncate times=1]]"}`, "")
	long := s.submit("/v1/videos", `{"model":"sim-small","prompt":"long"}`, "")
	eventually(t, "both are there", func() bool { return up.read("/healthz").get("videos").Int() >= 2 })
	s.kill9()
	s.restart()
	for _, id := range []string{lost, long} {
		require.Equal(t, "completed", s.ended(id).get("status").String())
	}
	require.EqualValues(t, 2, up.read("/healthz").get("videos").Int())
}

// Cancelling a provider's own job stops it there.
func TestCancelReachesTheProvider(t *testing.T) {
	t.Parallel()
	up, setting := startSimulator(t, simulator.Options{MediaTime: time.Hour}, `, media: [{path: /v1/videos, cancel: "DELETE /v1/videos/{id}"}]`)
	s := startServer(t, "simulator.enabled=false", setting)
	id := s.submit("/v1/videos", `{"model":"sim-small","prompt":"long"}`, "")
	videos := func() int { return len(up.read("/v1/videos").get("data").Array()) }
	eventually(t, "it is there", func() bool { return videos() == 1 })
	s.call(http.StatusOK, "POST", "/v1/jobs/"+id+"/cancel", "")
	require.Equal(t, "cancelled", s.ended(id).get("status").String())
	eventually(t, "it is gone there", func() bool { return videos() == 0 })
}

// A streamed call tells how far it is, at most once in five seconds; the answer is whole at the end.
func TestProgressOfAStream(t *testing.T) {
	t.Parallel()
	hook := startReceiver(t)
	s := startServer(t, append(openCallbacks(), "simulator.tpot=150ms")...)
	id := s.submit(chat, `{"model":"sim-large","stream":true,"messages":[{"role":"user","content":"tell me more?"}]}`,
		fmt.Sprintf(`,"webhook":{"url":"%s/hook","events":["generation.*"]}`, hook.server.URL))
	done := s.ended(id)
	require.Equal(t, "completed", done.get("status").String(), "%s", done.body)
	require.Equal(t, "chat.completion", done.get("result.object").String())
	var last time.Time
	var tokens []int64
	for _, e := range s.events(id) {
		if e.Get("type").String() != "generation.progress" {
			continue
		}
		at := time.Unix(e.Get("created").Int(), 0)
		require.GreaterOrEqual(t, at.Sub(last), 4*time.Second, "whole seconds")
		last = at
		tokens = append(tokens, e.Get("data.object.progress.output_tokens").Int())
	}
	require.NotEmpty(t, tokens)
	require.True(t, slices.IsSorted(tokens))
	require.Positive(t, tokens[0])
	c := hook.wait(id, "generation.progress")
	require.NoError(t, c.verify(s.secret()))
}

// Of waiting work the higher priority goes first, and what is planned for later waits for its time, across a restart too.
func TestPriorityAndTime(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	up := startUpstream(t, func(body string) reply {
		if prompt(body) == "first" {
			<-gate
		}
		return reply{body: completion("x")}
	})
	s := startServer(t, strings.Replace(up.provider(""), fmt.Sprintf("concurrency: %d", slots), "concurrency: 1", 1))
	s.generate("first", "")
	eventually(t, "it is out", func() bool { return up.count() == 1 })
	var ids []string
	for _, p := range []string{"low", "normal", "high"} {
		for i := range 3 {
			ids = append(ids, s.generate(fmt.Sprint(p, i), fmt.Sprintf(`,"priority":%q`, p)))
		}
	}
	at := time.Now().Add(4 * time.Second).Truncate(time.Second)
	planned := s.generate("planned", fmt.Sprintf(`,"run_at":%d,"priority":"high"`, at.Unix()))
	require.Equal(t, "window", s.read("/v1/jobs/"+planned).get("blocked_by.reason").String())
	require.Equal(t, at.Unix(), s.read("/v1/jobs/"+planned).get("blocked_by.until").Int())
	eventually(t, "all others wait for a slot", func() bool {
		return !slices.ContainsFunc(ids, func(id string) bool { return s.read("/v1/jobs/"+id).get("status").String() == "queued" })
	})
	close(gate)
	for _, id := range ids {
		require.Equal(t, "completed", s.ended(id).get("status").String())
	}
	var order []string
	for _, body := range up.bodies()[1:10] {
		order = append(order, strings.TrimRight(prompt(body), "012"))
	}
	require.Equal(t, []string{"high", "high", "high", "normal", "normal", "normal", "low", "low", "low"}, order)
	s.kill9()
	s.restart()
	require.Equal(t, "completed", s.ended(planned).get("status").String())
	require.False(t, up.first(10).Before(at), "not before its time")
}

// A job that waits says why: for the provider that is down, for its turn, and until when.
func TestWhyItWaits(t *testing.T) {
	t.Parallel()
	up := startUpstream(t, func(string) reply { return reply{status: 503, body: `{"error":{"message":"down"}}`} })
	s := startServer(t, up.provider(", retries: 10"))
	batch := s.batch(s.input(numbered(40, 0)), "")
	var said gjson.Result
	eventually(t, "the batch says that the provider is down", func() bool {
		said = s.read("/v1/batches/" + batch).get("blocked_by")
		return said.Get("reason").String() == "provider_down"
	})
	require.Positive(t, said.Get("until").Int())
	one := s.generate("x", "")
	eventually(t, "the generation says so too", func() bool {
		said = s.read("/v1/jobs/" + one).get("blocked_by")
		return said.Get("reason").String() == "provider_down"
	})
}
