package simulator

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// keptBytes bounds the buffers that go back to the pool, so that one huge
// answer does not stay in memory.
const keptBytes = 1 << 20

// A call is one request and the answer being made for it. Calls are pooled: no
// part of one may be kept after its handler returns.
type call struct {
	w       http.ResponseWriter
	r       *http.Request
	ctx     context.Context
	now     func() time.Time
	started time.Time
	id      uint64

	body []byte // the request's bytes
	// find knows the models, and what the tuned ones have learnt.
	find    func(name string) (model, lessons, *problem)
	lessons lessons
	req     request
	asked   []input // the texts that came
	// prompt is what the answer depends on, and where directives are read.
	prompt       string
	promptTokens int
	plan         plan
	answersTool  bool   // the conversation ends with what a tool gave
	tool         tool   // the function that the answer calls; without a name it is a text
	file         upload // what a form brought

	text         []byte // the generated text, or a function's arguments
	out          []byte // the answer's body
	kind         string // its Content-Type; empty is JSON
	outputTokens int
}

// handle wraps a handler with a pooled call.
func (s *Simulator) handle(h func(*call)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := s.pool.Get().(*call)
		defer s.release(c)
		c.w, c.r, c.ctx, c.now, c.started = w, r, r.Context(), s.now, s.now()
		c.id = mix(s.seed + s.ids.Add(1))
		c.plan.bytes, c.find = -1, s.find
		h(c)
	}
}

func (s *Simulator) release(c *call) {
	clear(c.asked)
	*c = call{
		body: reusable(c.body), text: reusable(c.text), out: reusable(c.out),
		asked: c.asked[:0],
	}
	s.pool.Put(c)
}

func reusable(b []byte) []byte {
	if cap(b) > keptBytes {
		return nil
	}
	return b[:0]
}

// wait lets d pass. If the client goes away before, the call ends there.
func (c *call) wait(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.ctx.Done():
		abort()
	}
}

// abort ends the call and its connection. net/http recovers this panic without
// a word; a plain return would send an empty 200.
func abort() { panic(http.ErrAbortHandler) }

// id in answers: a prefix and 16 hexadecimal digits.
func (c *call) appendID(dst []byte, prefix string) []byte {
	return appendHex(append(dst, prefix...), c.id)
}

func appendHex(dst []byte, id uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, digits[id>>shift&15])
	}
	return dst
}

// headers sets what every answer carries.
func (c *call) headers(contentType string) {
	var id [24]byte
	h := c.w.Header()
	h["Content-Type"] = []string{contentType}
	h["X-Request-Id"] = []string{string(c.appendID(id[:0], "req_"))}
	h["Openai-Processing-Ms"] = []string{strconv.FormatInt(c.now().Sub(c.started).Milliseconds(), 10)}
}

// mix is the finalizer of SplitMix64: neighbouring numbers come out far apart.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
