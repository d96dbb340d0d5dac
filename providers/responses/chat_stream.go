package responses

import (
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

// ChatStream turns the chunks of a chat completion into a response's events, and puts the response together. Thoughts that
// some providers stream beside the answer are left out: a chat completion has no place for them.
type ChatStream struct {
	sequence
	id      NewID
	items   []*output
	message *output
	calls   calls
	whole   bool       // it came in one piece
	spoke   bool       // there was a message, or a piece of one
	spoiled Unreadable // why no answer can come of it any more; empty while one can

	model  string
	tier   string
	finish string // finish_reason; empty until it came
	usage  []byte
}

// NewChatStream begins with an event's number.
func NewChatStream(next int64, id NewID) *ChatStream {
	return &ChatStream{sequence: sequence{next: next}, id: id, calls: calls{at: map[int64]*output{}}}
}

// FromChat completes a response with a chat completion's body. The error is [Unreadable].
func FromChat(o Object, body []byte, id NewID) (Object, error) {
	s := NewChatStream(FirstNumber, id)
	s.Whole(body)
	o, _, err := s.Finish(o)
	return o, err
}

// Whole takes a chat completion that came in one piece, in the place of all chunks. Finish gives its events.
func (s *ChatStream) Whole(body []byte) {
	s.whole = true
	if rawjson.Valid(body) {
		s.push(gjson.ParseBytes(body), "message")
	}
}

// Push takes a chunk's data and gives the events that it makes. What is no JSON, like the closing [DONE], makes none.
func (s *ChatStream) Push(chunk []byte) []Event {
	if rawjson.Valid(chunk) {
		s.push(gjson.ParseBytes(chunk), "delta")
	}
	return s.take()
}

func (s *ChatStream) push(v gjson.Result, key string) {
	if model := v.Get("model"); model.Str != "" {
		s.model = model.Str
	}
	if tier := v.Get("service_tier"); tier.Type == gjson.String {
		s.tier = tier.Raw
	}
	if usage := v.Get("usage"); usage.IsObject() {
		s.usage = chatUsage(usage)
	}
	choice := firstChoice(v.Get("choices"))
	message := choice.Get(key)
	s.spoke = s.spoke || s.speaks(message)
	s.say(message.Get("content"), choice.Get("logprobs.content"))
	s.refuse(message.Get("refusal"))
	for i, call := range message.Get("tool_calls").Array() {
		s.call(i, call)
	}
	s.callFunction(message.Get("function_call"))
	if reason := choice.Get("finish_reason"); reason.Str != "" {
		s.finish = reason.Str
	}
}

// firstChoice is the choice of index 0, wherever it stands; one without an index counts as that. One answer is what a
// response has.
func firstChoice(choices gjson.Result) (found gjson.Result) {
	for _, choice := range choices.Array() {
		if index := choice.Get("index"); !given(index) || index.Num == 0 {
			return choice
		}
	}
	return found
}

// speaks tells a message from an object that is none. A piece of one may be empty.
func (s *ChatStream) speaks(message gjson.Result) bool {
	if !s.whole {
		return message.IsObject()
	}
	has := members(message)
	for _, name := range []string{"role", "content", "refusal", "tool_calls", "function_call"} {
		if _, there := has[name]; there {
			return true
		}
	}
	return false
}

// spoil says why no answer can come of this; the first reason stays.
func (s *ChatStream) spoil(why Unreadable) {
	if s.spoiled == "" {
		s.spoiled = why
	}
}

// say appends what the assistant said: a text, or with some providers a list of parts.
func (s *ChatStream) say(content, logprobs gjson.Result) {
	switch {
	case content.IsArray():
		for _, part := range content.Array() {
			s.sayText(part.Get("text"), gjson.Result{})
		}
	case given(content) && content.Type != gjson.String:
		s.spoil("has content that is neither a text nor a list of parts")
	default:
		s.sayText(content, logprobs)
	}
}

func (s *ChatStream) sayText(piece, logprobs gjson.Result) {
	if piece.Type != gjson.String || piece.Str == "" {
		return
	}
	m := s.openMessage()
	s.openPart(m, &m.text, m.textPart)
	odds := elements(logprobs)
	m.text.add(piece)
	m.logprobs = append(m.logprobs, odds...)
	s.emit("response.output_text.delta", m.partPlace(&m.text)+`,"delta":`+piece.Raw+`,"logprobs":`+string(join(odds)))
}

func (s *ChatStream) refuse(piece gjson.Result) {
	if piece.Type != gjson.String || piece.Str == "" {
		return
	}
	m := s.openMessage()
	s.openPart(m, &m.refusal, m.refusalPart)
	m.refusal.add(piece)
	s.emit("response.refusal.delta", m.partPlace(&m.refusal)+`,"delta":`+piece.Raw)
}

func (s *ChatStream) openMessage() *output {
	if s.message == nil {
		s.message = &output{id: s.id("msg_")}
		s.open(s.message)
	}
	return s.message
}

// open begins an item. What was said before it is an item that has ended; calls may grow side by side.
func (s *ChatStream) open(o *output) {
	if o != s.message && s.message != nil {
		s.close(s.message, Completed)
		s.message = nil
	}
	o.index = len(s.items)
	s.items = append(s.items, o)
	s.emit("response.output_item.added", `"output_index":`+strconv.Itoa(o.index)+`,"item":`+o.json(InProgress))
}

// openPart begins a message's part, once.
func (s *ChatStream) openPart(o *output, p *part, shown func() string) {
	if p.open {
		return
	}
	if o.text.open || o.refusal.open {
		p.index = 1
	}
	p.open = true
	s.emit("response.content_part.added", o.partPlace(p)+`,"part":`+shown())
}
