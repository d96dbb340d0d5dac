package providers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

// broken says what the lack of a whole answer means.
func broken(caller context.Context, err error) *Error {
	var netErr net.Error
	switch {
	case caller.Err() != nil:
		return &Error{Kind: Canceled, Message: "The call was cancelled.", Err: errors.Join(caller.Err(), err)}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return &Error{Kind: Timeout, Retry: true, Message: "The provider did not answer in time; try again later.", Err: err}
	default:
		return &Error{Kind: Connection, Retry: true, Message: "The connection to the provider failed; try again later.", Err: err}
	}
}

// accept takes a 2xx body as an answer if it is a JSON object that holds no error.
func (p *Provider) accept(resp *http.Response, body []byte) (Answer, *Error) {
	answer := newAnswer(resp, body)
	if !isJSON(answer.ContentType) {
		return Answer{}, invalid(resp, "is not JSON by its content type")
	}
	if !rawjson.Valid(body) {
		return Answer{}, invalid(resp, "is not valid JSON")
	}
	found, ok := scan(body)
	if !ok {
		return Answer{}, invalid(resp, "is not a JSON object")
	}
	answer.Usage = found.usage
	if found.failed {
		return Answer{}, p.hidden(&answer)
	}
	return answer, nil
}

// acceptAny takes a 2xx body of any media type, but judges what says it is JSON.
// HTML is a page about something else: a login, a proxy's error.
func (p *Provider) acceptAny(resp *http.Response, body []byte) (Answer, *Error) {
	answer := newAnswer(resp, body)
	switch {
	case isJSON(answer.ContentType):
		return p.accept(resp, body)
	case isHTML(answer.ContentType):
		return Answer{}, invalid(resp, "is an HTML page")
	}
	return answer, nil
}

func isHTML(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), "text/html")
}

func invalid(resp *http.Response, why string) *Error {
	return &Error{
		Kind: InvalidAnswer, Retry: shouldRetry(resp.Header, true), Status: resp.StatusCode,
		Message: fmt.Sprintf("The provider's answer %s (HTTP %d).", why, resp.StatusCode),
		Err:     fmt.Errorf("answer %s: content type %.100q, %d bytes declared", why, resp.Header.Get("Content-Type"), resp.ContentLength),
	}
}

// hidden judges a 2xx answer that holds an error: it is tried again unless the
// error is about the request or the quota, so that a settled refusal is not paid
// for twice.
func (p *Provider) hidden(answer *Answer) *Error {
	return p.hiddenAs(answer, readEnvelope(answer.Body))
}

func (p *Provider) hiddenAs(answer *Answer, said envelope) *Error {
	e := &Error{Kind: InvalidAnswer, Retry: true, Status: answer.Status, Answer: p.shown(answer)}
	switch {
	case said.quota():
		e.Kind, e.Retry = QuotaExceeded, false
	case said.settled():
		e.Kind, e.Retry = Rejected, false
	}
	e.Message = said.explain(e.Kind, answer.Status)
	return e
}

// refused judges an answer whose status is not 2xx.
func (p *Provider) refused(resp *http.Response, body []byte) *Error {
	said := readEnvelope(body)
	kind, retry := classify(resp.StatusCode, said)
	e := &Error{Kind: kind, Retry: shouldRetry(resp.Header, retry), Status: resp.StatusCode}
	e.After, _ = retryAfter(resp.Header, p.now())
	if rawjson.Valid(body) {
		answer := newAnswer(resp, body)
		e.Answer = p.shown(&answer)
	}
	e.Message = said.explain(kind, resp.StatusCode)
	e.Err = fmt.Errorf("the upstream answered %d, type %q, code %q", resp.StatusCode, said.Type, said.Code)
	return e
}

func classify(status int, said envelope) (kind Kind, retry bool) {
	switch {
	case status == http.StatusPaymentRequired, status == http.StatusTooManyRequests && said.quota():
		return QuotaExceeded, false
	case status == http.StatusTooManyRequests:
		return RateLimited, true
	case status >= 500:
		return Overloaded, true
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return Unauthorized, false
	case status == http.StatusRequestTimeout:
		return Timeout, true
	case status == http.StatusConflict, status == http.StatusTooEarly:
		return Rejected, true
	default:
		return Rejected, false
	}
}

// shouldRetry lets the upstream's x-should-retry overrule the rule of the status,
// as OpenAI's own SDKs do.
func shouldRetry(h http.Header, rule bool) bool {
	switch strings.ToLower(h.Get("X-Should-Retry")) {
	case "true":
		return true
	case "false":
		return false
	}
	return rule
}

// shown returns answer if a client may see it, else nil.
func (p *Provider) shown(answer *Answer) *Answer {
	if answer.Status == http.StatusUnauthorized {
		return nil
	}
	for _, secret := range p.secrets {
		if bytes.Contains(answer.Body, secret) {
			return nil
		}
	}
	if len(p.secrets) > 0 && rawjson.Valid(answer.Body) && p.repeatsKeyIn(gjson.ParseBytes(answer.Body)) {
		return nil // in another spelling
	}
	return answer
}

func newAnswer(resp *http.Response, body []byte) Answer {
	id := resp.Header.Get("X-Request-Id")
	if id == "" {
		id = resp.Header.Get("Request-Id")
	}
	return Answer{
		Status: resp.StatusCode, RequestID: id[:min(len(id), 256)],
		ContentType: resp.Header.Get("Content-Type"), Body: body,
	}
}

func isJSON(contentType string) bool {
	if contentType == "application/json" || contentType == "application/json; charset=utf-8" {
		return true // without parsing: nearly all answers
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}
