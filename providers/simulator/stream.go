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
	out := stream{call: c, left: -1, usage: c.req.options.Get("include_usage").Type == gjson.True}
	if c.plan.bytes < 0 {
		out.pace = s.opts.TPOT
	}
	kind := c.plan.contentType
	if kind == "" {
		kind = "text/event-stream"
	}
	c.headers(kind)
	c.w.Header()["Cache-Control"] = []string{"no-cache"}
	c.w.WriteHeader(http.StatusOK)
	for i := range c.req.choices {
		out.choice(i)
	}
	out.end()
}

func (s *stream) choice(index int) {
	tokens, cut := s.compose(s.prompt, index)
	s.outputTokens += tokens
	if s.plan.truncate || s.plan.resetBody {
		s.left = tokens / 2
	}
	pace := s.pace + s.plan.drip/time.Duration(max(1, tokens))
	s.delta(index, `{"role":"assistant","content":"","refusal":null}`, "null")
	for at := 0; at < len(s.text); {
		s.breakOff()
		n := tokenLen(s.text, at)
		s.token(index, s.text[at:at+n])
		at += n
		if pace > 0 {
			s.flush()
			s.wait(pace)
		}
	}
	s.delta(index, `{}`, `"`+finish(cut)+`"`)
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

func (s *stream) begin(index int) {
	s.out = append(s.out[:0], "data: "...)
	s.out = s.appendHead(s.out, "chatcmpl-", "chat.completion.chunk")
	s.out = appendInt(s.out, `{"index":`, index)
	s.out = append(s.out, `,"delta":`...)
}

func (s *stream) token(index int, text []byte) {
	s.begin(index)
	s.out = appendString(append(s.out, `{"content":`...), text)
	s.out = append(s.out, '}')
	s.finishChunk("null")
}

func (s *stream) delta(index int, delta, finish string) {
	s.begin(index)
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
