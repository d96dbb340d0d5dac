package responses

import (
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

// maxCalls bounds how many functions one answer may call: each is kept while the stream runs.
const maxCalls = 1024

// ChatStream turns the chunks of a chat completion into a response's events, and puts the response together. Thoughts that
// some providers stream beside the answer are left out: a chat completion has no place for them.
type ChatStream struct {
	sequence
	id      NewID
	items   []*output
	message *output
	calls   map[int64]*output // by their index in the chat

	model  string
	tier   string
	finish string // finish_reason; empty until it came
	usage  []byte
}

// NewChatStream begins with an event's number.
func NewChatStream(next int64, id NewID) *ChatStream {
	return &ChatStream{sequence: sequence{next: next}, id: id, calls: map[int64]*output{}}
}

// FromChat completes a response with a chat completion's body.
func FromChat(o Object, body []byte, id NewID) Object {
	s := NewChatStream(FirstNumber, id)
	s.push(gjson.ParseBytes(body), "message")
	o, _ = s.Finish(o)
	return o
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
	choice := v.Get("choices.0")
	if choice.Get("index").Int() != 0 {
		return // one answer is what a response has
	}
	s.say(choice.Get(key), choice.Get("logprobs.content"))
	s.refuse(choice.Get(key + ".refusal"))
	for i, call := range choice.Get(key + ".tool_calls").Array() {
		s.call(i, call)
	}
	if reason := choice.Get("finish_reason"); reason.Str != "" {
		s.finish = reason.Str
	}
}

// say appends what the assistant said: a text, or with some providers a list of parts.
func (s *ChatStream) say(delta, logprobs gjson.Result) {
	content := delta.Get("content")
	if content.IsArray() {
		for _, part := range content.Array() {
			s.saidText(part.Get("text"), gjson.Result{})
		}
		return
	}
	s.saidText(content, logprobs)
}

func (s *ChatStream) saidText(piece, logprobs gjson.Result) {
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

// call appends to a function's call. A chunk names it by its index; a whole message by its place.
func (s *ChatStream) call(place int, v gjson.Result) {
	index := int64(place)
	if i := v.Get("index"); i.Type == gjson.Number {
		index = i.Int()
	}
	function := v.Get("function")
	c, known := s.calls[index]
	if !known {
		if len(s.calls) == maxCalls {
			return
		}
		c = &output{id: s.id("fc_"), call: true, callID: v.Get("id").Raw}
		if v.Get("id").Type != gjson.String {
			c.callID = quote(s.id("call_"))
		}
		c.name.add(function.Get("name"))
		s.calls[index] = c
		s.open(c)
	}
	if piece := function.Get("arguments"); piece.Type == gjson.String && piece.Str != "" {
		c.arguments.add(piece)
		s.emit("response.function_call_arguments.delta", c.place()+`,"delta":`+piece.Raw)
	}
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
