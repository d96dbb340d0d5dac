package callbacks

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/ringback/ringback/callbacks/signature"
	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/telemetry/span"
)

// defaultTimeout is the deadline of one attempt where nobody names another.
const defaultTimeout = 10 * time.Second

// userAgent names the sender to receivers.
const userAgent = "Ringback/1.0"

// PosterOptions are the parts a Poster works with.
type PosterOptions struct {
	Client              *Client
	Timeout             time.Duration // of one whole attempt; zero for 10 s, at most 30 s
	BodySignatureHeader string        // empty for signature.DefaultBodyHeader
	Tracer              *span.Tracer  // tells attempts as spans; nil passes traces on alone
	Now                 func() time.Time
}

// Poster makes attempts: it carries an event's bytes to a receiver and tells how that went.
type Poster struct {
	PosterOptions
}

// NewPoster makes a Poster.
func NewPoster(o PosterOptions) *Poster {
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	o.BodySignatureHeader = Rules{BodySignatureHeader: o.BodySignatureHeader}.bodySignatureHeader()
	return &Poster{o}
}

// Result is an attempt and what its answer asks for.
type Result struct {
	Attempt
	RetryAfter string // the first Retry-After header
	Wish       string // the first webhook-delivery header (Standard Webhooks): abort-message, disable
	Final      bool   // trying again cannot help: the URL itself is refused, or nothing can sign
	Local      bool   // this machine could not dial, or its proxy not connect: the receiver was not called, and this was no try
	phase      phase  // where an attempt without an answer ended
	again      int    // how often the request was sent again within the attempt, after it had gone out whole (resend)
}

// Post makes one attempt under one deadline over all of it. A status that came decides, whatever
// becomes of the body behind it: a receiver that said 2xx has the event, even if its answer then stalls or breaks.
func (p *Poster) Post(ctx context.Context, c Claimed) Result {
	ctx, cancel := context.WithTimeout(ctx, min(cmp.Or(c.Receiver.Timeout, p.Timeout), maxTimeout))
	defer cancel()
	r := p.begin(&c.Delivery)
	ctx, told := p.follow(ctx, &c, r.Number)
	defer told.End()
	t := newTrace()
	if req := p.request(t.attach(ctx), c, &r); req != nil {
		p.exchange(req, t, &r)
		r.Snippet = hideEchoes(r.Snippet, req, c, req.Header.Get(p.BodySignatureHeader))
	}
	r.DurationMS = time.Since(t.start).Milliseconds()
	at := t.progress()
	r.Timings, r.again = at.timings.json(), at.again
	tell(told, &r)
	return r
}

// begin is an attempt before anything has happened.
func (p *Poster) begin(d *Delivery) Result {
	return Result{Attempt: Attempt{
		ProjectID: d.ProjectID, ID: jobs.NewID("att_"), DeliveryID: d.ID, Number: d.Recorded + 1,
		StartedAt: jobs.At(p.Now()), Timings: timings{}.json(), Manual: d.Manual,
	}}
}

// request is nil, with the result's class set, when there is nothing that could be sent.
func (p *Poster) request(ctx context.Context, c Claimed, r *Result) *http.Request {
	if c.Receiver.Keys.Check() != nil {
		r.ErrorClass, r.Final = ClassSecret, true
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, c.Receiver.Method, c.Receiver.URL, bytes.NewReader(c.Body))
	if err != nil {
		r.ErrorClass, r.Final = ClassClosed, true
		return nil
	}
	p.setHeaders(req.Header, c, r.Number)
	span.From(ctx).Put(req.Header)
	r.Request = p.shown(req, c)
	req.GetBody = resend(req.Header, c.Body)
	return req
}

// setHeaders puts the client's headers first, so that the contract's own win. One that could not be written today, as
// a row may hold it from another time, is left out.
func (p *Poster) setHeaders(h http.Header, c Claimed, number int) {
	rules := Rules{BodySignatureHeader: p.BodySignatureHeader}
	h.Set("Content-Type", "application/json")
	for name, value := range c.Receiver.Headers {
		if rules.CheckHeader(name, value) == nil {
			h.Set(name, value)
		}
	}
	now := p.Now()
	h.Set("User-Agent", userAgent)
	h.Set(signature.HeaderID, c.EventID)
	h.Set(signature.HeaderTimestamp, strconv.FormatInt(now.Unix(), 10))
	h.Set(signature.HeaderSignature, c.Receiver.Keys.Signature(c.EventID, now, c.Body))
	h.Set(p.BodySignatureHeader, c.Receiver.Keys.BodySignature(c.Body))
	h.Set("X-Ringback-Attempt", strconv.Itoa(number))
}

// shown is the request as its attempt keeps it. The signatures are left out, since whoever has one may send it again;
// the client's own values are write-only.
func (p *Poster) shown(req *http.Request, c Claimed) json.RawMessage {
	headers := make(map[string]string, len(req.Header))
	for name := range req.Header {
		headers[name] = req.Header.Get(name)
	}
	for name := range c.Receiver.Headers {
		headers[http.CanonicalHeaderKey(name)] = hidden
	}
	headers[signature.HeaderSignature], headers[p.BodySignatureHeader] = hidden, hidden
	return plain(sent{req.Method, ShownURL(c.Receiver.URL), headers, len(c.Body)})
}

type sent struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Bytes   int               `json:"bytes"`
}

// resend lets http.Transport send the body again where nobody can have acted on it: a kept connection was closed
// before a byte was written, or an HTTP/2 peer says that it did not process the stream. A request with an
// Idempotency-Key gets none, since http.Transport would take that header as leave to repeat a POST that may have
// arrived; and no more than two, so that a peer that refuses every stream is left to the schedule.
func resend(h http.Header, body []byte) func() (io.ReadCloser, error) {
	if h.Values("Idempotency-Key") != nil || h.Values("X-Idempotency-Key") != nil {
		return nil
	}
	left := 2
	return func() (io.ReadCloser, error) {
		if left--; left < 0 {
			return nil, errors.New("callbacks: the connection was refused too often")
		}
		return io.NopCloser(bytes.NewReader(body)), nil
	}
}

// exchange sends the request and keeps what came of it.
func (p *Poster) exchange(req *http.Request, t *trace, r *Result) {
	resp, err := p.Client.Do(req.Context(), req)
	if err != nil {
		at := t.progress()
		r.ErrorClass, r.phase = classify(err, at), at.phase
		if at.dialling() {
			r.Request = nil // nothing was sent
		}
		r.Local = r.ErrorClass == ClassLocal || r.ErrorClass == ClassProxy
		var refused *refusal
		r.Final = errors.As(err, &refused) && refused.final
		return
	}
	defer resp.Body.Close()
	r.StatusCode = resp.StatusCode
	r.RetryAfter, r.Wish = resp.Header.Get("Retry-After"), resp.Header.Get("Webhook-Delivery")
	switch resp.StatusCode / 100 {
	case 1:
		r.ErrorClass = ClassInvalid // 101: an upgrade that nobody asked for; nothing behind it is an answer
		return
	case 3:
		r.ErrorClass = ClassRedirect
	}
	r.Snippet, r.Truncated = readAnswer(resp)
}
