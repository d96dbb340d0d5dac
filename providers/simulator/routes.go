package simulator

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"time"
)

// A route is one kind of model call.
type route struct {
	path   string
	serves func(m model) bool
	// ask reads the prompt from the request's fields into the call.
	ask func(c *call) *problem
	// answer writes the body and the tokens used into the call.
	answer func(c *call)
	// stream sends the answer in pieces, for routes that obey stream: true.
	stream func(c *call)
	// form is the field of a multipart form that brings a file. Routes that have
	// one read forms as well as JSON.
	form string
}

func (s *Simulator) modelRoutes() []route {
	generates := model.generates
	return []route{
		{path: "/v1/chat/completions", serves: generates, ask: askChat, answer: answerChat, stream: s.stream},
		{path: "/v1/completions", serves: generates, ask: askCompletion, answer: answerCompletion},
		{path: "/v1/responses", serves: generates, ask: askResponse, answer: answerResponse, stream: s.streamResponse},
		{path: "/v1/moderations", serves: model.untuned, ask: askModeration, answer: answerModeration},
		{path: "/v1/images/generations", serves: model.untuned, ask: askImage, answer: s.answerImage},
		{path: "/v1/images/edits", serves: model.untuned, ask: askImageEdit, answer: s.answerImage, form: "image"},
		{path: "/v1/images/variations", serves: model.untuned, ask: askImageVariation, answer: s.answerImage, form: "image"},
		{path: embeddingsPath, serves: model.embeds, ask: askEmbedding, answer: answerEmbedding},
		{path: "/v1/audio/speech", serves: model.untuned, ask: askSpeech, answer: s.answerSpeech},
		{path: "/v1/audio/transcriptions", serves: model.untuned, ask: askTranscription, answer: answerTranscription, form: "file"},
		{path: "/v1/videos", serves: model.untuned, ask: askVideo, answer: s.answerVideo, form: "input_reference"},
	}
}

func (s *Simulator) routes() *http.ServeMux {
	mux := http.NewServeMux()
	allowed := map[string]string{} // path -> its methods, as an Allow header has them
	add := func(method, path string, h func(*call)) {
		mux.HandleFunc(method+" "+path, s.handle(h))
		if allowed[path] != "" {
			method = allowed[path] + ", " + method
		}
		allowed[path] = method
	}
	for _, rt := range s.modelRoutes() {
		add(http.MethodPost, rt.path, func(c *call) { s.modelCall(c, rt) })
	}
	s.videoRoutes(add)
	s.accountRoutes(add)
	add(http.MethodGet, "/healthz", func(c *call) {
		c.out = appendInt(c.out, `{"status":"ok","calls":`, s.Calls())
		c.out = appendInt(c.out, `,"refused":`, s.Refused())
		c.out = appendInt(c.out, `,"videos":`, s.Videos())
		c.out = append(c.out, '}')
		c.send(http.StatusOK)
	})
	for path, methods := range allowed {
		mux.HandleFunc(path, s.handle(func(c *call) { c.refuse(wrongMethod(c.r, methods)) }))
	}
	mux.HandleFunc("/", s.handle(func(c *call) { c.refuse(unknownRoute(c.r)) }))
	return mux
}

// modelCall carries one model call from its arrival to its end.
func (s *Simulator) modelCall(c *call, rt route) {
	s.calls.Add(1)
	if p := s.carry(c, rt); p != nil {
		s.refuseModel(c, p)
	}
}

// refuseModel refuses a model call and counts the refusals for asking too often.
func (s *Simulator) refuseModel(c *call, p *problem) {
	if p.status == http.StatusTooManyRequests {
		s.refused.Add(1)
	}
	c.refuse(p)
}

// carry reads the body before any fault is played, because a server notices a
// client that goes away only once the request has been read.
func (s *Simulator) carry(c *call, rt route) *problem {
	if p := s.admit(c); p != nil {
		return p
	}
	if p := c.take(rt); p != nil {
		return p
	}
	if c.plan = s.shares.next(); s.play(c) {
		return nil
	}
	if p := c.parse(rt); p != nil {
		return p
	}
	if p := rt.ask(c); p != nil {
		return p
	}
	if p := s.direct(c); p != nil {
		return p
	}
	c.wait(c.plan.wait)
	if s.play(c) {
		return nil
	}
	s.deliver(c, rt)
	return nil
}

// deliver makes the answer, lets its latency pass and sends it.
func (s *Simulator) deliver(c *call, rt route) {
	if c.plan.call && !c.answersTool {
		c.tool = c.req.tool()
	}
	if c.req.stream && rt.stream != nil {
		rt.stream(c)
		return
	}
	rt.answer(c)
	delay := s.opts.TTFT
	if c.plan.bytes < 0 {
		delay += s.opts.TPOT * time.Duration(c.outputTokens)
	}
	c.wait(delay)
	c.send(http.StatusOK)
}

func (s *Simulator) admit(c *call) *problem {
	if p := s.authorize(c.r); p != nil {
		return p
	}
	if _, line := c.w.(*lineAnswer); line {
		return nil // a batch has limits of its own
	}
	return s.limit.take(c.w.Header(), c.started)
}

func (s *Simulator) authorize(r *http.Request) *problem {
	if s.opts.APIKey == "" {
		return nil
	}
	want := "Bearer " + s.opts.APIKey
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(want)) == 1 {
		return nil
	}
	return &problem{
		status: http.StatusUnauthorized, typ: invalidRequest, code: "invalid_api_key",
		message: "Incorrect API key provided. Send the simulator's key as Authorization: Bearer <key>.",
	}
}

func unknownRoute(r *http.Request) *problem {
	return &problem{
		status: http.StatusNotFound, typ: invalidRequest,
		message: fmt.Sprintf("Invalid URL (%s %s)", r.Method, r.URL.Path),
	}
}

func wrongMethod(r *http.Request, want string) *problem {
	return &problem{
		status: http.StatusMethodNotAllowed, typ: invalidRequest, allow: want,
		message: fmt.Sprintf("Not allowed to %s on %s: use %s.", r.Method, r.URL.Path, want),
	}
}
