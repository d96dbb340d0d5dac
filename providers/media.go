package providers

import (
	"bytes"
	"context"
	"io"
	"math"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

// Media is one kind of asynchronous jobs of a provider's own, as its
// configuration describes it. It is safe for use by many goroutines.
type Media struct {
	p       *Provider
	c       MediaConfig
	outside *http.Transport // to hosts that an upstream's answer names
}

// MediaState is what a poll told.
type MediaState struct {
	Done     bool // there is a result
	Failed   bool // there never will be
	Status   string
	Error    string  // the upstream's own text, cut to 2,000 bytes; empty unless Failed
	Progress float64 // 0 to 100
	Answer   Answer  // the poll's whole answer
}

// maxMediaError bounds the text of a failure that is kept, in bytes.
const maxMediaError = 2000

func (p *Provider) describe(all []MediaConfig) map[string]*Media {
	found := make(map[string]*Media, len(all))
	for _, c := range all {
		found[c.Path] = &Media{p: p, c: c.filled(), outside: newOutside(isPublic)}
	}
	return found
}

// Media returns the description of the asynchronous jobs that are submitted
// under path, and whether there is one.
func (p *Provider) Media(path string) (*Media, bool) {
	m, ok := p.media[path]
	return m, ok
}

// Every is the time between two polls at the beginning.
func (m *Media) Every() time.Duration { return m.c.Every }

// Submit hands a job in, with key as its Idempotency-Key unless that is empty,
// and returns the upstream's ID of it. An upstream that ignores the key makes a
// second job of a second call. The error is always an *[Error]; an answer without
// a usable ID is not to be tried again, since there is a job.
func (m *Media) Submit(ctx context.Context, body []byte, key string) (id string, answer Answer, err error) {
	ctx, told := m.p.begin(ctx, m.c.Path, "")
	defer told.End()
	callCtx, cancel := context.WithTimeout(ctx, m.p.config.Timeout)
	defer cancel()
	r := Request{Path: m.c.Path, Body: body}
	req, err := m.p.request(callCtx, r)
	if err != nil {
		return "", Answer{}, err
	}
	if key != "" {
		req.Header = req.Header.Clone()
		req.Header.Set("Idempotency-Key", key)
	}
	answer, failure := m.p.exchange(ctx, req)
	if failure == nil {
		id, failure = m.created(answer)
	}
	if failure != nil && failure.Status/100 == 2 {
		failure.Retry = false // it is there, whatever the answer looks like
	}
	tell(told, answer, failure)
	if failure != nil {
		m.p.logFailure(ctx, r, failure)
		return "", answer, failure
	}
	return id, answer, nil
}

func (m *Media) created(answer Answer) (string, *Error) {
	said := gjson.GetBytes(answer.Body, m.c.ID)
	id := strings.Clone(said.String())
	if said.Type != gjson.String && said.Type != gjson.Number || !usable(id) {
		failure := unreadable(answer, m.c.ID)
		failure.Retry = false
		return "", failure
	}
	return id, nil
}

// Poll asks once how a job is. The error is always an *[Error]; that a job has
// failed is no error.
func (m *Media) Poll(ctx context.Context, id string) (MediaState, error) {
	path, err := m.at(m.c.Poll, id)
	if err != nil {
		return MediaState{}, err
	}
	answer, err := m.p.raw(ctx, ask{timeout: pollTimeout, accept: m.accept}, http.MethodGet, path)
	if err != nil {
		return MediaState{}, err
	}
	return m.state(answer), nil
}

// accept knows that the error in a job that failed is no error of the call.
func (m *Media) accept(resp *http.Response, body []byte) (Answer, *Error) {
	answer, failure := m.p.accept(resp, body)
	if !isJSON(resp.Header.Get("Content-Type")) || !rawjson.Valid(body) {
		return answer, failure
	}
	status := gjson.GetBytes(body, m.c.Status)
	known := status.Type == gjson.String || status.Type == gjson.Number
	switch {
	case known && failure != nil:
		return newAnswer(resp, body), nil //nolint:nilerr // the failure is the job's
	case !known && failure == nil:
		return Answer{}, unreadable(answer, m.c.Status)
	}
	return answer, failure
}

func (m *Media) state(answer Answer) MediaState {
	said := gjson.ParseBytes(answer.Body)
	s := MediaState{Status: said.Get(m.c.Status).String(), Answer: answer}
	s.Done, s.Failed = among(m.c.Done, s.Status), among(m.c.Failed, s.Status)
	if s.Failed && m.p.shown(&answer) != nil {
		s.Error = cut(said.Get(m.c.Error).String(), maxMediaError)
	}
	if progress := said.Get(m.c.Progress).Float(); !math.IsNaN(progress) {
		s.Progress = max(0, min(progress, 100))
	}
	return s
}

// cut shortens s to at most so many bytes, between two characters.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// Cancels tells whether the provider has a way to give a job up.
func (m *Media) Cancels() bool { return m.c.Cancel != "" }

// Cancel asks the provider to give a job up; it does nothing and returns nil
// where the provider has no cancel. The error is always an *[Error]; a job that
// has ended already is mostly one of kind [Rejected].
func (m *Media) Cancel(ctx context.Context, id string) error {
	if !m.Cancels() {
		return nil
	}
	method, path := m.c.cancel()
	path, err := m.at(path, id)
	if err != nil {
		return err
	}
	_, err = m.p.raw(ctx, ask{timeout: pollTimeout, accept: acceptAll}, method, path)
	return err
}

// acceptAll is for answers that only their status counts of.
func acceptAll(resp *http.Response, body []byte) (Answer, *Error) { return newAnswer(resp, body), nil }

// at puts a job's ID into a path below the base URL.
func (m *Media) at(path, id string) (string, error) {
	safe, err := segment(id)
	if err != nil {
		return "", err
	}
	return strings.Replace(strings.TrimPrefix(path, "/v1"), idSlot, safe, 1), nil
}

// inPlace is the poll's own answer as the result.
func inPlace(answer Answer) MediaResult {
	return MediaResult{ContentType: answer.ContentType, Body: io.NopCloser(bytes.NewReader(answer.Body))}
}
