package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A client's trace: its ID, and the span that submits.
const (
	clientTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	clientSpan  = "00f067aa0ba902b7"
)

// traced are the headers of a submission within the client's trace. n makes a trace of its own.
func traced(n int) (trace string, headers []string) {
	trace = fmt.Sprintf("%s%02x", clientTrace[:30], n)
	return trace, []string{"traceparent", "00-" + trace + "-" + clientSpan + "-01", "tracestate", "vendor=a1,other=b"}
}

// parts splits a traceparent.
func parts(t *testing.T, traceparent string) (trace, span string) {
	t.Helper()
	p := strings.Split(traceparent, "-")
	require.Len(t, p, 4, "%q", traceparent)
	require.Equal(t, "01", p[3])
	return p[1], p[2]
}

// submission is one way to hand work in.
type submission struct {
	name string
	send func(s *server, headers []string, more string) (job string)
	end  string   // the event that ends it
	told []string // names of its spans
}

func submissions() []submission {
	one := func(path, body string, status int) func(*server, []string, string) string {
		return func(s *server, headers []string, more string) string {
			return s.call(status, "POST", path, fmt.Sprintf(body, more), headers...).get("id").String()
		}
	}
	batch := func(s *server, headers []string, more string) string {
		body := fmt.Sprintf(`{"input_file_id":%q,"endpoint":%q,"completion_window":"24h"%s}`, s.input(numbered(3, 0)), chat, more)
		return s.call(http.StatusOK, "POST", "/v1/batches", body, headers...).get("id").String()
	}
	return []submission{
		{"generate", one("/v1/generate", `{"model":"m","input":"hello"%s}`, http.StatusAccepted), "generation.completed", []string{"POST /v1/generate", "accept", "generation in_progress", "provider call", "callback"}},
		{"jobs", one("/v1/jobs", `{"kind":"generation","path":"/v1/chat/completions","body":{"model":"m","messages":[]}%s}`, http.StatusAccepted), "generation.completed", []string{"POST /v1/jobs", "accept", "generation in_progress", "provider call", "callback"}},
		{"responses", one("/v1/responses", `{"model":"m","input":"hello","background":true%s}`, http.StatusOK), "response.completed", []string{"POST /v1/responses", "accept", "response in_progress", "provider call", "callback"}},
		{"batch", batch, "batch.completed", []string{"POST /v1/batches", "accept", "batch validating", "batch shard", "batch finalizing", "callback"}},
		{"inline batch", one("/v1/batches", `{"endpoint":"/v1/chat/completions","completion_window":"24h","requests":[{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[]}}]%s}`, http.StatusOK), "batch.completed", []string{"POST /v1/batches", "accept", "batch validating", "batch shard", "batch finalizing", "callback"}},
	}
}

// Each submission's trace reaches the provider and the receiver, and what was recorded hangs together below the client's
// span, with what the provider and the receiver will tell of it.
func TestTraceGoesFromTheSubmitToTheCallback(t *testing.T) {
	t.Parallel()
	up := startHearing(t, nil)
	hook, c := startReceiver(t), startCollector(t, false)
	s := startServer(t, append(openCallbacks(), up.provider(", responses: chat"), c.setting())...)
	for n, sub := range submissions() {
		trace, headers := traced(n)
		before := len(up.heard())
		job := sub.send(s, headers, hook.field())
		callback := hook.wait(job, sub.end)
		names := tree(t, c.exported(t, trace, sub.told...), clientSpan)
		for _, parent := range up.heard()[before:] {
			got, span := parts(t, parent)
			require.Equal(t, trace, got, sub.name)
			require.True(t, slices.Contains(names["provider call"], span) || slices.Contains(names["batch shard"], span), "%s: the provider's parent is told", sub.name)
		}
		require.Greater(t, len(up.heard()), before, sub.name)
		got, span := parts(t, callback.header.Get("traceparent"))
		require.Equal(t, trace, got, sub.name)
		require.Contains(t, names["callback"], span, sub.name)
		require.Equal(t, "vendor=a1,other=b", callback.header.Get("tracestate"), sub.name)
		require.Len(t, names["accept"], 1)

		for _, path := range []string{"/v1/jobs/" + job, "/v1/jobs", "/v1/events"} {
			require.NotContains(t, string(s.read(path).body), trace, "no object shows it")
		}
	}
}

// A retried batch and a fine-tuning are told too; the looks at what a provider has of a job are not.
func TestTraceOfARetryAndATuning(t *testing.T) {
	t.Parallel()
	var mended atomic.Bool
	up := startHearing(t, func(string) reply {
		if !mended.Load() {
			return reply{status: 400, body: `{"error":{"message":"no"}}`}
		}
		return reply{body: completion("fine")}
	})
	hook, c := startReceiver(t), startCollector(t, false)
	provider := strings.Replace(up.provider(", retries: 0"), `["*"]`, `["m"]`, 1)
	s := startServer(t, append(openCallbacks(), provider, c.setting(), "simulator.tuning=2s")...)
	first := s.batch(s.input(numbered(3, 0)), "")
	s.ended(first)
	mended.Store(true)
	trace, headers := traced(1)
	again := s.call(http.StatusOK, "POST", "/v1/batches/"+first+"/retry", "{"+strings.TrimPrefix(hook.field(), ",")+"}", headers...).get("id").String()
	hook.wait(again, "batch.completed")
	tree(t, c.exported(t, trace, "POST /v1/batches/:id/retry", "accept", "batch shard", "callback"), clientSpan)

	trace, headers = traced(2)
	file := s.upload(http.StatusOK, part{"purpose", "", "fine-tune"}, part{"file", "x.jsonl", examples(20)}).get("id").String()
	job := s.call(http.StatusOK, "POST", "/v1/fine_tuning/jobs", fmt.Sprintf(`{"model":"sim-small","training_file":%q%s}`, file, hook.field()), headers...).get("id").String()
	got, _ := parts(t, hook.wait(job, "fine_tuning.job.succeeded").header.Get("traceparent"))
	require.Equal(t, trace, got)
	names := tree(t, c.exported(t, trace, "accept", "fine_tuning validating_files", "fine_tuning queued", "provider call", "callback"), clientSpan)
	require.LessOrEqual(t, len(names["provider call"]), 4, "the file, the job: not every look")
}

// Without a collector nothing is recorded, but the client's trace goes through; without a client's trace there is none.
func TestTraceIsPassedOnWithoutACollector(t *testing.T) {
	t.Parallel()
	up, hook := startHearing(t, nil), startReceiver(t)
	s := startServer(t, append(openCallbacks(), up.provider(", responses: chat"))...)
	for n, sub := range submissions() {
		trace, headers := traced(n)
		before := len(up.heard())
		job := sub.send(s, headers, hook.field())
		callback := hook.wait(job, sub.end)
		spans := map[string]bool{clientSpan: true}
		for _, parent := range append(up.heard()[before:before+1], callback.header.Get("traceparent")) {
			got, span := parts(t, parent)
			require.Equal(t, trace, got, sub.name)
			require.False(t, spans[span], "%s: each has an ID of its own", sub.name)
			spans[span] = true
		}

		before = len(up.heard())
		for _, headers := range [][]string{nil, {"traceparent", "00-" + strings.ToUpper(trace) + "-" + clientSpan + "-01"}} {
			job = sub.send(s, headers, hook.field())
			require.NotContains(t, hook.wait(job, sub.end).header, "Traceparent", sub.name)
		}
		for _, parent := range up.heard()[before:] {
			require.Empty(t, parent, sub.name)
		}
	}
}

// With a collector, a submission without a trace begins one; polls do not.
func TestTraceBeginsAtTheSubmit(t *testing.T) {
	t.Parallel()
	up := startHearing(t, nil)
	hook, c := startReceiver(t), startCollector(t, false)
	s := startServer(t, append(openCallbacks(), up.provider(""), c.setting())...)
	job := s.generate("hello", hook.field())
	trace, _ := parts(t, hook.wait(job, "generation.completed").header.Get("traceparent"))
	s.settled(job)
	spans := c.exported(t, trace, "POST /v1/generate", "accept", "provider call", "callback")
	tree(t, spans, "")
	got, _ := parts(t, up.heard()[0])
	require.Equal(t, trace, got)
	code, _ := s.stop()
	require.Zero(t, code)
	require.Len(t, c.told(""), len(spans), "reads, of which there were many, begin none")
}

// A kill between the submit and the call, and one between the call and the callback, leave the trace as it was.
func TestTraceOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	up, hook := startHearing(t, nil), startReceiver(t, 500)
	s := startServer(t, append(openCallbacks(), up.provider(""), "callbacks.schedule=[0s,2s,2s]")...)
	trace, headers := traced(7)
	soon := time.Now().Add(2 * time.Second).Unix()
	job := s.call(http.StatusAccepted, "POST", "/v1/generate", fmt.Sprintf(`{"model":"m","input":"x","run_at":%d%s}`, soon, hook.field()), headers...).get("id").String()
	s.kill9()
	require.Zero(t, up.count())
	s.restart()
	hook.wait(job, "generation.completed") // the first attempt, which fails
	s.kill9()
	s.restart()
	eventually(t, "the callback came again", func() bool { return len(hook.all()) > 1 })
	got, _ := parts(t, up.heard()[0])
	require.Equal(t, trace, got)
	spans := map[string]bool{}
	for _, c := range hook.all() {
		got, span := parts(t, c.header.Get("traceparent"))
		require.Equal(t, trace, got)
		require.False(t, spans[span], "each attempt is a span of its own")
		spans[span] = true
	}
}

// A thousand lines are some shards: a span each, and every call names one of them.
func TestLargeBatchHasFewSpans(t *testing.T) {
	t.Parallel()
	up := startHearing(t, nil)
	hook, c := startReceiver(t), startCollector(t, false)
	s := startServer(t, append(openCallbacks(), up.provider(""), c.setting())...)
	trace, headers := traced(9)
	body := fmt.Sprintf(`{"input_file_id":%q,"endpoint":%q,"completion_window":"24h"%s}`, s.input(numbered(1000, 0)), chat, hook.field())
	job := s.call(http.StatusOK, "POST", "/v1/batches", body, headers...).get("id").String()
	hook.wait(job, "batch.completed")
	names := tree(t, c.exported(t, trace, "batch finalizing", "callback"), clientSpan)
	s.stop()
	require.LessOrEqual(t, len(c.told(trace)), 30)
	require.GreaterOrEqual(t, len(names["batch shard"]), 4)
	require.Len(t, up.heard(), 1000)
	for _, parent := range up.heard() {
		_, span := parts(t, parent)
		require.Contains(t, names["batch shard"], span)
	}
}

// A collector that hangs, or is away, costs no time, and the log speaks of it once.
func TestCollectorInTroubleCostsNothing(t *testing.T) {
	t.Parallel()
	const jobs = 40
	took := map[string]time.Duration{}
	for name, setting := range map[string]string{
		"none": "telemetry.sample=1.0", "hanging": startCollector(t, true).setting(), "away": "telemetry.otlp_endpoint=http://127.0.0.1:1",
	} {
		up, hook := startHearing(t, nil), startReceiver(t)
		s := startServer(t, append(openCallbacks(), up.provider(""), setting, "server.shutdown_grace=3s")...)
		began := time.Now()
		for range jobs {
			hook.wait(s.generate("hello", hook.field()), "generation.completed")
		}
		took[name] = time.Since(began)
		code, ending := s.stop()
		require.Zero(t, code)
		require.Less(t, ending, 8*time.Second, "%s: the stop is bounded", name)
		said := bytes.Count(s.log(), []byte("spans could not be exported"))
		require.LessOrEqual(t, said, 1, name)
		require.Equal(t, name != "none", said == 1, "%s: %s", name, trouble(s.log(), 2000))
	}
	t.Logf("%d jobs one after the other: %v", jobs, took)
	require.Less(t, took["hanging"], 2*took["none"]+2*time.Second)
	require.Less(t, took["away"], 2*took["none"]+2*time.Second)
}

// The header is reserved in callbacks; a provider's own stays, and a setting keeps traces from providers.
func TestWhoMaySetTheTrace(t *testing.T) {
	t.Parallel()
	hook := startReceiver(t)
	for _, tc := range []struct{ name, more, setting, want string }{
		{"configured", ", headers: {traceparent: mine}", "telemetry.to_providers=true", "mine"},
		{"kept from providers", "", "telemetry.to_providers=false", ""},
	} {
		up := startHearing(t, nil)
		s := startServer(t, append(openCallbacks(), up.provider(tc.more), tc.setting)...)
		for _, name := range []string{"traceparent", "Tracestate"} {
			refusal := refused(t, s.call(http.StatusBadRequest, "POST", "/v1/generate",
				fmt.Sprintf(`{"model":"m","input":"x","webhook":{"url":%q,"headers":{%q:"a=1"}}}`, hook.server.URL, name)))
			require.Equal(t, "webhook.headers."+name, refusal.Get("param").String())
		}
		trace, headers := traced(3)
		job := submissions()[0].send(s, headers, hook.field())
		got, _ := parts(t, hook.wait(job, "generation.completed").header.Get("traceparent"))
		require.Equal(t, trace, got)
		require.Equal(t, []string{tc.want}, up.heard(), tc.name)
	}
}

// No span holds a prompt, an answer, a header's value, a key, or a URL's query.
func TestSpansHoldNoSecrets(t *testing.T) {
	t.Parallel()
	const prompts, said = "canary-prompt-31f7", "canary-answer-92ab"
	up := startHearing(t, func(body string) reply {
		if strings.Contains(body, "bad") {
			return reply{status: 401, body: fmt.Sprintf(`{"error":{"message":"Incorrect API key provided: %s"}}`, canaries["provider api_key"])}
		}
		return reply{body: completion(said)}
	})
	hook, c := startReceiver(t), startCollector(t, false)
	provider := up.provider(fmt.Sprintf(", api_key: %s, headers: {X-More: %s}", canaries["provider api_key"], canaries["provider header"]))
	s := startServerWithKey(t, canaries["auth key"], append(openCallbacks(), provider, c.setting(),
		`telemetry.headers=["Authorization: Bearer `+canaries["wrong auth key"]+`"]`,
		"callbacks.schedule=[0s,50ms]", fmt.Sprintf("auth.keys=[%s]", canaries["auth key"]))...)
	with := func(url string) string {
		return fmt.Sprintf(`,"metadata":{"a":%q},"webhook":{"url":"%s/in?token=%s","headers":{"X-Token":%q},"secret":%q}`,
			prompts, url, canaries["webhook URL query"], canaries["webhook header"], canaries["webhook secret"])
	}
	for _, job := range []string{
		s.generate(prompts, with(hook.server.URL)), s.generate("bad "+prompts, with("http://127.0.0.1:1")),
		s.batch(s.input(line("a", ask(prompts))), with(hook.server.URL)),
	} {
		s.ended(job)
		s.settled(job)
	}
	refused(t, s.call(http.StatusNotFound, "POST", "/v1/"+prompts+"?key="+prompts, prompts, "traceparent", "00-"+clientTrace+"-"+clientSpan+"-01"))
	s.stop()
	text := c.text()
	require.Contains(t, text, "unknown route")
	require.Contains(t, text, `"unauthorized"`, "the failed call is told")
	require.Contains(t, text, "provider call")
	absent(t, "the spans", []byte(text))
	for _, canary := range []string{prompts, said, hook.server.URL, up.server.URL} {
		require.NotContains(t, text, canary)
	}
	absent(t, "the log", s.log())
}
