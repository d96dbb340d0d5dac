package providers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"
)

// Request is one call to a model.
type Request struct {
	Path  string // OpenAI's path, like "/v1/chat/completions"
	Model string // for the log only; the body names it to the upstream
	Body  []byte // sent exactly as it is; must not change during the call
	Form  *Form  // sent in place of Body, where it is set
	// Any takes an answer of any media type but text/html, such as speech or
	// subtitles; one that says it is JSON is judged as ever.
	Any bool

	stream bool // events are asked for
}

// Answer is what an upstream said.
type Answer struct {
	Status      int    // HTTP status; 2xx unless it hangs on an [Error]
	RequestID   string // the upstream's x-request-id, or request-id; may be empty
	ContentType string
	Body        []byte        // verbatim; a JSON object of one or several lines, unless Request.Any let in something else
	Usage       Usage         // zero where the body names none
	Took        time.Duration // noted by who made the call
}

// Do makes one call and waits for its answer, at most for the configured
// timeout. It never makes the call a second time; see [Provider.Retry]. The
// error is always an *[Error].
//
// The request carries no GetBody, so net/http cannot send a body again that it
// has begun to send: where a kept-alive connection turns out dead, the call ends
// as [Connection] and the caller's policy, which counts, decides.
func (p *Provider) Do(ctx context.Context, r Request) (Answer, error) {
	ctx, told := p.begin(ctx, r.Path, r.Model)
	defer told.End()
	callCtx, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()
	req, err := p.request(callCtx, r)
	if err != nil {
		return Answer{}, err
	}
	answer, failure := p.exchangeAs(ctx, req, p.judgeOf(r))
	failure = settled(ctx, req, failure)
	tell(told, answer, failure)
	if failure != nil {
		p.logFailure(ctx, r, failure)
		return Answer{}, failure
	}
	return answer, nil
}

func (p *Provider) logFailure(ctx context.Context, r Request, failure *Error) {
	if p.log.Enabled(ctx, slog.LevelDebug) {
		p.log.DebugContext(ctx, "provider call failed", "path", r.Path, "model", r.Model, "error", failure)
	}
}

// prepare makes the unchanging part of a call once for each path that is common.
func (p *Provider) prepare() map[string]*http.Request {
	ready := make(map[string]*http.Request)
	for _, name := range []string{
		"/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/completions", "/v1/moderations", "/v1/images/generations",
	} {
		ready[name] = p.newRequest(name)
	}
	return ready
}

func (p *Provider) newRequest(name string) *http.Request {
	u := p.base.JoinPath(strings.TrimPrefix(name, "/v1"))
	return &http.Request{
		Method: http.MethodPost, URL: u, Host: u.Host, Header: p.header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
}

func (p *Provider) request(ctx context.Context, r Request) (*http.Request, error) {
	prepared, ok := p.ready[r.Path]
	if !ok {
		if !plainPath(r.Path) {
			return nil, &Error{Kind: Rejected, Message: "The path is not one of the provider's; use one like /v1/chat/completions."}
		}
		prepared = p.newRequest(r.Path)
	}
	req := prepared.WithContext(ctx)
	switch {
	case r.stream:
		req.Header = p.headerFor("text/event-stream, application/json")
	case r.Any:
		req.Header = p.headerFor("*/*")
	}
	req.Header = p.traced(ctx, req.Header)
	if r.Form != nil {
		return req, r.Form.attach(req)
	}
	if len(r.Body) > 0 {
		// net/http knows this very type and sends header and body in one write.
		req.Body = io.NopCloser(bytes.NewReader(r.Body))
		req.ContentLength = int64(len(r.Body))
	}
	return req, nil
}

// headerFor is the header of a call that takes other answers than JSON. An Accept
// of the operator's own stays.
func (p *Provider) headerFor(accept string) http.Header {
	h := p.header.Clone()
	if h.Get("Accept") == acceptJSON {
		h.Set("Accept", accept)
	}
	return h
}

func (p *Provider) judgeOf(r Request) judge {
	if r.Any {
		return p.acceptAny
	}
	return p.accept
}

// plainPath keeps a path below the base URL: no "..", query, fragment or escape.
func plainPath(name string) bool {
	return strings.HasPrefix(name, "/v1/") && path.Clean(name) == name && !strings.ContainsAny(name, "?#%\\ \t\r\n")
}

// exchange sends req, whose context ends with caller or at the timeout, reads
// the answer within the size limit and judges it.
func (p *Provider) exchange(caller context.Context, req *http.Request) (Answer, *Error) {
	return p.exchangeAs(caller, req, p.accept)
}

// exchangeAs is exchange with a judge of its own for a 2xx body.
func (p *Provider) exchangeAs(caller context.Context, req *http.Request, accept judge) (Answer, *Error) {
	resp, err := p.transport.RoundTrip(req)
	if err != nil {
		return Answer{}, broken(caller, err)
	}
	defer func() { _ = resp.Body.Close() }()
	return p.whole(caller, resp, accept)
}

// whole reads the answer to its end and judges it.
func (p *Provider) whole(caller context.Context, resp *http.Response, accept judge) (Answer, *Error) {
	body, err := p.read(resp)
	if resp.StatusCode/100 != 2 {
		if err != nil {
			body = nil // the status says enough
		}
		return Answer{}, p.refused(resp, body)
	}
	if errors.Is(err, errTooLarge) {
		return Answer{}, &Error{Kind: AnswerTooLarge, Status: resp.StatusCode, Message: p.tooLarge(), Err: err}
	}
	if err != nil {
		return Answer{}, broken(caller, err)
	}
	return accept(resp, body)
}
