package providers

import (
	"bytes"
	"errors"
	"strings"
	"unsafe"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

// take judges one event and hands it on. An event is cut where the body ended
// before its blank line.
func (s *stream) take(chunk Chunk, cut bool) *Error {
	data := bytes.TrimSpace(chunk.Data)
	switch {
	case len(data) == 0:
		return nil // some keep the connection alive with these
	case string(data) == "[DONE]" && !s.came:
		return s.invalid("is a stream without a chunk")
	case string(data) == "[DONE]":
		s.ended = true
		return nil
	case !rawjson.Valid(data) && cut:
		return s.early(errors.New("the body ended in mid-event"))
	case data[0] != '{' || !rawjson.Valid(data):
		return s.invalid("is a stream with an event that is no JSON object")
	}
	return s.hand(chunk, readChunk(data, chunk.Event))
}

func (s *stream) invalid(why string) *Error {
	return &Error{
		Kind: InvalidAnswer, Retry: true, Status: s.answer.Status,
		Message: "The provider's answer " + why + ".", Err: errors.New("answer " + why),
	}
}

func (s *stream) hand(chunk Chunk, found chunkFindings) *Error {
	if found.failed {
		return s.failed(chunk.Data)
	}
	if found.usage != (Usage{}) {
		s.answer.Usage = found.usage
	}
	s.choices.follow(found.choices)
	s.came = true
	if s.stopped = s.each(chunk); s.stopped != nil {
		return nil //nolint:nilerr // it is the caller's own, and goes back to it as it is
	}
	s.ended = terminal(found.kind)
	if s.ended && found.responseFailed {
		return s.failed([]byte(gjson.GetBytes(chunk.Data, "response").Raw))
	}
	return nil
}

// failed judges an event's data, or a response, that holds an error. The event
// type "error" is no type of error.
func (s *stream) failed(data []byte) *Error {
	answer := s.answer
	answer.ContentType, answer.Body = acceptJSON, bytes.Clone(data)
	said := readEnvelope(data)
	if said.Type == "error" {
		said.Type = ""
	}
	return s.p.hiddenAs(&answer, said)
}

// terminal knows the events after which a response's stream ends; it has no [DONE].
func terminal(kind string) bool {
	switch kind {
	case "response.completed", "response.failed", "response.incomplete", "response.cancelled":
		return true
	}
	return false
}

// chunkFindings is what one pass over an event's data tells.
type chunkFindings struct {
	kind           string // its type, else its event field
	usage          Usage
	failed         bool // it is an error, or holds one
	responseFailed bool // its response holds one
	choices        gjson.Result
}

// readChunk passes over data, which must be a valid JSON object. What it finds
// shares data's bytes.
func readChunk(data []byte, event string) chunkFindings {
	found := chunkFindings{kind: event}
	gjson.Parse(unsafe.String(unsafe.SliceData(data), len(data))).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "type":
			if value.Type == gjson.String {
				found.kind = strings.Clone(value.Str)
			}
		case "error":
			found.failed = found.failed || value.Type != gjson.Null
		case "usage":
			found.usage = readUsage(value)
		case "choices":
			found.choices = value
		case "response":
			found.response(value)
		}
		return true
	})
	found.failed = found.failed || found.kind == "error"
	return found
}

func (f *chunkFindings) response(value gjson.Result) {
	value.ForEach(func(key, member gjson.Result) bool {
		switch key.Str {
		case "error":
			f.responseFailed = member.Type != gjson.Null
		case "usage":
			f.usage = readUsage(member)
		}
		return true
	})
}

// maxChoices bounds what is kept of a stream's choices; OpenAI's own limit is 128.
const maxChoices = 1024

// choices follows which of a stream's choices have their finish_reason.
type choices struct {
	done map[int]bool
}

func (c *choices) follow(list gjson.Result) {
	list.ForEach(func(_, choice gjson.Result) bool {
		index, ok := position(choice)
		if !ok {
			return true
		}
		if c.done == nil {
			c.done = make(map[int]bool)
		}
		reason := choice.Get("finish_reason")
		c.done[index] = c.done[index] || reason.Type == gjson.String
		return true
	})
}

// finished: there was a choice, and none is open.
func (c *choices) finished() bool {
	for _, done := range c.done {
		if !done {
			return false
		}
	}
	return len(c.done) > 0
}

// position reads a choice's index; none counts as the first.
func position(choice gjson.Result) (int, bool) {
	index := choice.Get("index")
	if index.Type == gjson.Null {
		return 0, choice.IsObject()
	}
	at := int(max(min(index.Num, maxChoices), -1))
	return at, index.Type == gjson.Number && at >= 0 && at < maxChoices && float64(at) == index.Num
}
