package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"
)

// attemptLabel is the column of labels beside an attempt.
const attemptLabel = 12

// showDelivery tells the whole story of a delivery, and ends with what to do.
func (s *session) showDelivery(_ context.Context, d gjson.Result) error {
	if err := s.print.fields(d, "attempts", "reason", "next_attempt_at", "held_since"); err != nil {
		return err
	}
	attempts := d.Get("attempts").Array()
	for i, attempt := range attempts {
		if err := s.print.printf("\n"); err != nil {
			return err
		}
		if err := s.showAttempt(fmt.Sprintf("attempt %d", i+1), attempt); err != nil {
			return err
		}
	}
	if err := s.print.printf("\n"); err != nil {
		return err
	}
	for _, line := range s.print.outlook(d, attempts) {
		if err := s.print.wrappedField(line[0], line[1]); err != nil {
			return err
		}
	}
	return nil
}

// showAttempt prints what was sent, what came back, and the rule.
func (s *session) showAttempt(name string, a gjson.Result) error {
	sent := "nothing was sent"
	if request := a.Get("request"); request.IsObject() {
		sent = fmt.Sprintf("%s %s, %s bytes", request.Get("method"), request.Get("url"), grouped(int(request.Get("bytes").Int())))
	}
	if a.Get("manual").Bool() {
		sent += ", asked for by hand"
	}
	lines := [][2]string{
		{name, moment(unix(a.Get("started_at")), s.print.now)},
		{"  sent", sent},
		{"  answer", answerWords(a)},
	}
	if body := a.Get("response_snippet").String(); strings.TrimSpace(body) != "" {
		lines = append(lines, [2]string{"  said", fit(oneLine(body), longestSnippet)})
	}
	lines = append(lines, [2]string{"  rule", a.Get("rule").String()})
	for _, line := range lines {
		if err := s.print.field(attemptLabel, line[0], clean(line[1])); err != nil {
			return err
		}
	}
	return nil
}

// longestSnippet is how much of an answer's body is shown; --json has all of it.
const longestSnippet = 300

// answerWords is "503 Service Unavailable in 12 ms (dns 0, connect 1, …)".
func answerWords(a gjson.Result) string {
	text := "none"
	if status := int(a.Get("status_code").Int()); status > 0 {
		text = strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
	}
	if class := a.Get("error_class").String(); class != "" {
		text += ", " + class
	}
	text += fmt.Sprintf(" in %s ms", grouped(int(a.Get("duration_ms").Int())))
	var parts []string
	a.Get("timings").ForEach(func(name, ms gjson.Result) bool {
		if ms.Type == gjson.Number {
			parts = append(parts, strings.ReplaceAll(name.String(), "_", " ")+" "+ms.String())
		}
		return true
	})
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, ", ") + ")"
	}
	return text
}

// outlook says where a delivery stands: why, what comes next, what to do.
func (p *printer) outlook(d gjson.Result, attempts []gjson.Result) (lines [][2]string) {
	add := func(label, text string) {
		if text != "" {
			lines = append(lines, [2]string{label, text})
		}
	}
	status := d.Get("status").String()
	if status == "delivered" {
		return [][2]string{{"next", "nothing: it was delivered"}}
	}
	why := ""
	if len(attempts) > 0 {
		last := attempts[len(attempts)-1]
		why = adviceFor(last.Get("error_class").String(), int(last.Get("status_code").Int()))
	}
	add("why", firstSet(reasonWords[d.Get("reason").String()], why))
	add("next", p.nextWords(d, status))
	if len(attempts) > 0 || status == "failed" || status == "cancelled" {
		add("what to do", toDo(d))
	}
	return lines
}

// nextWords says what happens if nobody does anything.
func (p *printer) nextWords(d gjson.Result, status string) string {
	switch status {
	case "sending":
		return "an attempt is under way"
	case "failed":
		return "nothing: it was given up"
	case "cancelled":
		return "nothing: it was cancelled"
	}
	at := unix(d.Get("next_attempt_at"))
	if held := unix(d.Get("held_since")); !held.IsZero() {
		return "it waits until its receiver answers a probe; the receiver has been shut since " + moment(held, p.now)
	}
	if at.Before(p.now) {
		return "an attempt is due now"
	}
	return "another attempt at " + moment(at, p.now)
}

// toDo is how to mend and send again.
func toDo(d gjson.Result) string {
	again := "ringback deliveries retry " + d.Get("id").String()
	endpoint := d.Get("endpoint_id").String()
	switch {
	case d.Get("reason").String() == "endpoint_deleted":
		return "its endpoint is gone: register one, then ringback endpoints replay ID --event " + d.Get("event_id").String()
	case d.Get("reason").String() == "endpoint_disabled", d.Get("reason").String() == "gone" && endpoint != "":
		return "mend the receiver, then: ringback endpoints enable " + endpoint + " && " + again
	case endpoint != "":
		return "mend the receiver, or name another: ringback endpoints update " + endpoint + " --url URL; then: " + again
	}
	return "mend the receiver (the URL of a job's own webhook is fixed), then: " + again
}

// wrappedField prints a labelled text that may take several lines.
func (p *printer) wrappedField(label, text string) error {
	columns := p.columns()
	if columns == 0 {
		columns = plainWidth
	}
	text = wrapped(clean(text), strings.Repeat(" ", attemptLabel+2), columns-1)
	return p.printf("%s  %s\n", p.screen.paint(styleBold, pad(label, attemptLabel)), text)
}
