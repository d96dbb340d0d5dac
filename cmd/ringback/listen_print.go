package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tidwall/gjson"
)

// listenPrinter writes a line for each event to out, and what happens to the
// connection to notes. A line that cannot be written is lost.
type listenPrinter struct {
	out    io.Writer
	notes  io.Writer
	json   bool
	body   bool
	events int
	failed int
	said   bool // that it is connected, for the first time
}

// listenLine is an event for machines.
type listenLine struct {
	Time       string          `json:"time"` // RFC 3339, UTC
	ID         string          `json:"id"`
	Type       string          `json:"type"`
	Subject    string          `json:"subject"`               // data.id
	Attempts   int             `json:"attempts,omitempty"`    // absent: not forwarded
	Delivered  *bool           `json:"delivered,omitempty"`   // absent: not forwarded
	Status     int             `json:"status,omitempty"`      // absent: no answer
	DurationMS int64           `json:"duration_ms,omitempty"` // of the last try
	Advice     string          `json:"advice,omitempty"`
	Event      json.RawMessage `json:"event"`
}

// event shows one event; before is the ID of the one before it, or "".
func (p *listenPrinter) event(event sseEvent, result forwarded, before string) {
	p.events++
	if result.Attempt > 0 && !result.delivered() {
		p.failed++
	}
	if p.json {
		p.line(event, result)
		return
	}
	subject := gjson.GetBytes(event.Data, "data.id").String()
	fmt.Fprintf(p.out, "%s  %-28s %-34s%s\n", time.Now().Format(time.TimeOnly), event.Type, subject, outcome(event, result, before))
	if p.body {
		p.writeBody(event.Data)
	}
}

// outcome is what became of a forward, with what to do on a line of its own.
func outcome(event sseEvent, result forwarded, before string) string {
	if result.Attempt == 0 {
		return ""
	}
	status := "---"
	if result.Err == nil {
		status = fmt.Sprint(result.Status)
	}
	text := fmt.Sprintf("  %s  %d ms", status, result.Took.Milliseconds())
	if result.Attempt > 1 {
		text += fmt.Sprintf("  (try %d)", result.Attempt)
	}
	if !result.delivered() {
		text += fmt.Sprintf("\n          %s was not delivered: %s", event.ID, advice(result))
		if before != "" {
			text += "; send it once more with --since " + before
		}
	}
	return text
}

func (p *listenPrinter) writeBody(body []byte) {
	var pretty bytes.Buffer
	if json.Indent(&pretty, body, "", "  ") != nil {
		pretty.Reset()
		pretty.Write(body)
	}
	pretty.WriteByte('\n')
	_, _ = p.out.Write(pretty.Bytes())
}

func (p *listenPrinter) line(event sseEvent, result forwarded) {
	line := listenLine{
		Time: time.Now().UTC().Format(time.RFC3339Nano), ID: event.ID, Type: event.Type,
		Subject: gjson.GetBytes(event.Data, "data.id").String(), Event: event.Data,
	}
	if !json.Valid(event.Data) {
		line.Event, _ = json.Marshal(string(event.Data))
	}
	if result.Attempt > 0 {
		delivered := result.delivered()
		line.Attempts, line.Delivered, line.Status = result.Attempt, &delivered, result.Status
		line.DurationMS, line.Advice = result.Took.Milliseconds(), advice(result)
	}
	_ = writeJSONLine(p.out, line)
}

// writeJSONLine writes a value as one line, with its texts as they are.
func writeJSONLine(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

func (p *listenPrinter) connected(server string, forward *forwarder) {
	if p.said {
		fmt.Fprintf(p.notes, "connected again\n")
		return
	}
	p.said = true
	to := ""
	if forward != nil {
		to = ", forwarding to " + forward.url
	}
	fmt.Fprintf(p.notes, "listening to %s%s; ctrl-C ends it\n", server, to)
}

func (p *listenPrinter) lost(err error, pause time.Duration, server string) {
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%s closed the stream", server)
	}
	fmt.Fprintf(p.notes, "%s; connecting again in %s\n", err, pause)
}

// count ends the listing. The last ID lets the next listen go on from here.
func (p *listenPrinter) count(last string, forwarding bool) {
	text := fmt.Sprintf("%s events", grouped(p.events))
	if p.events == 1 {
		text = "1 event"
	}
	if forwarding {
		text += fmt.Sprintf(", %s delivered, %s failed", grouped(p.events-p.failed), grouped(p.failed))
	}
	if p.events > 0 && last != "" {
		text += "; go on from here with --since " + last
	}
	fmt.Fprintln(p.notes, text)
}
