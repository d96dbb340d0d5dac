package providers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"
)

const (
	// idleLimit is the longest silence between two bytes of a stream, comments included.
	idleLimit = 2 * time.Minute
	// lingering is how long a stream's connection is given to end after its last
	// event, so that it can be used again.
	lingering = 50 * time.Millisecond
	// streamLimits is how many times as long as an answer its stream may be: each
	// token brings an envelope with it.
	streamLimits = 4
)

// Chunk is one server-sent event of an upstream. Its data is a JSON object and
// only valid during the call.
type Chunk struct {
	Event string // the event field; empty where there was none
	Data  []byte
}

// Stream makes one call whose body asks for a stream, and hands each event on as
// it comes. It returns after the upstream's end: "[DONE]", which is not handed
// on; the terminal event of a response (response.completed, .incomplete,
// .cancelled or .failed); or the end of the body once each choice has its
// finish_reason. The answer then has no Body. An upstream that answers plain JSON
// all the same gives that as the answer's Body, with each never called.
//
// A stream that ends sooner is an *[Error] of kind [Connection], after a silence
// of two minutes of kind [Timeout]; the configured timeout holds for the whole
// call. An event that holds an error is not handed on and is judged as
// [Provider.Do] judges such an answer; response.failed is handed on first. What
// each returns ends the call and comes back as it is. The Answer holds what was
// known at the end also beside an error.
func (p *Provider) Stream(ctx context.Context, r Request, each func(Chunk) error) (Answer, error) {
	ctx, told := p.begin(ctx, r.Path, r.Model)
	defer told.End()
	deadline, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()
	callCtx, stop := context.WithCancelCause(deadline)
	defer stop(nil)
	r.stream = true
	req, err := p.request(callCtx, r)
	if err != nil {
		return Answer{}, err
	}
	s := &stream{p: p, caller: ctx, ctx: callCtx, stop: stop, each: each}
	failure := settled(ctx, req, s.call(req))
	tell(told, s.answer, failure)
	switch {
	case s.stopped != nil:
		return s.answer, s.stopped
	case failure != nil:
		p.logFailure(ctx, r, failure)
		return s.answer, failure
	}
	return s.answer, nil
}

// stream is one call of [Provider.Stream].
type stream struct {
	p      *Provider
	caller context.Context
	ctx    context.Context // of the call; its cause says why it ended
	stop   context.CancelCauseFunc
	each   func(Chunk) error

	answer  Answer
	choices choices
	came    bool  // a chunk was handed on
	ended   bool  // the upstream said so
	stopped error // what each said
}

func (s *stream) call(req *http.Request) *Error {
	resp, err := s.p.transport.RoundTrip(req) //nolint:bodyclose // closed below, under the name that it has first
	if err != nil {
		return s.broken(err)
	}
	body := resp.Body
	defer func() { _ = body.Close() }()
	resp.Body = io.NopCloser(newPatient(body, min(idleLimit, s.p.config.Timeout), s.stop))
	if resp.StatusCode/100 == 2 && isEvents(resp.Header.Get("Content-Type")) {
		s.answer = newAnswer(resp, nil)
		return s.read(resp.Body)
	}
	answer, failure := s.p.whole(s.caller, resp, s.p.accept)
	s.answer = answer
	return failure
}

func isEvents(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == "text/event-stream"
}

func (s *stream) read(body io.Reader) *Error {
	events := newEvents(body, s.p.answerBytes, streamLimits*s.p.answerBytes)
	for !s.ended {
		chunk, err := events.next()
		if err != nil {
			return s.over(err)
		}
		if failure := s.take(chunk, events.cut); failure != nil || s.stopped != nil {
			return failure
		}
	}
	defer time.AfterFunc(lingering, func() { s.stop(nil) }).Stop()
	_, _ = io.CopyN(io.Discard, body, 4<<10)
	return nil
}

// over says what the end of the body means where the upstream named no end.
func (s *stream) over(err error) *Error {
	switch {
	case errors.Is(err, errTooLarge):
		return &Error{Kind: AnswerTooLarge, Status: s.answer.Status, Message: s.p.tooLarge(), Err: err}
	case !errors.Is(err, io.EOF):
		return s.broken(err)
	case s.choices.finished():
		return nil
	}
	return s.early(err)
}

func (s *stream) early(err error) *Error {
	return &Error{
		Kind: Connection, Retry: true, Status: s.answer.Status,
		Message: "The provider's stream ended before its answer was complete; try again later.", Err: err,
	}
}

func (s *stream) broken(err error) *Error {
	return broken(s.caller, because(s.ctx, err))
}

// because adds to err that it was a silence which ended the call.
func because(call context.Context, err error) error {
	if cause := context.Cause(call); err != nil && !errors.Is(err, io.EOF) && errors.Is(cause, errSilence) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// errSilence ends a call whose upstream said nothing for too long.
var errSilence = fmt.Errorf("the upstream fell silent: %w", context.DeadlineExceeded)

// patient reads what comes within its limit. Time that the reader's own caller
// takes between two reads is not counted.
type patient struct {
	from  io.Reader
	limit time.Duration
	timer *time.Timer
}

func newPatient(from io.Reader, limit time.Duration, stop context.CancelCauseFunc) *patient {
	timer := time.AfterFunc(limit, func() { stop(errSilence) })
	timer.Stop()
	return &patient{from: from, limit: limit, timer: timer}
}

func (p *patient) Read(to []byte) (int, error) {
	p.timer.Reset(p.limit)
	defer p.timer.Stop()
	return p.from.Read(to)
}
