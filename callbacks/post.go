package callbacks

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/ringback/ringback/jobs"
)

// defaultTimeout is the deadline of one attempt where nobody names another.
const defaultTimeout = 10 * time.Second

// userAgent names the sender to receivers.
const userAgent = "Ringback/1.0"

// PosterOptions are the parts a Poster works with.
type PosterOptions struct {
	Client              *Client
	Timeout             time.Duration // of one whole attempt; zero for 10 s, at most 30 s
	BodySignatureHeader string        // empty for DefaultBodySignatureHeader
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
	phase      phase  // where an attempt without an answer ended
}

// Post makes one attempt, the number-th, under one deadline over all of it. A status that came decides, whatever
// becomes of the body behind it: a receiver that said 2xx has the event, even if its answer then stalls or breaks.
func (p *Poster) Post(ctx context.Context, c Claimed, number int) Result {
	ctx, cancel := context.WithTimeout(ctx, min(cmp.Or(c.Receiver.Timeout, p.Timeout), maxTimeout))
	defer cancel()
	r := p.begin(&c.Delivery, number)
	t := newTrace()
	if req := p.request(t.attach(ctx), c, &r); req != nil {
		p.exchange(req, t, &r)
	}
	r.DurationMS = time.Since(t.start).Milliseconds()
	r.Timings = t.progress().timings.json()
	return r
}

// begin is an attempt before anything has happened.
func (p *Poster) begin(d *Delivery, number int) Result {
	return Result{Attempt: Attempt{
		ProjectID: d.ProjectID, ID: jobs.NewID("att_"), DeliveryID: d.ID, Number: number,
		StartedAt: jobs.At(p.Now()), Timings: timings{}.json(),
	}}
}

// request is nil, with the result's class set, when there is nothing that could be sent.
func (p *Poster) request(ctx context.Context, c Claimed, r *Result) *http.Request {
	if CheckSecret(c.Receiver.Secret) != nil {
		r.ErrorClass, r.Final = ClassSecret, true
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, c.Receiver.Method, c.Receiver.URL, bytes.NewReader(c.Body))
	if err != nil {
		r.ErrorClass, r.Final = ClassClosed, true
		return nil
	}
	p.setHeaders(req.Header, c, r.Number)
	req.GetBody = resend(req.Header, c.Body)
	return req
}

// setHeaders puts the client's headers first, so that the contract's own win.
func (p *Poster) setHeaders(h http.Header, c Claimed, number int) {
	rules := Rules{BodySignatureHeader: p.BodySignatureHeader}
	h.Set("Content-Type", "application/json")
	for name, value := range c.Receiver.Headers {
		if !rules.reserved(name) {
			h.Set(name, value)
		}
	}
	now := p.Now()
	h.Set("User-Agent", userAgent)
	h.Set(HeaderID, c.EventID)
	h.Set(HeaderTimestamp, strconv.FormatInt(now.Unix(), 10))
	h.Set(HeaderSignature, Sign(c.Receiver.Secret, c.EventID, now, c.Body))
	h.Set(p.BodySignatureHeader, BodySignature(c.Receiver.Secret, c.Body))
	h.Set("X-Ringback-Attempt", strconv.Itoa(number))
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
