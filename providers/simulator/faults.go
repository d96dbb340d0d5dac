package simulator

import (
	"net/http"
	"sync/atomic"
	"time"
)

// A plan is what becomes of a call, from the shares of Options or from the
// prompt's directives.
type plan struct {
	status      int // of an error; 0 is none
	retryAfter  string
	hang        bool
	reset       bool
	resetBody   bool
	truncate    bool
	html        bool
	error200    bool
	call        bool // a function, where the request has one
	fail        bool // a video, at its end
	contentType string
	bytes       int // length of the text; -1 is what the model says
	drip, wait  time.Duration
}

// shares chooses the calls that fail. Its sequence is the multiples of the
// golden ratio modulo 1: of any run of calls each share comes out within a call
// or two, and hits lie far apart, so that a retry can succeed.
type shares struct {
	fail, hang, reset float64
	n                 atomic.Uint64
}

func (s *shares) next() plan {
	p := plan{bytes: -1}
	if s.fail+s.hang+s.reset <= 0 {
		return p
	}
	const golden = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
	x := float64(s.n.Add(1)*golden>>11) / (1 << 53)
	switch {
	case x < s.fail:
		p.status = http.StatusInternalServerError
	case x < s.fail+s.hang:
		p.hang = true
	case x < s.fail+s.hang+s.reset:
		p.reset = true
	}
	return p
}

// play carries out a plan that leaves no room for an answer, and says whether
// it was one.
func (s *Simulator) play(c *call) bool {
	switch p := &c.plan; {
	case p.hang:
		s.log.DebugContext(c.ctx, "simulated fault", "fault", "hang")
		<-c.ctx.Done()
		abort()
	case p.reset:
		s.log.DebugContext(c.ctx, "simulated fault", "fault", "reset")
		c.resetConnection()
	case p.status != 0:
		s.log.DebugContext(c.ctx, "simulated fault", "fault", "status", "status", p.status)
		answer := failure(p.status)
		answer.retryAfter = p.retryAfter
		s.refuseModel(c, answer)
	case p.html:
		s.log.DebugContext(c.ctx, "simulated fault", "fault", "html")
		c.out = append(c.out, htmlPage...)
		c.sendAs(http.StatusBadGateway, "text/html; charset=utf-8")
	case p.error200:
		s.log.DebugContext(c.ctx, "simulated fault", "fault", "error200")
		c.out = failure(http.StatusInternalServerError).appendTo(c.out)
		c.send(http.StatusOK)
	default:
		return false
	}
	return true
}

const htmlPage = "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>\n" +
	"<body><h1>502 Bad Gateway</h1><p>Simulated proxy error.</p></body></html>\n"
