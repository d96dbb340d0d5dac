package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// kind is a sort of submission that customers make in a chaos run.
type kind struct {
	name  string
	every time.Duration // between two submissions of its customer, about
	path  string
	body  string // with its mark, then further members
	ended string // type of its last event
	lines int    // of a batch with an input file, which takes its ID in place of the mark
}

// kinds are all sorts. The upstream makes a fine-tuning or a video in a moment, so that kills fall into each of their steps.
var kinds = []kind{
	{name: "generation", every: 40 * time.Millisecond, path: "/v1/generate", body: `{"model":"sim-small","input":%q%s}`, ended: "generation.completed"},
	{name: "stream", every: 200 * time.Millisecond, path: "/v1/generate", body: `{"model":"sim-small","input":%q,"stream":true%s}`, ended: "generation.completed"},
	{name: "response", every: 100 * time.Millisecond, path: "/v1/responses", body: `{"model":"sim-small","input":%q,"background":true%s}`, ended: "response.completed"},
	{name: "video", every: 200 * time.Millisecond, path: "/v1/jobs", body: `{"kind":"generation","path":"/v1/videos","body":{"model":"sim-small","prompt":%q}%s}`, ended: "generation.completed"},
	{name: "speech", every: 200 * time.Millisecond, path: "/v1/jobs", body: `{"kind":"generation","path":"/v1/audio/speech","body":{"model":"sim-small","voice":"alloy","input":%q,"response_format":"wav"}%s}`, ended: "generation.completed"},
	{name: "inline", every: 200 * time.Millisecond, path: "/v1/batches", body: `{"requests":[{"body":{"model":"sim-small","messages":[{"role":"user","content":%q}]}}],"endpoint":"/v1/chat/completions","completion_window":"24h"%s}`, ended: "batch.completed"},
	{name: "batch", every: time.Second, path: "/v1/batches", body: `{"input_file_id":%q,"endpoint":"/v1/chat/completions","completion_window":"24h"%s}`, ended: "batch.completed", lines: 300},
	{name: tuning, every: 300 * time.Millisecond, path: "/v1/fine_tuning/jobs", body: `{"model":"sim-small","training_file":%q%s}`, ended: "fine_tuning.job.succeeded"},
}

const tuning = "tuning"

// submission is a kind's, with a mark by which its calls are known at the provider; empty where its input was not taken.
func (k *kind) submission(c *chaos, mark, more string) (path, body string) {
	switch {
	case k.name == tuning:
		mark = c.training
	case k.lines > 0:
		if mark = c.uploads(mark, k.lines); mark == "" {
			return "", ""
		}
	}
	return k.path, fmt.Sprintf(k.body, mark, more)
}

// uploads insists on a batch's input of n lines with custom_ids as numbered ones have. A file that was kept although its
// answer got lost stays unused.
func (c *chaos) uploads(mark string, n int) (file string) {
	var b strings.Builder
	for i := range n {
		b.WriteString(asked(customID(i), mark) + "\n")
	}
	text, contentType := form(part{"purpose", "", "batch"}, part{"file", mark + ".jsonl", b.String()})
	return c.insisting("an upload", func() (answer, error) {
		return c.f.do("POST", "/v1/files", bytes.NewReader(text), "Content-Type", contentType)
	})
}

// marked is the prompt of a call, of whatever kind: it tells which line or job it is for. Empty for what is no model call.
func (c call) marked() string {
	for _, place := range []string{"messages.@reverse.0.content", "input", "prompt"} {
		if v := gjson.Get(c.body, place); v.Type == gjson.String {
			return v.String()
		}
	}
	return ""
}

// tuningsAt counts an upstream's fine-tunings.
func tuningsAt(up *client) (n int) {
	for after := ""; ; {
		page := up.read("/v1/fine_tuning/jobs?limit=100&after=" + after)
		jobs := page.get("data").Array()
		n += len(jobs)
		if !page.get("has_more").Bool() {
			return n
		}
		after = jobs[len(jobs)-1].Get("id").String()
	}
}
