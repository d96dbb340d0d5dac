package span

import (
	"math/rand/v2"
	"net/http"
	"strings"
)

// The headers of W3C Trace Context.
const (
	ParentHeader = "Traceparent"
	StateHeader  = "Tracestate"
)

// Trace is a place in a trace: a traceparent (W3C Trace Context, version 00), and after a space the tracestate that goes
// with it, if any. It is what rows keep, and what the next program is told as its parent. Empty is no trace.
type Trace string

// A traceparent is 00-<32 hex: trace>-<16 hex: span>-<2 hex: flags>.
const (
	traceAt, spanAt, flagsAt = 3, 36, 53

	parentLength = 55
)

// Read takes a place from the headers of a request. A traceparent that is malformed, or stands twice, is none; a
// tracestate that is malformed is left out.
func Read(h http.Header) Trace {
	parents := h[ParentHeader]
	if len(parents) != 1 {
		return ""
	}
	parent := readParent(strings.Trim(parents[0], " \t"))
	if parent == "" {
		return ""
	}
	return join(parent, readState(h[StateHeader]))
}

// Parse takes a place as a row keeps it. What is none is empty.
func Parse(text string) Trace {
	if len(text) < parentLength || readParent(text[:parentLength]) == "" {
		return ""
	}
	return Trace(text)
}

func join(parent, state string) Trace {
	if state == "" {
		return Trace(parent)
	}
	return Trace(parent + " " + state)
}

// readParent gives a traceparent as version 00; empty for one that is malformed. Versions that are not known yet are read
// as the standard says (section 3.2.2): what is known of them stands first.
func readParent(s string) string {
	switch {
	case len(s) < parentLength, !isHex(s[:2]), s[:2] == "ff":
		return ""
	case len(s) > parentLength && (s[:2] == "00" || s[parentLength] != '-'):
		return ""
	case s[2] != '-' || s[spanAt-1] != '-' || s[flagsAt-1] != '-':
		return ""
	}
	trace, id, flags := s[traceAt:spanAt-1], s[spanAt:flagsAt-1], s[flagsAt:parentLength]
	if !isHex(trace) || !isHex(id) || !isHex(flags) || strings.Trim(trace, "0") == "" || strings.Trim(id, "0") == "" {
		return ""
	}
	return "00-" + trace + "-" + id + "-" + knownFlags(flags)
}

// knownFlags keeps the flags that are defined (sampled, random); the others must not be passed on.
func knownFlags(hex string) string { return "0" + hexDigits[fromHex(hex[1])&3:][:1] }

// Parent is the traceparent.
func (t Trace) Parent() string { return string(t[:min(len(t), parentLength)]) }

// State is the tracestate; empty for none.
func (t Trace) State() string { return string(t[min(len(t), parentLength+1):]) }

// ID is the trace's own ID: 32 hex digits, empty for no trace.
func (t Trace) ID() string {
	if t == "" {
		return ""
	}
	return string(t[traceAt : spanAt-1])
}

// SpanID is the ID of the span that the place is: 16 hex digits, empty for no trace.
func (t Trace) SpanID() string {
	if t == "" {
		return ""
	}
	return string(t[spanAt : flagsAt-1])
}

// Sampled tells whether whoever began the trace records it.
func (t Trace) Sampled() bool { return t != "" && fromHex(t[parentLength-1])&1 == 1 }

// Put writes the place into a request's header, in place of what stood there. No trace changes nothing.
func (t Trace) Put(h http.Header) {
	if t == "" {
		return
	}
	h.Set(ParentHeader, t.Parent())
	h.Del(StateHeader)
	if state := t.State(); state != "" {
		h.Set(StateHeader, state)
	}
}

// child is the same trace under a new span's ID.
func (t Trace) child() Trace {
	var id [16]byte
	n := rand.Uint64() | 1 // an ID of zeros is none
	for i := range id {
		id[i] = hexDigits[n>>(60-4*i)&15]
	}
	return t[:spanAt] + Trace(id[:]) + t[flagsAt-1:]
}

const hexDigits = "0123456789abcdef"

// isHex wants lower case, as the standard does.
func isHex(s string) bool { return strings.Trim(s, hexDigits) == "" }

func fromHex(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}
