package jobs

import (
	"bytes"
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
	// ResponseEvents reads up to n of the kept events of a response's stream after a number, in their order.
	ResponseEvents(ctx context.Context, ref Ref, after int64, n int) ([]ResponseEvent, error)
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

// maxContinued bounds a conversation that is continued again and again, in bytes of its request.
const maxContinued = 64 << 20

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
	if err != nil {
		return nil, err
	}
	whole := responses.Continue(n.Body, responses.History(body, before.Object()))
	if len(whole) > maxContinued {
		return nil, Errorf(CodeTooLarge, "previous_response_id", "This response and those before it are longer than %d bytes. Begin a new conversation.", maxContinued)
	}
	return whole, nil
}

// previous reads the response that another one continues. It must have ended: what it will say is not known before.
func (s *Service) previous(ctx context.Context, ref Ref) (Snapshot, error) {
	const param = "previous_response_id"
	none := Errorf(CodePrevious, param, "Previous response with id '%s' not found.", shorten(ref.ID))
	if !strings.HasPrefix(ref.ID, "resp_") || strings.ContainsRune(ref.ID, 0) {
		return Snapshot{}, none
	}
	before, err := s.Records.Job(ctx, ref)
	switch {
	case IsCode(err, CodeNotFound), err == nil && before.Kind != KindResponse:
		return before, none
	case err != nil:
		return before, err
	case !before.Status.Terminal():
		return before, Errorf(CodeValue, param, "Previous response with id '%s' has status '%s'. Continue it once it has ended.", ref.ID, before.Status)
	}
	return before, nil
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
