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
}

func (s *Simulator) modelRoutes() []route {
	return []route{
		{"/v1/chat/completions", model.generates, askChat, answerChat},
		{"/v1/completions", model.generates, askCompletion, answerCompletion},
		{"/v1/responses", model.generates, askResponse, answerResponse},
		{"/v1/moderations", model.generates, askModeration, answerModeration},
		{"/v1/images/generations", model.generates, askImage, s.answerImage},
		{"/v1/embeddings", model.embeds, askEmbedding, answerEmbedding},
	}
}

func (s *Simulator) routes() *http.ServeMux {
	mux := http.NewServeMux()
	add := func(method, path string, h func(*call)) {
		mux.HandleFunc(method+" "+path, s.handle(h))
		mux.HandleFunc(path, s.handle(func(c *call) { c.refuse(wrongMethod(c.r, method)) }))
	}
	for _, rt := range s.modelRoutes() {
		add(http.MethodPost, rt.path, func(c *call) { s.modelCall(c, rt) })
	}
	add(http.MethodGet, "/v1/models", s.listModels)
	add(http.MethodGet, "/v1/models/{id}", s.getModel)
	add(http.MethodGet, "/healthz", func(c *call) {
		c.out = appendInt(c.out, `{"status":"ok","calls":`, s.Calls())
		c.out = append(c.out, '}')
		c.send(http.StatusOK)
	})
	mux.HandleFunc("/", s.handle(func(c *call) { c.refuse(unknownRoute(c.r)) }))
	return mux
}

// modelCall carries one model call from its arrival to its end.
func (s *Simulator) modelCall(c *call, rt route) {
	s.calls.Add(1)
	if p := s.carry(c, rt); p != nil {
		c.refuse(p)
	}
}

// carry reads the body before any fault is played, because a server notices a
// client that goes away only once the request has been read.
func (s *Simulator) carry(c *call, rt route) *problem {
	if p := s.admit(c); p != nil {
		return p
	}
	if p := c.read(); p != nil {
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
	if c.req.stream {
		s.stream(c)
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
