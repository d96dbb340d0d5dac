package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/rawjson"
	"github.com/ringback/ringback/telemetry/span"
)

// generate makes one attempt at a generation's call. A retry is a later due time in its row.
func (r *Runner) generate(ctx context.Context, j Job) error {
	provider, err := r.tuner(ctx, &j)
	failed := providers.AsError(err)
	if failed == nil && err != nil {
		return err
	}
	if failed == nil {
		if media, ok := provider.Media(j.Path); ok {
			return r.media(ctx, provider, media, j)
		}
		if j.Remote.Provider != "" {
			failed = j.mediaUnknown()
		}
	}
	switch {
	case failed != nil && j.Remote.Provider != "" && j.Status.Terminal():
		return r.move(ctx, j, func(j *Job) (Effects, error) { return j.lookLater(At(r.Now())) })
	case failed != nil && j.Remote.Provider != "":
		return r.settle(ctx, j, func(j *Job) (Effects, error) { return j.mediaRefused(failed, At(r.Now())) })
	case failed != nil:
		return r.settle(ctx, j, func(now *Job) (Effects, error) { return now.generated(nil, failed, At(r.Now())) })
	case j.Status.Terminal():
		return r.rest(ctx, j)
	}
	return r.callOnce(ctx, provider, j)
}

// callOnce makes a generation's one call.
func (r *Runner) callOnce(ctx context.Context, provider *providers.Provider, j Job) error {
	slot, err := r.slot(ctx, provider, j) // before the request is read: what waits takes no room
	if slot == nil {
		return err
	}
	body, err := r.Store.Request(ctx, j.Ref())
	if err == nil {
		err = r.unheard()
	}
	if err != nil {
		slot.Release(unmade(), providers.Usage{})
		return err
	}
	answer, err := r.call(ctx, provider, j, body)
	failed := providers.AsError(err)
	outage := slot.Release(failed, answer.Usage)
	if failed != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if failed == nil && err != nil {
		return err
	}
	return r.outcome(ctx, provider, j, answer, failed, outage)
}

// errUnheard leaves a call to whoever goes on with the job.
var errUnheard = errors.New("jobs: this process has not been heard of for a while; it begins nothing")

// unheard is asked before a call is made: the process may have been frozen since it claimed the job.
func (r *Runner) unheard() error {
	if r.Presence.Lapsed() {
		return errUnheard
	}
	return nil
}

// unmade is how a slot is given back whose call was not made: it says nothing of the provider.
func unmade() *providers.Error { return &providers.Error{Kind: providers.Canceled} }

// slot takes a slot of the model's limiter. Without one the job has been given back until there may be one.
func (r *Runner) slot(ctx context.Context, p *providers.Provider, j Job) (*providers.Slot, error) {
	slot, err := r.acquire(ctx, p, &j)
	var busy *providers.BusyError
	if errors.As(err, &busy) {
		span.Drop(ctx) // a wait is no work
		return nil, r.settle(ctx, j, func(now *Job) (Effects, error) { return now.wait(At(busy.Until), blockedBy(busy.Reason)) })
	}
	return slot, err
}

// turn is the job's place among those who wait for a slot.
func (j *Job) turn() providers.Turn {
	return providers.Turn{Project: j.ProjectID, Job: j.ID, Priority: j.Priority.Rank()}
}

// outcome keeps what came of a call: the answer, whatever form it has, or the end, or a later try.
func (r *Runner) outcome(ctx context.Context, p *providers.Provider, j Job, answer providers.Answer, failed *providers.Error, outage bool) error {
	if failed != nil {
		return r.settle(ctx, j, decideGeneration(p, j, failed, outage, r.Now))
	}
	var got *product
	r.insist(ctx, func() (err error) { // a full disk must not have the call made again
		got, err = r.product(ctx, j, answer)
		return err
	})
	if got == nil {
		return ctx.Err()
	}
	got.took = answer.Took
	return r.settle(ctx, j, func(j *Job) (Effects, error) { return j.generated(got, nil, At(r.Now())) })
}

// settle records an outcome, insisting: the call has been paid for. One that can never be kept ends the job: made again, the
// call would be paid for again, without end.
func (r *Runner) settle(ctx context.Context, j Job, move func(*Job) (Effects, error)) error {
	var err error
	r.insist(ctx, func() error {
		err = r.move(ctx, j, move)
		return err
	})
	if lasting(err) {
		r.insist(ctx, func() error {
			return r.move(ctx, j, func(now *Job) (Effects, error) { return now.unkept(At(r.Now())) })
		})
	}
	return nil
}

// unkept ends a job whose outcome cannot be kept.
func (j *Job) unkept(now Time) (Effects, error) {
	if j.Status.Terminal() {
		j.Rest()
		return Effects{}, nil
	}
	return j.failHere("outcome_not_kept", "The provider was called, but what came of it holds a text that cannot be kept: NUL, or bytes that are not UTF-8.", now)
}

// rest leaves a job with which nothing is to be done.
func (r *Runner) rest(ctx context.Context, j Job) error {
	return r.move(ctx, j, func(j *Job) (Effects, error) {
		j.Rest()
		return Effects{}, nil
	})
}

// longestWait is how long a generation may wait for a provider that refuses everybody: as long as OpenAI gives a batch.
const longestWait = 24 * time.Hour

// decideGeneration picks the move that a failed call leads to: a wait that is no try, another try, or the end.
func decideGeneration(p *providers.Provider, j Job, failed *providers.Error, outage bool, clock func() time.Time) func(*Job) (Effects, error) {
	now := clock()
	so := tries{Refusals: j.Refusals}
	if so.refused(failed, outage) && At(now) < max(j.CreatedAt, j.RunAt).Add(longestWait) {
		delay, _ := p.Retry(failed, 1)
		return func(j *Job) (Effects, error) {
			j.Refusals = so.Refusals
			return j.wait(At(now.Add(delay)), refusal(failed))
		}
	}
	if delay, again := p.Retry(failed, j.Tries+1); again {
		return func(j *Job) (Effects, error) { return j.retry(At(now.Add(delay))) }
	}
	return func(j *Job) (Effects, error) { return j.generated(nil, failed, At(now)) }
}

// refusal is what a job waits for whose call was none of its own failures.
func refusal(failed *providers.Error) Blocked {
	if failed.Kind == providers.RateLimited {
		return BlockedByRateLimit
	}
	return BlockedByProvider
}

// wait gives the job back until a limit opens: waiting is no try.
func (j *Job) wait(until Time, why Blocked) (Effects, error) {
	if j.Status != InProgress {
		return Effects{}, ErrStale
	}
	j.Claims = 0
	j.Due(until)
	j.block(why, until)
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
	j.block(BlockedByRetry, at)
	return Effects{}, nil
}

// generated ends a generation with what it has produced, or with the reason why there is nothing.
func (j *Job) generated(got *product, failed *providers.Error, now Time) (Effects, error) {
	if j.Status != InProgress {
		return Effects{}, ErrStale
	}
	j.Tries++
	if failed != nil {
		j.Failed, j.Errors = 1, encode(failureOf(failed))
		return Effects{Events: []EventType{j.end(Failed, now)}}, nil
	}
	j.Completed, j.Usage = 1, got.usage
	fx := Effects{Result: got.result, Took: got.took}
	if got.file != nil {
		j.OutputFileID, fx.Files = got.file.ID, []File{*got.file}
	}
	fx.Events = []EventType{j.end(Completed, now)}
	return fx, nil
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
