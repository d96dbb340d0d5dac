package responses

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

// NativeStream renumbers the events of an upstream that speaks responses, and catches its final response. What tells of
// the response's life there is held back: ours is told by us.
type NativeStream struct {
	sequence
	id        NewID
	final     []byte
	whole     bool // it came in one piece
	cancelled bool
}

// NewNativeStream begins with an event's number.
func NewNativeStream(next int64, id NewID) *NativeStream {
	return &NativeStream{sequence: sequence{next: next}, id: id}
}

// Whole takes a response that came in one piece, in the place of all events. Finish gives those that it would have had.
func (s *NativeStream) Whole(body []byte) { s.final, s.whole = body, true }

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
	switch {
	case typ == "response.completed", typ == "response.failed", typ == "response.incomplete":
		s.final = []byte(v.Get("response").Raw)
	case typ == "response.cancelled":
		s.cancelled = true
	case typ == "error", !isEventType(typ), tellsOfLife(typ, v):
	default:
		s.pass(typ, data)
	}
	return s.take()
}

// tellsOfLife tells whether an event is about the whole response: response.created, .queued, .in_progress, and what an
// upstream may add to them. Events of what the model says have a longer type, or no response.
func tellsOfLife(typ string, v gjson.Result) bool {
	moment, ok := strings.CutPrefix(typ, "response.")
	if !ok || strings.Contains(moment, ".") {
		return false
	}
	return moment == Queued || moment == InProgress || moment == "created" || given(v.Get("response"))
}

// isEventType knows what the type of an event may be made of: it stands in a line of its own in the stream, where a line's
// end would begin another event. OpenAI's longest has 43 characters.
func isEventType(typ string) bool {
	return typ != "" && len(typ) <= 64 && !strings.ContainsFunc(typ, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789_.", r)
	})
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

// Finish completes the response with the upstream's own, as [FromNative]; events are those of an answer that came in one
// piece. The error is [Unreadable], also for a stream that ended without a response, or with one that was cancelled there.
func (s *NativeStream) Finish(o Object) (state string, object []byte, events []Event, err error) {
	switch {
	case s.cancelled:
		return "", nil, nil, Unreadable("was cancelled by the provider")
	case s.final == nil:
		return "", nil, nil, Unreadable("ended without a response")
	}
	state, object, err = FromNative(o, s.final, s.id)
	if err == nil && s.whole {
		s.retell(gjson.GetBytes(object, "output").Array())
	}
	return state, object, s.take(), err
}
