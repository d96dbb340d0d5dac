package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tidwall/gjson"
)

// Webhook is the callback that a submission names; the field of the
// same name.
type Webhook struct {
	URL     string            `json:"url"`
	Method  string            `json:"method,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
}

// File is an uploaded or produced file.
type File struct {
	raw
	ID       string `json:"id"`
	Bytes    int64  `json:"bytes"`
	Filename string `json:"filename"`
}

// Batch is a batch as OpenAI shows it; file IDs are "" until there is a file.
type Batch struct {
	raw
	ID           string `json:"id"`
	Status       string `json:"status"`
	Endpoint     string `json:"endpoint"`
	OutputFileID string `json:"output_file_id"`
	ErrorFileID  string `json:"error_file_id"`
}

// Counts are a job's lines or calls; Total is 0 until the input is checked.
type Counts struct {
	Total     int `json:"total"`
	Completed int `json:"completed"`
	Failed    int `json:"failed"`
}

// Generation is one model call that is answered later.
type Generation struct {
	raw
	ID          string `json:"id"`
	Status      string `json:"status"`
	Model       string `json:"model"`
	ModelOutput string `json:"model_output"`
}

// Job is what jobs of every kind have in common.
type Job struct {
	raw
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	Status   string `json:"status"`
	Progress Counts `json:"progress"`
}

// Ended tells whether the status is terminal.
func (j Job) Ended() bool {
	switch j.Status {
	case "completed", "failed", "expired", "cancelled", "incomplete", "succeeded":
		return true
	}
	return false
}

// Completed tells whether it ended as was hoped.
func (j Job) Completed() bool { return j.Status == "completed" || j.Status == "succeeded" }

// OneCall tells that the job is a single call to a model, not many.
func (j Job) OneCall() bool { return j.Kind == "generation" || j.Kind == "response" }

// get reads a field that not all kinds have.
func (j Job) get(path string) gjson.Result { return gjson.GetBytes(j.text, path) }

// why is the first reason for which a job failed, as ": reason", or "".
func (j Job) why() string {
	if message := j.get("detail.error.message").String(); message != "" {
		return ": " + clean(message)
	}
	reasons := j.get("detail.errors.data").Array()
	if len(reasons) == 0 {
		return ""
	}
	text := ": "
	if line := reasons[0].Get("line").Int(); line > 0 {
		text += fmt.Sprintf("line %d: ", line)
	}
	text += clean(reasons[0].Get("message").String())
	if others := len(reasons) - 1; others > 0 {
		text += fmt.Sprintf(" (and %s more)", grouped(others))
	}
	return text
}

// waits are what blocked_by says, in words.
var waits = map[string]string{
	"rate_limit":    "waits for the rate limit",
	"provider_down": "its provider is down",
	"window":        "waits for its time",
	"queue":         "waits for its turn",
	"retry":         "its call is made again",
}

// note says in a few words what else there is to know while it runs: what it
// waits for, how far a single call is.
func (j Job) note(now time.Time) string {
	if text := waits[j.get("blocked_by.reason").String()]; text != "" {
		if until := unix(j.get("blocked_by.until")); until.After(now) {
			text += " (" + distance(until, now) + ")"
		}
		return text
	}
	if !j.OneCall() || j.Ended() {
		return ""
	}
	if percent := j.get("detail.progress.percent"); percent.Exists() && percent.Type != gjson.Null {
		return fmt.Sprintf("%d %%", percent.Int())
	}
	if tokens := j.get("detail.progress.output_tokens").Int(); tokens > 0 {
		return grouped(int(tokens)) + " tokens"
	}
	return ""
}

// Delivery is one callback owed to one receiver.
type Delivery struct {
	EventType string `json:"event_type"`
	Status    string `json:"status"`
	Reason    string `json:"reason"`
	Attempts  []struct {
		StatusCode int     `json:"status_code"`
		DurationMS float64 `json:"duration_ms"`
	} `json:"attempts"`
}

// raw keeps an object's bytes as the server wrote them, for --json.
type raw struct {
	text json.RawMessage
}

func (r *raw) keep(text []byte) { r.text = append(r.text[:0:0], text...) }
