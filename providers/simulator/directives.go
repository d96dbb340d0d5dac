package simulator

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	directiveOpen  = "[[sim:"
	directiveClose = "]]"
	maxTextBytes   = 256 << 20
)

// direct reads the prompt's directives into the call's plan.
func (s *Simulator) direct(c *call) *problem {
	rest := c.prompt
	var nth int64 // which call with this prompt; counted when a directive asks
	for {
		_, after, found := strings.Cut(rest, directiveOpen)
		if !found {
			return nil
		}
		words, tail, closed := strings.Cut(after, directiveClose)
		if !closed {
			return badDirective(after, "it does not end with "+directiveClose)
		}
		next, times, p := c.plan.with(words)
		if p != nil {
			return p
		}
		if times > 0 && nth == 0 {
			nth = s.nth(c.prompt)
		}
		if times == 0 || nth <= int64(times) {
			c.plan = next
		}
		rest = tail
	}
}

// nth counts the calls with one prompt.
func (s *Simulator) nth(prompt string) int64 {
	key := hash(hashStart, prompt)
	n, found := s.repeats.Load(key)
	if !found {
		n, _ = s.repeats.LoadOrStore(key, new(atomic.Int64))
	}
	return n.(*atomic.Int64).Add(1)
}

// with is the plan with a directive's words added, and the directive's times.
func (p plan) with(words string) (next plan, times int, bad *problem) {
	for word := range strings.FieldsSeq(words) {
		name, value, _ := strings.Cut(word, "=")
		if why := p.set(name, value, &times); why != "" {
			return p, 0, badDirective(words, why)
		}
	}
	return p, times, nil
}

// set adds one word, or says why it cannot be read.
func (p *plan) set(name, value string, times *int) (why string) {
	switch name {
	case "status":
		return number(value, 400, 599, &p.status)
	case "times":
		return number(value, 1, 1<<30, times)
	case "bytes":
		return number(value, 0, maxTextBytes, &p.bytes)
	case "drip":
		return duration(value, &p.drip)
	case "wait":
		return duration(value, &p.wait)
	case "retry_after":
		p.retryAfter = value
	case "type":
		p.contentType = value
	default:
		return p.flag(name, value)
	}
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return name + " needs a printable value"
	}
	return ""
}

func (p *plan) flag(name, value string) (why string) {
	switch {
	case name == "reset" && value == "body":
		p.resetBody = true
		return ""
	case value != "":
		return "there is no " + name + "=" + value
	}
	switch name {
	case "hang":
		p.hang = true
	case "reset":
		p.reset = true
	case "truncate":
		p.truncate = true
	case "html":
		p.html = true
	case "error200":
		p.error200 = true
	case "call":
		p.call = true
	case "fail":
		p.fail = true
	default:
		return "there is no " + name
	}
	return ""
}

func number(value string, low, high int, to *int) (why string) {
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		return "a number from " + strconv.Itoa(low) + " to " + strconv.Itoa(high) + " is needed, not " + value
	}
	*to = n
	return ""
}

func duration(value string, to *time.Duration) (why string) {
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		return "a duration such as 100ms is needed, not " + value
	}
	*to = d
	return ""
}

func badDirective(words, why string) *problem {
	const shown = 80
	return &problem{
		status: http.StatusBadRequest, typ: invalidRequest, code: "invalid_directive",
		message: "Cannot read the directive [[sim:" + words[:min(shown, len(words))] + "]]: " + why + ".",
	}
}
