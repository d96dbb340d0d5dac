package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/ringback/ringback/providers"
)

// media takes a job that is a provider's own asynchronous job one step on: it is submitted, then looked at in short polls,
// then its result is fetched. What is submitted is announced in the row first and goes with this job's ID as its
// Idempotency-Key: a provider that knows such keys makes nothing twice, whatever crashes in between.
func (r *Runner) media(ctx context.Context, p *providers.Provider, m *providers.Media, j Job) error {
	step := r.lookAtMedia
	switch {
	case j.Status.Terminal():
		return r.abandonMedia(ctx, m, j)
	case j.Remote.Job == "":
		step = r.submitMedia
	}
	err := step(ctx, p, m, j)
	failed := providers.AsError(err)
	if failed == nil || ctx.Err() != nil {
		return err
	}
	return r.settle(ctx, j, func(j *Job) (Effects, error) { return j.mediaRefused(failed, At(r.Now())) })
}

func (r *Runner) submitMedia(ctx context.Context, p *providers.Provider, m *providers.Media, j Job) error {
	body, err := r.Store.Request(ctx, j.Ref())
	if err != nil {
		return err
	}
	slot, err := r.slot(ctx, p, j)
	if slot == nil {
		return err
	}
	_, err = r.announce(ctx, p, &j, MakingJob)
	if err != nil {
		slot.Release(&providers.Error{Kind: providers.Canceled}, providers.Usage{})
		return err
	}
	keep := context.WithoutCancel(ctx) // a cancel that cut it off would leave behind a job whose ID nobody knows
	id, answer, err := m.Submit(keep, body, j.ID)
	slot.Release(providers.AsError(err), answer.Usage)
	if err != nil {
		return err
	}
	refused := false
	r.insist(ctx, func() error {
		err := r.move(keep, j, func(j *Job) (Effects, error) { return j.submitted(id, m.Every(), At(r.Now())) })
		refused = errors.Is(err, ErrStale)
		return err
	})
	if refused { // cancelled meanwhile
		return m.Cancel(keep, id)
	}
	return nil
}

// submitted notes what the job is called at its provider.
func (j *Job) submitted(id string, every time.Duration, now Time) (Effects, error) {
	j.Remote.Job, j.Remote.Making, j.Remote.MadeAt, j.Tries = id, "", now, 0
	return j.wait(now.Add(every), "")
}

func (r *Runner) lookAtMedia(ctx context.Context, _ *providers.Provider, m *providers.Media, j Job) error {
	state, err := m.Poll(ctx, j.Remote.Job)
	switch {
	case err != nil:
		return err
	case state.Failed:
		return &providers.Error{Kind: providers.Rejected, Status: state.Answer.Status, Message: state.Error, Answer: &state.Answer}
	case !state.Done:
		return r.settle(ctx, j, func(j *Job) (Effects, error) { return j.mediaGoesOn(state.Progress, m.Every(), At(r.Now())) })
	}
	got, err := r.fetchMedia(ctx, m, j, state)
	if err != nil {
		return err
	}
	return r.settle(ctx, j, func(j *Job) (Effects, error) { return j.generated(got, nil, At(r.Now())) })
}

// fetchMedia takes the result: the bytes that the provider has ready, or else its last answer.
func (r *Runner) fetchMedia(ctx context.Context, m *providers.Media, j Job, state providers.MediaState) (*product, error) {
	result, err := m.Fetch(ctx, j.Remote.Job, state)
	if err != nil {
		return nil, err
	}
	defer result.Body.Close()
	if isJSON(result.ContentType) { // the answer itself
		return r.product(ctx, j, state.Answer)
	}
	return r.fileProduct(ctx, j, result.ContentType, result.Body, state.Answer.Usage)
}

// mediaGoesOn notes how far it is, and when to look again: as with a fine-tuning, its end is seen at most 5 % late.
func (j *Job) mediaGoesOn(percent float64, every time.Duration, now Time) (Effects, error) {
	var fx Effects
	if step := int64(percent); step > j.ProgressStep && now >= j.ProgressAt.Add(progressPause) {
		j.ProgressStep, j.ProgressAt = step, now
		fx.Events = []EventType{GenerationProgress}
	}
	j.Tries = 0
	_, err := j.wait(now.Add(max(every, j.untilNextLook(now))), "")
	return fx, err
}

// mediaRefused decides on a step that failed: a later one, or the end. Once the job is at its provider, only the
// provider's own word ends it, or a day without an answer.
func (j *Job) mediaRefused(failed *providers.Error, now Time) (Effects, error) {
	if !failed.Retry || now > max(j.CreatedAt, j.RunAt, j.Remote.MadeAt, j.ProgressAt).Add(longestOutage) {
		return j.generated(nil, failed, now)
	}
	return j.putOff(failed, now)
}

// abandonMedia stops at its provider what was cancelled here.
func (r *Runner) abandonMedia(ctx context.Context, m *providers.Media, j Job) error {
	err := m.Cancel(ctx, j.Remote.Job)
	if failed := providers.AsError(err); failed != nil && failed.Retry {
		return r.move(ctx, j, func(j *Job) (Effects, error) { return j.lookLater(At(r.Now())) })
	}
	return r.rest(ctx, j)
}
