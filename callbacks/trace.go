package callbacks

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http/httptrace"
	"sync"
	"time"
)

// phase is how far an attempt has come.
type phase string

const (
	phaseDNS     phase = "dns"
	phaseConnect phase = "connect"
	phaseTLS     phase = "tls"
	phaseRequest phase = "request"
	phaseAnswer  phase = "answer"
)

// progress is what a trace has seen so far.
type progress struct {
	phase    phase
	answered bool // the first byte of an answer came
	again    int  // how often the request had been written to its end before it was written once more
	timings  timings
}

// timings are in milliseconds. A step that was not finished, or not needed on a kept connection, is left out;
// first_byte counts from the attempt's start. Through a proxy, connect ends when its tunnel to the receiver is open.
type timings struct {
	DNS       *int64 `json:"dns,omitempty"`
	Connect   *int64 `json:"connect,omitempty"`
	TLS       *int64 `json:"tls,omitempty"`
	FirstByte *int64 `json:"first_byte,omitempty"`
}

func (t timings) json() json.RawMessage { return plain(t) }

// trace follows one attempt. Its hooks may be called from other goroutines, and by a dial that outlives the attempt.
type trace struct {
	mu                       sync.Mutex
	start, dns, connect, tls time.Time
	written                  int  // how often the request was written to its end
	connected                bool // what dials still report is about a connection that the attempt does not use
	at                       progress
}

// dialling tells whether nothing of the request can have been sent yet.
func (p progress) dialling() bool {
	return p.phase == phaseDNS || p.phase == phaseConnect || p.phase == phaseTLS
}

func newTrace() *trace { return &trace{start: time.Now(), at: progress{phase: phaseConnect}} }

// attach makes ctx report to the trace. Got1xxResponse stays unset: with it, http.Transport would not bound them.
func (t *trace) attach(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:              func(string) { t.seek() },
		DNSStart:             func(httptrace.DNSStartInfo) { t.begin(phaseDNS, &t.dns) },
		DNSDone:              func(d httptrace.DNSDoneInfo) { t.end(d.Err, t.dns, &t.at.timings.DNS) },
		ConnectStart:         func(string, string) { t.begin(phaseConnect, &t.connect) },
		ConnectDone:          func(_, _ string, err error) { t.end(err, t.connect, &t.at.timings.Connect) },
		TLSHandshakeStart:    func() { t.begin(phaseTLS, &t.tls) },
		TLSHandshakeDone:     func(_ tls.ConnectionState, err error) { t.end(err, t.tls, &t.at.timings.TLS) },
		GotConn:              func(httptrace.GotConnInfo) { t.advance(phaseRequest) },
		WroteRequest:         t.wrote,
		GotFirstResponseByte: t.firstByte,
	})
}

// seek starts over: a request that met a dead connection is given another one.
func (t *trace) seek() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.connected = false
	t.at.phase, t.at.again = phaseConnect, t.written
}

// begin enters a phase of the dial. Addresses tried side by side count from the first.
func (t *trace) begin(p phase, started *time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.connected {
		return
	}
	t.at.phase = p
	if started.IsZero() {
		*started = time.Now()
	}
}

func (t *trace) end(err error, started time.Time, took **int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil && !t.connected {
		*took = milliseconds(started)
	}
}

func (t *trace) advance(p phase) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.connected = true
	t.at.phase = p
}

// wrote waits for the answer, unless the request could not be written to its end.
func (t *trace) wrote(w httptrace.WroteRequestInfo) {
	if w.Err != nil {
		return
	}
	t.advance(phaseAnswer)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.written++
}

func (t *trace) firstByte() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at.answered = true
	t.at.timings.FirstByte = milliseconds(t.start)
}

func (t *trace) progress() progress {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.at
}

func milliseconds(since time.Time) *int64 {
	ms := time.Since(since).Milliseconds()
	return &ms
}
