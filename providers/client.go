package providers

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	openai "github.com/sashabaranov/go-openai"

	"github.com/ringback/ringback/telemetry/span"
)

// pollTimeout bounds a call that only looks something up or moves a state.
const pollTimeout = time.Minute

// judge takes a 2xx body as an answer or says what is wrong with it.
type judge func(resp *http.Response, body []byte) (Answer, *Error)

// ask is what goes with one call about the things that an upstream keeps: jobs,
// files, models. All but the timeout may be zero.
type ask struct {
	timeout time.Duration // the configured one where that is shorter
	query   url.Values    // added to what the call's own URL asks
	body    []byte        // the whole body, whatever the client made
	accept  judge         // nil means [Provider.accept]
}

// through makes one call with go-openai's client, which knows the method and the
// path, and returns what the upstream answered. What that client reads from the
// answer is left aside: it refuses numbers like 1.0 and drops what it does not
// know. The error is always an *[Error]. Nothing is ever sent twice.
func (p *Provider) through(ctx context.Context, a ask, call func(context.Context, *openai.Client) error) (Answer, error) {
	return p.carry(ctx, a, func(ctx context.Context, send doer) error {
		return call(ctx, p.client(send))
	})
}

// raw makes one call that go-openai's client lacks, under the same promises. The
// path stands below the base URL and is escaped.
func (p *Provider) raw(ctx context.Context, a ask, method, path string) (Answer, error) {
	return p.carry(ctx, a, func(ctx context.Context, send doer) error {
		req, err := http.NewRequestWithContext(ctx, method, p.address()+path, http.NoBody)
		if err != nil {
			return err
		}
		resp, err := send(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
}

func (p *Provider) carry(ctx context.Context, a ask, call func(context.Context, doer) error) (Answer, error) {
	ctx, told := p.begin(ctx, "", "")
	defer told.End()
	callCtx, cancel := context.WithTimeout(ctx, min(a.timeout, p.config.Timeout))
	defer cancel()
	var answer Answer
	var failure *Error
	err := call(callCtx, func(req *http.Request) (*http.Response, error) {
		p.dress(req, a)
		answer, failure = p.exchangeAs(ctx, req, p.judged(a.accept))
		told.Note(span.Text(pathAttr, p.below(req.URL.Path)))
		tell(told, answer, failure)
		if failure != nil {
			p.logFailure(ctx, Request{Path: req.URL.Path}, failure)
			return nil, failure
		}
		return asResponse(answer, req), nil
	})
	switch {
	case failure != nil:
		return Answer{}, failure
	case answer.Status == 0:
		return Answer{}, unsendable(err)
	}
	return answer, nil
}

func unsendable(err error) *Error {
	return &Error{Kind: Rejected, Message: "The call to the provider could not be made.", Err: err}
}

func (p *Provider) judged(accept judge) judge {
	if accept == nil {
		return p.accept
	}
	return accept
}

// client is go-openai's client of this upstream; send carries each call out.
func (p *Provider) client(send doer) *openai.Client {
	config := openai.DefaultConfig("")
	config.BaseURL = p.address()
	config.HTTPClient = send
	return openai.NewClientWithConfig(config)
}

// address is the base URL without its query, percent-encoded.
func (p *Provider) address() string {
	return p.base.Scheme + "://" + p.base.Host + p.base.EscapedPath()
}

// doer is an HTTP client for go-openai.
type doer func(*http.Request) (*http.Response, error)

// Do calls d.
func (d doer) Do(req *http.Request) (*http.Response, error) { return d(req) }

// dress gives a call the configured header and query, and the one body that it
// may have. Like all requests of a provider it carries no GetBody.
func (p *Provider) dress(req *http.Request, a ask) {
	req.Header = p.traced(req.Context(), p.header)
	req.URL.RawQuery = joinQueries(p.base.RawQuery, req.URL.RawQuery, a.query.Encode())
	req.Body, req.GetBody, req.ContentLength = nil, nil, 0
	if len(a.body) > 0 {
		req.Body = io.NopCloser(bytes.NewReader(a.body))
		req.ContentLength = int64(len(a.body))
	}
}

func joinQueries(queries ...string) string {
	var parts []string
	for _, query := range queries {
		if query != "" {
			parts = append(parts, query)
		}
	}
	return strings.Join(parts, "&")
}

func asResponse(answer Answer, req *http.Request) *http.Response {
	return &http.Response{
		StatusCode: answer.Status, Header: http.Header{"Content-Type": {answer.ContentType}},
		Body: io.NopCloser(bytes.NewReader(answer.Body)), Request: req,
	}
}

// maxID is far above the IDs and model names that are in use, in bytes.
const maxID = 512

// usable tells whether a name that an upstream or a client gave can be kept and
// put into a URL's path: not empty, printable, and without a step to elsewhere,
// which a proxy that decodes "%2F" would take.
func usable(id string) bool {
	if id == "" || len(id) > maxID || !utf8.ValidString(id) {
		return false
	}
	for part := range strings.SplitSeq(id, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return !strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// segment makes one path segment of id: "org/name" becomes "org%2Fname".
func segment(id string) (string, error) {
	if !usable(id) {
		return "", &Error{Kind: Rejected, Message: "The ID is not one that can be asked for; check it."}
	}
	return url.PathEscape(id), nil
}
