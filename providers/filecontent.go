package providers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"

	"github.com/ringback/ringback/rawjson"
)

// envelopeBytes is far above the length of an error body.
const envelopeBytes = 64 << 10

// FileContent opens an upstream's file, which arrives as it is read and exactly
// as the upstream serves it. The caller closes it, within a second for each
// megabyte of maxBytes beyond the configured timeout. A file over maxBytes ends
// in [AnswerTooLarge], at once where its length is declared. A web page and an
// error body are errors also under HTTP 200. The errors, those of Read too, are
// always an *[Error].
func (p *Provider) FileContent(ctx context.Context, id string, maxBytes int64) (io.ReadCloser, error) {
	at, err := segment(id)
	if err != nil {
		return nil, err
	}
	maxBytes = min(max(maxBytes, 0), math.MaxInt64-1)
	callCtx, cancel := context.WithTimeout(ctx, p.config.Timeout+transferTime(maxBytes))
	var failure *Error
	opened, err := p.client(func(req *http.Request) (*http.Response, error) {
		var resp *http.Response
		resp, failure = p.open(ctx, req, maxBytes)
		if failure != nil {
			p.logFailure(ctx, Request{Path: req.URL.Path}, failure)
			return nil, failure
		}
		return resp, nil
	}).GetFileContent(callCtx, at)
	switch {
	case failure != nil:
		cancel()
		return nil, failure
	case err != nil:
		cancel()
		return nil, unsendable(err)
	}
	return &openFile{from: opened, caller: ctx, end: cancel, left: maxBytes, most: maxBytes}, nil
}

// open sends req and judges what can be seen before the file is read.
func (p *Provider) open(caller context.Context, req *http.Request, maxBytes int64) (*http.Response, *Error) {
	p.dress(req, ask{})
	req.Header = p.traced(req.Context(), p.headerFor("*/*"))
	resp, err := p.transport.RoundTrip(req)
	if err != nil {
		return nil, broken(caller, err)
	}
	failure := p.judgeFile(caller, resp, maxBytes)
	if failure != nil {
		_ = resp.Body.Close()
		return nil, failure
	}
	return resp, nil
}

func (p *Provider) judgeFile(caller context.Context, resp *http.Response, maxBytes int64) *Error {
	switch contentType := resp.Header.Get("Content-Type"); {
	case resp.StatusCode/100 != 2:
		body, err := p.read(resp)
		if err != nil {
			body = nil // the status says enough
		}
		return p.refused(resp, body)
	case isHTML(contentType):
		return invalid(resp, "is an HTML page")
	case resp.ContentLength > maxBytes:
		return fileTooLarge(resp.StatusCode, maxBytes)
	case isJSON(contentType):
		return p.judgeHead(caller, resp)
	}
	return nil
}

// judgeHead looks whether a file that comes as JSON is an error body, and puts
// back what it has read.
func (p *Provider) judgeHead(caller context.Context, resp *http.Response) *Error {
	head, err := io.ReadAll(io.LimitReader(resp.Body, envelopeBytes))
	if err != nil {
		return broken(caller, err)
	}
	if found, ok := scanWhole(head); ok && found.failed {
		answer := newAnswer(resp, head)
		return p.hidden(&answer)
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), resp.Body), resp.Body}
	return nil
}

func scanWhole(body []byte) (findings, bool) {
	if !rawjson.Valid(body) {
		return findings{}, false
	}
	return scan(body)
}

func fileTooLarge(status int, maxBytes int64) *Error {
	return &Error{
		Kind: AnswerTooLarge, Status: status, Err: errTooLarge,
		Message: fmt.Sprintf("The provider's file is over the limit of %d bytes.", maxBytes),
	}
}

// openFile is a file that is being read.
type openFile struct {
	from   io.ReadCloser
	caller context.Context // tells a cancelled call from one that took too long
	end    context.CancelFunc
	left   int64
	most   int64
	failed error // given again to whoever reads on
}

// Read gives an *[Error] for everything but the end of the file.
func (c *openFile) Read(b []byte) (int, error) {
	if c.failed != nil {
		return 0, c.failed
	}
	n, err := c.from.Read(b[:min(int64(len(b)), c.left+1)]) // one more, to see that there is no more
	switch {
	case int64(n) > c.left:
		n = int(c.left)
		c.failed = fileTooLarge(http.StatusOK, c.most)
	case err != nil && !errors.Is(err, io.EOF):
		c.failed = broken(c.caller, err)
	case err != nil:
		c.failed = io.EOF
	}
	c.left -= int64(n)
	return n, c.failed
}

// Close frees the connection.
func (c *openFile) Close() error {
	c.end()
	return c.from.Close()
}
