package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

const (
	labelWidth  = 22
	bodyLines   = 24
	bodyColumns = 96
)

func demoLines() int { return bytes.Count(demoQuestions, []byte("\n")) }

func (j *journey) printHeading() {
	j.out.printf("%s\n\n", j.out.paint(styleBold, "Ringback demo"))
	j.field("server", j.client.server)
	j.field("receiver", j.hooks)
	j.field("folder", j.folder)
}

func (j *journey) printSubmitted(request NewBatch) {
	j.field("batch", j.batch+"  "+grouped(demoLines())+" questions to "+request.Endpoint)
	j.field("generation", j.generation+"  one question")
	j.out.printf("\n")
}

// field writes an aligned pair, cut to the line.
func (j *journey) field(label, value string) {
	line := fit(padded(label)+value, max(j.out.width()-2, labelWidth))
	name, rest := line[:labelWidth], line[labelWidth:]
	j.out.printf("  %s%s\n", j.out.paint(styleDim, name), rest)
}

func padded(label string) string {
	return label + strings.Repeat(" ", max(labelWidth-len(label), 1))
}

// printCallback shows a callback as it arrived: request line, the headers that
// matter, body, verdict.
func (j *journey) printCallback(callback Callback) {
	event := gjson.GetBytes(callback.Body, "type").String()
	j.out.printf("\n%s\n", j.out.paint(styleBold, "Called back: "+event))
	j.field(callback.Method, callback.Path)
	for _, name := range []string{
		demoTokenHeader, "X-Demo-Job", "User-Agent", "Content-Type",
		"webhook-id", "webhook-timestamp", "webhook-signature", "X-Ringback-Signature", "X-Ringback-Attempt",
	} {
		if value := callback.Header.Get(name); value != "" {
			j.field(name, value)
		}
	}
	for _, line := range shortBody(callback.Body, min(j.out.width()-4, bodyColumns)) {
		j.out.printf("    %s\n", line)
	}
	if callback.Err != nil {
		j.out.printf("  %s\n", j.out.paint(styleRed, "signature NOT verified: "+callback.Err.Error()))
		return
	}
	j.out.printf("  %s\n", j.out.paint(styleGreen, "signature verified"))
}

// shortBody is a JSON body indented, its long lines cut, its end left out.
func shortBody(body []byte, columns int) []string {
	var pretty bytes.Buffer
	if json.Indent(&pretty, body, "", "  ") != nil {
		return []string{fit(strconv.Quote(string(body)), columns)}
	}
	lines := strings.Split(pretty.String(), "\n")
	if more := len(lines) - bodyLines; more > 1 {
		lines = append(lines[:bodyLines], "… "+grouped(more)+" more lines")
	}
	for i, line := range lines {
		lines[i] = fit(line, columns)
	}
	return lines
}

func (j *journey) printPolled(path string, object gjson.Result, facts string) {
	j.out.printf("  GET %s\n", path)
	j.field("  "+object.Get("status").String(), oneLine(facts))
}

func (j *journey) printDelivery(id string, delivery Delivery) {
	j.out.printf("  GET /v1/jobs/%s/deliveries\n", id)
	answer := "no attempt recorded"
	if count := len(delivery.Attempts); count > 0 {
		last := delivery.Attempts[count-1]
		answer = delivery.EventType + ", attempt " + strconv.Itoa(count) + ": " +
			strconv.Itoa(last.StatusCode) + " " + http.StatusText(last.StatusCode) + " in " + strconv.FormatFloat(last.DurationMS, 'f', 1, 64) + " ms"
	}
	j.field("  "+delivery.Status, answer)
}

func (j *journey) printAnswer(line gjson.Result) {
	answer := line.Get("response.body.choices.0.message.content").String()
	j.field(line.Get("custom_id").String(), line.Get("response.status_code").String()+"  "+oneLine(answer))
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// printNext names what a reader can do with the running server.
func (j *journey) printNext() {
	url := j.client.server
	j.out.printf(`
%s
  %s in a browser
  go run ./cmd/ringback list --server %s
  curl -s %s/v1/batches/%s
  curl -s '%s/v1/events?limit=5'
  curl -s %s/v1/generate -H 'Content-Type: application/json' \
       -d '{"model": "sim-small", "input": "Why is the sky blue?", "webhook": "%s/mine"}'
  go run ./cmd/ringback submit batch %s/questions.jsonl --server %s --watch
`, j.out.paint(styleBold, "What to try next"), url, url, url, j.batch, url, url, j.hooks, j.folder, url)
}
