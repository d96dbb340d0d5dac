package jobs

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/ringback/ringback/providers/responses"
)

// Response is what a response in the background has beside its job's row. It is written once, with the job.
type Response struct {
	ProjectID string
	JobID     string
	Settings  []byte // what it repeats of its request in every state: an object
	Items     []byte // its input items in their order: an array
	Streaming Streaming
}

// Streaming says whether a response can be watched as it grows.
type Streaming int

// The kinds of streaming.
const (
	NotStreamed Streaming = iota // it was not created with stream: true
	Streamed                     // its events are kept
	StreamGone                   // they were, until 24 hours after its end
)

// responsePath is the provider's path of a response, unless its provider speaks chat completions only.
const responsePath = "/v1/responses"

// ResponseRecords is what responses ask of the store.
type ResponseRecords interface {
	// Request reads the body that a job was submitted with.
	Request(ctx context.Context, ref Ref) ([]byte, error)
	// DeleteResponse removes a response with all that was kept of it, but for its events and their deliveries. One that
	// has not ended is ended first, by end.
	DeleteResponse(ctx context.Context, ref Ref, end func(*Job) (Effects, error)) (Woken, error)
	// LookAtStream reads where a response stands and the next of its stream's kept events, in their order and all of one
	// moment. CodeNotFound where there is no stream, or none any more.
	LookAtStream(ctx context.Context, ref Ref, q StreamQuery) (StreamLook, error)
	// LastResponseEvent is the number of the last one kept; 0 for none.
	LastResponseEvent(ctx context.Context, ref Ref) (int64, error)
}

// NewResponse is a client's wish for a response in the background.
type NewResponse struct {
	Submission
	Body []byte // as it came, but for Ringback's own keys
}

// CreateResponse accepts a response.
func (s *Service) CreateResponse(ctx context.Context, n NewResponse) (Snapshot, error) {
	r, err := responses.Parse(n.Body)
	if err != nil {
		return Snapshot{}, refusedResponse(err)
	}
	if !r.Background {
		return Snapshot{}, Errorf(CodeUnsupported, "background", "Responses run in the background only here. Send 'background': true, then poll, stream, or name a 'webhook'.")
	}
	if err := s.checkModel(ctx, n.ProjectID, r.Model); err != nil {
		return Snapshot{}, err
	}
	release, err := s.enterContinued(ctx, r.Previous)
	if err != nil {
		return Snapshot{}, err
	}
	defer release()
	body, err := s.continued(ctx, n, r.Previous)
	if err != nil {
		return Snapshot{}, err
	}
	if err := s.checkTranslation(ctx, n.ProjectID, r.Model, body); err != nil {
		return Snapshot{}, err
	}
	j := n.job(KindResponse, NewID("resp_"), Queued, s.now())
	j.Path, j.Model, j.Total = responsePath, r.Model, 1
	facts := Response{ProjectID: j.ProjectID, JobID: j.ID, Settings: r.Settings(), Items: listItems(r.Items(NewID))}
	if r.Stream {
		facts.Streaming = Streamed
	}
	return s.create(ctx, NewJob{Job: j, Webhook: n.Webhook, Body: body, Response: &facts, Idempotency: n.Idempotency})
}

func listItems(items [][]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(items, []byte{','})...), ']')
}

// refusedResponse is the domain error of a request that cannot be taken.
func refusedResponse(err error) error {
	var p *responses.Problem
	if !errors.As(err, &p) {
		return err
	}
	return &Error{Code: Code(p.Code), Param: p.Param, Message: p.Message}
}

// continuedAtOnce is how many conversations one process puts together at a time: a short request may stand for a long one.
const continuedAtOnce = 4

// enterContinued waits until a conversation may be put together, and holds its place until release. Without a previous
// response there is nothing to wait for.
func (s *Service) enterContinued(ctx context.Context, previous string) (release func(), err error) {
	if previous == "" {
		return func() {}, nil
	}
	select {
	case s.continuing <- struct{}{}:
		return func() { <-s.continuing }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// defaultBody is Limits.BodyBytes where that is zero.
const defaultBody = 16 << 20

// continued is the body as it is kept: with the items of the response that it continues, so that it needs no other row
// any more.
func (s *Service) continued(ctx context.Context, n NewResponse, previous string) ([]byte, error) {
	if previous == "" {
		return n.Body, nil
	}
	ref := Ref{n.ProjectID, previous}
	before, err := s.previous(ctx, ref)
	if err != nil {
		return nil, err
	}
	body, err := s.Records.Request(ctx, ref)
	if IsCode(err, CodeNotFound) {
		return nil, noPrevious(previous)
	}
	if err != nil {
		return nil, err
	}
	history := responses.History(body, before.Object())
	whole := int64(len(n.Body))
	for _, item := range history {
		whole += int64(len(item)) + 1
	}
	if most := cmp.Or(s.Limits.BodyBytes, defaultBody); whole > most {
		return nil, Errorf(CodeContext, "previous_response_id", "This request with the conversation before it has %d bytes, and at most %d are accepted (limits.body_bytes). Begin a new conversation: leave 'previous_response_id' out, and put into 'input' what is to be remembered, for example a summary.", whole, most)
	}
	return responses.Continue(n.Body, history), nil
}

// previous reads the response that another one continues. It must have ended: what it will say is not known before.
func (s *Service) previous(ctx context.Context, ref Ref) (Snapshot, error) {
	const param = "previous_response_id"
	none := noPrevious(ref.ID)
	if !strings.HasPrefix(ref.ID, "resp_") || strings.ContainsRune(ref.ID, 0) {
		return Snapshot{}, none
	}
	before, err := s.Records.Job(ctx, ref)
	switch {
	case IsCode(err, CodeNotFound), err == nil && (before.Kind != KindResponse || before.ResultsGone):
		return before, none
	case err != nil:
		return before, err
	case !before.Status.Terminal():
		return before, Errorf(CodeValue, param, "Previous response with id '%s' has status '%s'. Continue it once it has ended.", ref.ID, before.Status)
	}
	return before, nil
}

func noPrevious(id string) error {
	return Errorf(CodePrevious, "previous_response_id", "Previous response with id '%s' not found.", shorten(id))
}

// checkTranslation refuses at once what a provider that speaks chat completions only could never be asked.
func (s *Service) checkTranslation(ctx context.Context, project, model string, body []byte) error {
	p, err := route(ctx, s.Router, s.Records, project, model)
	if err != nil || p.SpeaksResponses() {
		return err
	}
	_, err = responses.Chat(body, false)
	return refusedResponse(err)
}

// CancelResponse stops a response. One that has ended is answered as it is, however often it is cancelled.
func (s *Service) CancelResponse(ctx context.Context, ref Ref) (Snapshot, error) {
	snapshot, err := s.Cancel(ctx, ref)
	if IsCode(err, CodeConflict) {
		return s.Records.Job(ctx, ref)
	}
	return snapshot, err
}

// DeleteResponse removes a response; it stops first if it has not ended. Callbacks that are owed still go out.
func (s *Service) DeleteResponse(ctx context.Context, ref Ref) error {
	now := s.now()
	woken, err := s.Records.DeleteResponse(ctx, ref, func(j *Job) (Effects, error) { return j.cancel(now) })
	if err != nil {
		return err
	}
	woken.Pass(ctx, s.Waker)
	s.Watchers.Ring(ref)
	return nil
}

// deleted tells whether a job is gone; while nobody can tell it is not.
func (r *Runner) deleted(ctx context.Context, j Job) bool {
	states, err := r.Store.Statuses(ctx, []Ref{j.Ref()})
	_, stands := states[j.Ref()]
	return err == nil && !stands
}
