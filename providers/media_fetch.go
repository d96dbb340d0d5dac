package providers

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

const (
	// fetchTime bounds the fetch of a result, where the configured timeout is not longer.
	fetchTime = time.Hour
	// maxRedirects are followed on the way to a result; stores of media need one.
	maxRedirects = 3
)

// MediaResult is a job's result on its way.
type MediaResult struct {
	ContentType string
	// Body gives an *[Error] for everything but its end. It must be closed.
	Body io.ReadCloser
}

// Fetch opens the result of a job whose state is Done. It arrives as it is read,
// at most [Options.MediaBytes] of it, within an hour, and with no silence longer
// than two minutes. Redirects are followed without the key, and like a URL in the
// answer only to base_url's own host or to public addresses over https. The error
// is always an *[Error].
func (m *Media) Fetch(ctx context.Context, id string, state MediaState) (MediaResult, error) {
	from, failure := m.source(id, state)
	if failure != nil {
		return MediaResult{}, failure
	}
	if from == nil {
		return inPlace(state.Answer), nil
	}
	deadline, cancel := context.WithTimeout(ctx, max(fetchTime, m.p.config.Timeout))
	callCtx, stop := context.WithCancelCause(deadline)
	f := &fetch{Media: m, caller: ctx, ctx: callCtx, stop: stop, cancel: cancel}
	result, failure := f.open(from)
	if failure != nil {
		f.end()
		m.p.logFailure(ctx, Request{Path: m.c.Path}, failure)
		return MediaResult{}, failure
	}
	return result, nil
}

// source is where the result's bytes are; nil where the poll's answer is it.
func (m *Media) source(id string, state MediaState) (*url.URL, *Error) {
	switch {
	case m.c.URL != "":
		from, err := url.Parse(gjson.GetBytes(state.Answer.Body, m.c.URL).String())
		if err != nil || from.Host == "" {
			return nil, unreadable(state.Answer, m.c.URL)
		}
		return from, nil
	case m.c.Fetch != "":
		path, err := m.at(m.c.Fetch, id)
		if err != nil {
			return nil, AsError(err)
		}
		from, err := url.Parse(m.p.address() + path)
		if err != nil {
			return nil, AsError(unsendable(err))
		}
		from.RawQuery = m.p.base.RawQuery
		return from, nil
	}
	return nil, nil
}

// fetch is one result on its way.
type fetch struct {
	*Media
	caller context.Context
	ctx    context.Context // its cause says why it ended
	stop   context.CancelCauseFunc
	cancel context.CancelFunc
}

func (f *fetch) end() {
	f.stop(nil)
	f.cancel()
}

// open goes from one address to the next until there is a result. Only the first
// may get the key.
func (f *fetch) open(from *url.URL) (MediaResult, *Error) {
	for hop := range maxRedirects + 1 {
		resp, failure := f.get(from, hop == 0)
		if failure != nil {
			return MediaResult{}, failure
		}
		to, err := resp.Location()
		if resp.StatusCode/100 != 3 || err != nil {
			return f.judge(resp)
		}
		_ = resp.Body.Close()
		from = to
	}
	return MediaResult{}, &Error{Kind: Rejected, Message: "The provider's result is behind too many redirects."}
}

func (f *fetch) get(from *url.URL, first bool) (*http.Response, *Error) {
	own := sameHost(from, f.p.base)
	if !own && (from.Scheme != "https" || from.User != nil) {
		return nil, outOfBounds(fmt.Errorf("scheme %q, user %t", from.Scheme, from.User != nil))
	}
	header := http.Header{"Accept": {"*/*"}, "User-Agent": {f.p.header.Get("User-Agent")}}
	transport := f.outside
	if own {
		transport = f.p.transport
	}
	if own && first {
		header = f.p.traced(f.ctx, f.p.headerFor("*/*"))
		header.Del("Content-Type")
	}
	req := &http.Request{
		Method: http.MethodGet, URL: from, Host: from.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	return f.send(transport, req.WithContext(f.ctx))
}

// send waits for the answer's head, at most for the configured timeout.
func (f *fetch) send(transport *http.Transport, req *http.Request) (*http.Response, *Error) {
	late := time.AfterFunc(f.p.config.Timeout, func() { f.stop(errSilence) })
	defer late.Stop()
	resp, err := transport.RoundTrip(req)
	if isBlocked(err) {
		return nil, outOfBounds(err)
	}
	if err != nil {
		return nil, broken(f.caller, because(f.ctx, err))
	}
	return resp, nil
}

// outOfBounds is an address that is never called. It may lie within the
// operator's network, so the client is not told which it is.
func outOfBounds(err error) *Error {
	return &Error{Kind: Rejected, Message: "The provider's result is at an address that is not fetched from; it must be public and https.", Err: err}
}

// judge turns a head into a result, or says what is wrong with it.
func (f *fetch) judge(resp *http.Response) (MediaResult, *Error) {
	contentType := resp.Header.Get("Content-Type")
	patient := newPatient(resp.Body, min(idleLimit, f.p.config.Timeout), f.stop)
	var failure *Error
	switch {
	case resp.StatusCode/100 != 2:
		body, _ := io.ReadAll(io.LimitReader(patient, envelopeBytes))
		failure = f.p.refused(resp, body)
	case isHTML(contentType):
		failure = invalid(resp, "is an HTML page")
	case resp.ContentLength > f.p.mediaBytes:
		failure = fileTooLarge(resp.StatusCode, f.p.mediaBytes)
	default:
		body := &mediaBody{fetch: f, from: patient, Closer: resp.Body}
		file := &openFile{from: body, caller: f.caller, end: f.end, left: f.p.mediaBytes, most: f.p.mediaBytes}
		return MediaResult{ContentType: contentType, Body: file}, nil
	}
	_ = resp.Body.Close()
	return MediaResult{}, failure
}

// mediaBody adds to its errors why the fetch ended.
type mediaBody struct {
	*fetch
	from io.Reader
	io.Closer
}

func (b *mediaBody) Read(to []byte) (int, error) {
	n, err := b.from.Read(to)
	return n, because(b.ctx, err)
}

// sameHost tells whether a URL leads to where the key may go: the same scheme,
// host and port.
func sameHost(a, base *url.URL) bool {
	return a.Scheme == base.Scheme && a.User == nil && strings.EqualFold(a.Hostname(), base.Hostname()) && port(a) == port(base)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}
