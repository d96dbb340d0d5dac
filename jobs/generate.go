package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/rawjson"
)

// generate makes one attempt at a generation's call. A retry is a later due time in its row.
func (r *Runner) generate(ctx context.Context, j Job) error {
	body, err := r.Store.Request(ctx, j.Ref())
	if err != nil {
		return err
	}
	provider, err := r.Router.Route(j.Model)
	if err != nil {
		return r.settle(ctx, j, func(now *Job) (Effects, error) {
			return now.generated(providers.Answer{}, providers.AsError(err), At(r.Now()))
		})
	}
	turn := providers.Turn{Project: j.ProjectID, Job: j.ID}
	slot, err := provider.Limiter(j.Model).Acquire(ctx, turn, patience)
	var busy *providers.BusyError
	if errors.As(err, &busy) {
		return r.settle(ctx, j, func(now *Job) (Effects, error) { return now.wait(At(busy.Until)) })
	}
	if err != nil {
		return err
	}
	answer, err := provider.Do(ctx, providers.Request{Path: j.Path, Model: j.Model, Body: body})
	failed := providers.AsError(err)
	outage := slot.Release(failed, answer.Usage)
	if failed != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	decide := decideGeneration(provider, j, answer, failed, outage, r.Now)
	return r.settle(ctx, j, decide)
}

// settle records an outcome, insisting: the call has been paid for.
func (r *Runner) settle(ctx context.Context, j Job, move func(*Job) (Effects, error)) error {
	r.insist(ctx, func() error { return r.move(ctx, j, move) })
	return nil
}

// longestWait is how long a generation may wait for a provider that refuses everybody: as long as OpenAI gives a batch.
const longestWait = 24 * time.Hour

// decideGeneration picks the move that an outcome leads to: the end, a wait that is no try, or another try.
func decideGeneration(p *providers.Provider, j Job, answer providers.Answer, failed *providers.Error, outage bool, clock func() time.Time) func(*Job) (Effects, error) {
	now := clock()
	if failed == nil {
		return func(j *Job) (Effects, error) { return j.generated(answer, nil, At(now)) }
	}
	so := tries{Refusals: j.Refusals}
	if so.refused(failed, outage) && At(now) < j.CreatedAt.Add(longestWait) {
		delay, _ := p.Retry(failed, 1)
		return func(j *Job) (Effects, error) {
			j.Refusals++
			return j.wait(At(now.Add(delay)))
		}
	}
	if delay, again := p.Retry(failed, j.Tries+1); again {
		return func(j *Job) (Effects, error) { return j.retry(At(now.Add(delay))) }
	}
	return func(j *Job) (Effects, error) { return j.generated(answer, failed, At(now)) }
}

// wait gives the job back until a limit opens: waiting is no try.
func (j *Job) wait(until Time) (Effects, error) {
	if j.Status != InProgress {
		return Effects{}, ErrStale
	}
	j.Claims = 0
	j.Due(until)
	return Effects{}, nil
}

// retry gives the job back until its next try.
func (j *Job) retry(at Time) (Effects, error) {
	if j.Status != InProgress {
		return Effects{}, ErrStale
	}
	j.Tries++
	j.Claims = 0
	j.Due(at)
	return Effects{}, nil
}

// generated ends a generation with its answer, or with the reason why there is none.
func (j *Job) generated(a providers.Answer, failed *providers.Error, now Time) (Effects, error) {
	if j.Status != InProgress {
		return Effects{}, ErrStale
	}
	j.Tries++
	if failed != nil {
		j.Failed, j.Errors = 1, encode(failureOf(failed))
		return Effects{Events: []EventType{j.end(Failed, now)}}, nil
	}
	j.Completed, j.Usage = 1, a.Usage
	return Effects{Events: []EventType{j.end(Completed, now)}, Result: a.Body}, nil
}

// maxErrorBody bounds how much of a provider's own error is shown in a job: events carry it.
const maxErrorBody = 16 << 10

func failureOf(e *providers.Error) failure {
	f := failure{Code: string(e.Kind), Message: e.Message}
	if e.Answer == nil {
		return f
	}
	f.StatusCode = e.Answer.Status
	if len(e.Answer.Body) <= maxErrorBody && rawjson.Valid(e.Answer.Body) {
		f.Body = json.RawMessage(e.Answer.Body)
	}
	return f
}
