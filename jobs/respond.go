package jobs

import (
	"context"
	"errors"

	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/providers/responses"
)

// ResponseStore is what an attempt at a response asks of the store.
type ResponseStore interface {
	// Response reads what a response has beside its row.
	Response(ctx context.Context, ref Ref) (Response, error)
	// KeepResponseEvents adds to a response's stream, while the attempt that says them holds the job; else ErrStale. Those
	// that stand there already are left out.
	KeepResponseEvents(ctx context.Context, held Job, events []ResponseEvent) error
	// LastResponseEvent is the number of the last one kept; 0 for none.
	LastResponseEvent(ctx context.Context, ref Ref) (int64, error)
}

// respond makes one attempt at a response's call. A retry is a later due time in its row, as a generation's.
func (r *Runner) respond(ctx context.Context, j Job) error {
	refuse := func(failed *providers.Error) error {
		return r.settle(ctx, j, func(now *Job) (Effects, error) { return now.generated(nil, failed, At(r.Now())) })
	}
	provider, err := r.route(ctx, j.ProjectID, j.Model)
	if failed := providers.AsError(err); failed != nil {
		return refuse(failed)
	}
	if err != nil {
		return err
	}
	slot, err := r.slot(ctx, provider, j) // before the request is read: what waits takes no room
	if slot == nil {
		return err
	}
	a, err := r.answering(ctx, provider, j)
	if err == nil {
		err = r.unheard()
	}
	if err != nil {
		slot.Release(unmade(), providers.Usage{})
		if failed := providers.AsError(err); failed != nil {
			return refuse(failed)
		}
		return err
	}
	got, answer, err := a.call(ctx)
	failed := providers.AsError(err)
	outage := slot.Release(failed, answer.Usage)
	switch {
	case failed != nil && ctx.Err() != nil:
		return ctx.Err()
	case failed != nil:
		return r.settle(ctx, j, decideGeneration(provider, j, failed, outage, r.Now))
	case err != nil:
		return err
	}
	return r.settle(ctx, j, func(j *Job) (Effects, error) { return j.responded(got, &answer, At(r.Now())) })
}

// answering is one attempt at a response: what is asked of whom.
type answering struct {
	*Runner
	provider *providers.Provider
	job      Job
	facts    Response
	request  providers.Request
}

// responded is a response as it ended: completed, incomplete or failed, with the object that shows it.
type responded struct {
	state  Status
	object []byte
}

// answering reads what is to be asked. It fails with a *providers.Error where that could never be asked.
func (r *Runner) answering(ctx context.Context, p *providers.Provider, j Job) (*answering, error) {
	facts, err := r.Store.Response(ctx, j.Ref())
	if err != nil {
		return nil, err
	}
	body, err := r.Store.Request(ctx, j.Ref())
	if err != nil {
		return nil, err
	}
	a := &answering{Runner: r, provider: p, job: j, facts: facts}
	a.request = providers.Request{Path: j.Path, Model: j.Model, Body: responses.Native(body, a.streams())}
	if p.SpeaksResponses() {
		return a, nil
	}
	a.request.Path = "/v1/chat/completions"
	a.request.Body, err = responses.Chat(body, a.streams())
	var problem *responses.Problem
	if errors.As(err, &problem) {
		return nil, &providers.Error{Kind: providers.Rejected, Message: problem.Message}
	}
	return a, err
}

func (a *answering) streams() bool { return a.facts.Streaming != NotStreamed }

func (a *answering) call(ctx context.Context) (responded, providers.Answer, error) {
	if a.streams() {
		return a.stream(ctx)
	}
	answer, err := a.doCall(ctx, a.provider, a.job.ProjectID, a.request)
	if err != nil {
		return responded{}, answer, err
	}
	t := a.translator(responses.FirstNumber)
	t.whole(answer.Body)
	_, got, err := a.end(t, answer)
	return got, answer, err
}

// end completes the response with what its translator took. An answer that is none is a failed try, as an answer that is
// no JSON: the next may be one.
func (a *answering) end(t translator, answer providers.Answer) ([]responses.Event, responded, error) {
	events, got, err := t.end(a.object())
	if err == nil {
		return events, got, nil
	}
	message := err.Error()
	if why, ok := errors.AsType[responses.Unreadable](err); ok {
		message = "The provider's answer " + string(why) + "; try again later."
	}
	return nil, got, &providers.Error{Kind: providers.InvalidAnswer, Retry: true, Status: answer.Status, Message: message, Err: err}
}

// object is the response that waits for its answer, which comes now.
func (a *answering) object() responses.Object {
	s := Snapshot{Job: a.job, Response: &a.facts}
	s.EndedAt = At(a.Now())
	return s.responseState()
}

// responded ends a response.
func (j *Job) responded(got responded, answer *providers.Answer, now Time) (Effects, error) {
	if j.Status != InProgress {
		return Effects{}, ErrStale
	}
	j.Tries++
	j.Usage = answer.Usage
	if got.state == Failed {
		j.Failed = 1
	} else {
		j.Completed = 1
	}
	return Effects{Events: []EventType{j.end(got.state, now)}, Result: got.object, Took: answer.Took}, nil
}
