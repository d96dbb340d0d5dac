package simulator

import (
	"net/http"
	"time"

	"github.com/tidwall/gjson"
)

// A stream sends one chat completion as server-sent events, one token a chunk.
type stream struct {
	*call
	usage bool          // a last chunk with the usage is wanted
	pace  time.Duration // between tokens
	left  int           // tokens to send before the plan breaks the stream; -1 is all
}

func (s *Simulator) stream(c *call) {
	c.wait(s.opts.TTFT)
	out := s.begin(c)
	out.usage = c.req.options.Get("include_usage").Type == gjson.True
	for i := range c.req.choices {
		out.choice(i)
	}
	out.end()
}

// begin sends a stream's headers.
func (s *Simulator) begin(c *call) stream {
	out := stream{call: c, left: -1}
	if c.plan.bytes < 0 {
		out.pace = s.opts.TPOT
	}
	c.headers(c.contentType("text/event-stream"))
	c.w.Header()["Cache-Control"] = []string{"no-cache"}
	c.w.WriteHeader(http.StatusOK)
	return out
}

func (s *stream) choice(index int) {
	tokens, finish := s.produce(index)
	s.outputTokens += tokens
	if s.calls() {
		s.start(index)
		s.out = s.appendToolCall(append(s.out, `{"role":"assistant","content":null,"tool_calls":[{"index":0,`...), index, nil)
		s.out = append(s.out, `}]}`...)
		s.finishChunk("null")
	} else {
		s.delta(index, `{"role":"assistant","content":"","refusal":null}`, "null")
	}
	s.pieces(tokens, func(text []byte) { s.token(index, text) })
	s.delta(index, `{}`, `"`+finish+`"`)
}

// pieces sends the text token by token, at the stream's pace, as far as the plan
// lets it.
func (s *stream) pieces(tokens int, send func(text []byte)) {
	if s.plan.truncate || s.plan.resetBody {
		s.left = tokens / 2
	}
	pace := s.pace + s.plan.drip/time.Duration(max(1, tokens))
	for at := 0; at < len(s.text); {
		s.breakOff()
		n := tokenLen(s.text, at)
		send(s.text[at : at+n])
		at += n
		if pace > 0 {
			s.flush()
			s.wait(pace)
		}
	}
}

// breakOff ends the stream where the plan says so.
func (s *stream) breakOff() {
	if s.left < 0 {
		return
	}
	if s.left--; s.left >= 0 {
		return
	}
	s.flush()
	if s.plan.resetBody {
		s.resetConnection()
	}
	abort()
}

// start begins a chunk, up to its delta.
func (s *stream) start(index int) {
	s.out = append(s.out[:0], "data: "...)
	s.out = s.appendHead(s.out, "chatcmpl-", "chat.completion.chunk")
	s.out = appendInt(s.out, `{"index":`, index)
	s.out = append(s.out, `,"delta":`...)
}

func (s *stream) token(index int, text []byte) {
	s.start(index)
	if s.calls() {
		s.out = appendString(append(s.out, `{"tool_calls":[{"index":0,"function":{"arguments":`...), text)
		s.out = append(s.out, `}}]}`...)
	} else {
		s.out = appendString(append(s.out, `{"content":`...), text)
		s.out = append(s.out, '}')
	}
	s.finishChunk("null")
}

func (s *stream) delta(index int, delta, finish string) {
	s.start(index)
	s.out = append(s.out, delta...)
	s.finishChunk(finish)
}

func (s *stream) finishChunk(finish string) {
	s.out = append(append(s.out, `,"logprobs":null,"finish_reason":`...), finish...)
	s.out = append(s.out, `}]`...)
	if s.usage {
		s.out = append(s.out, `,"usage":null`...)
	}
	s.write("}\n\n")
}

func (s *stream) end() {
	if s.usage {
		s.out = append(s.out[:0], "data: "...)
		s.out = s.appendHead(s.out, "chatcmpl-", "chat.completion.chunk")
		s.out = s.appendUsage(append(s.out, `],"usage":`...))
		s.write("}\n\n")
	}
	s.out = s.out[:0]
	s.write("data: [DONE]\n\n")
}

func (s *stream) write(tail string) {
	s.out = append(s.out, tail...)
	if _, err := s.w.Write(s.out); err != nil {
		abort()
	}
}
