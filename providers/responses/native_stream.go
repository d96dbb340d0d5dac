package responses

import (
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

// NativeStream renumbers the events of an upstream that speaks responses, and catches its final response. What tells of
// the response's life there is held back: ours is told by us.
type NativeStream struct {
	sequence
	final   []byte
	failure Failure
}

// NewNativeStream begins with an event's number.
func NewNativeStream(next int64) *NativeStream { return &NativeStream{sequence: sequence{next: next}} }

// Push takes an event's name and data and gives what becomes of it: one event with our number, or none.
func (s *NativeStream) Push(name string, data []byte) []Event {
	if !rawjson.Valid(data) {
		return nil
	}
	v := gjson.ParseBytes(data)
	if !v.IsObject() {
		return nil
	}
	typ := v.Get("type").Str
	if typ == "" {
		typ = name
	}
	switch typ {
	case "response.created", "response.queued", "response.in_progress":
	case "response.completed", "response.failed", "response.incomplete":
		s.final = []byte(v.Get("response").Raw)
	case "error":
		s.failure = failureIn(v)
	default:
		s.pass(typ, data)
	}
	return s.take()
}

// pass gives an event our number. All other bytes stay as they are, but for a member "error".
func (s *NativeStream) pass(typ string, data []byte) {
	number := member("sequence_number", strconv.FormatInt(s.next, 10))
	has := members(gjson.ParseBytes(data))
	out := edit(data, func(key string, value gjson.Result) (string, bool) {
		switch key {
		case "sequence_number":
			return string(number), true
		case "type":
			return string(member(key, quote(typ))), true
		case "error":
			return "", false
		}
		return "", true
	})
	if _, there := has["sequence_number"]; !there {
		out = extend(out, number)
	}
	if _, there := has["type"]; !there {
		out = extend(out, member("type", quote(typ)))
	}
	s.events = append(s.events, Event{N: s.next, Type: typ, Data: out})
	s.next++
}

// Final is the upstream's response as its last event showed it; nil where the stream broke off before.
func (s *NativeStream) Final() []byte { return s.final }

// Failure is what an error event said; its code is empty where there was none.
func (s *NativeStream) Failure() Failure { return s.failure }
