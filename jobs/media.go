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
	switch {
	case j.Status.Terminal():
		return r.abandonMedia(ctx, m, j)
	case j.Remote.Job == "":
		return r.submitMedia(ctx, p, m, j)
	}
	err := r.lookAtMedia(ctx, m, j)
	failed := providers.AsError(err)
	if failed == nil || ctx.Err() != nil {
		return err
	}
	return r.settle(ctx, j, func(j *Job) (Effects, error) { return j.mediaRefused(failed, At(r.Now())) })
}

// submitting is how long a submission may go on whose job was cancelled, or whose process stops: cut off, it would leave
// behind a job whose ID nobody knows.
const submitting = 5 * time.Second

func (r *Runner) submitMedia(ctx context.Context, p *providers.Provider, m *providers.Media, j Job) error {
	body, err := r.Store.Request(ctx, j.Ref())
	if err != nil {
		return err
	}
	slot, err := r.slot(ctx, p, j)
	if slot == nil {
		return err
	}
	if _, err = r.announce(ctx, p, &j, MakingJob); err != nil {
		slot.Release(unmade(), providers.Usage{})
		return err
	}
	keep, cancel := outliving(ctx, submitting)
	defer cancel()
	id, answer, err := m.Submit(keep, body, j.ID)
	failed := providers.AsError(err)
	outage := slot.Release(failed, answer.Usage)
	if failed != nil && keep.Err() != nil {
		return ctx.Err()
	}
	if failed != nil {
		return r.settle(ctx, j, decideGeneration(p, j, failed, outage, r.Now))
	}
	return r.submitted(keep, m, j, id)
}

// submitted notes what the job is called at its provider, also where it was cancelled meanwhile: then it is stopped there.
func (r *Runner) submitted(ctx context.Context, m *providers.Media, j Job, id string) error {
	var woken Woken
	r.insist(ctx, func() (err error) {
		_, woken, err = r.Store.Move(ctx, j.Ref(), func(now *Job) (Effects, error) {
			at := At(r.Now())
			if now.Status.Terminal() && now.Remote.Job == "" {
				now.Remote.Job, now.Remote.Making, now.Remote.Looks = id, "", 0
				now.Due(at)
				return Effects{}, nil
			}
			if now.Attempt != j.Attempt || now.Owner != r.Owner {
				return Effects{}, ErrStale
			}
			now.Remote.Job, now.Remote.Making, now.Remote.MadeAt, now.Tries = id, "", at, 0
			return now.wait(at.Add(m.Every()), "")
		})
		return err
	})
	woken.Pass(ctx, r.Waker)
	return nil
}

// outliving gives a context that ends a while after ctx has.
func outliving(ctx context.Context, while time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(while, cancel) })
	return longer, func() {
		stop()
		cancel()
	}
}

// longestMedia is how long a provider may say that its job goes on.
const longestMedia = 7 * 24 * time.Hour

func (r *Runner) lookAtMedia(ctx context.Context, m *providers.Media, j Job) error {
	state, err := m.Poll(ctx, j.Remote.Job)
	now := At(r.Now())
	switch {
	case err != nil:
		return err
	case state.Failed:
		return r.settle(ctx, j, func(j *Job) (Effects, error) { return j.generated(nil, mediaFailure(&state), now) })
	case !state.Done && now > j.Remote.MadeAt.Add(longestMedia):
		failed := &providers.Error{Kind: providers.Timeout, Message: "The provider has said '" + shorten(state.Status) + "' for a week; the job is stopped there."}
		return r.settle(ctx, j, func(j *Job) (Effects, error) { return j.mediaGivenUp(failed, now) })
	case !state.Done:
		return r.settle(ctx, j, func(j *Job) (Effects, error) { return j.mediaGoesOn(state.Progress, m.Every(), now) })
	}
	got, err := r.fetchMedia(ctx, m, j, state)
	if err != nil {
		return err
	}
	return r.settle(ctx, j, func(j *Job) (Effects, error) { return j.generated(got, nil, At(r.Now())) })
}

// mediaFailure is why the provider says that its job has failed. Where its words may not be shown, its state stands alone.
func mediaFailure(s *providers.MediaState) *providers.Error {
	e := &providers.Error{Kind: providers.Rejected, Status: s.Answer.Status, Message: s.Error, Answer: &s.Answer}
	if s.Error == "" {
		e.Message, e.Answer = "The provider's job ended as '"+shorten(s.Status)+"'.", nil
	}
	return e
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

// Looks in a row that may fail before a job is given up that is at its provider, which mostly goes on with it: so many that
// were refused, over about a quarter of an hour, or so many without an answer, over about a day.
const (
	mostRefusedLooks  = 10
	mostUnheardOfLook = 300
)

// mediaRefused decides on a look that failed: a later one, or the end.
func (j *Job) mediaRefused(failed *providers.Error, now Time) (Effects, error) {
	most := mostUnheardOfLook
	if !failed.Retry {
		most = mostRefusedLooks
	}
	if j.Tries >= most {
		return j.mediaGivenUp(failed, now)
	}
	return j.putOff(failed, now)
}

// mediaGivenUp ends a job of which its provider has not said that it ended: it is stopped there.
func (j *Job) mediaGivenUp(failed *providers.Error, now Time) (Effects, error) {
	fx, err := j.generated(nil, failed, now)
	if err == nil {
		j.stopRemote(now)
	}
	return fx, err
}

// looksForID is how often a cancelled job waits for the ID that its submission may still bring, over about a quarter of a
// minute.
const looksForID = 3

// abandonMedia stops at its provider what has ended here. A submission that a crash cut off is sent again with its key: a
// provider that knows the key says what it is called.
func (r *Runner) abandonMedia(ctx context.Context, m *providers.Media, j Job) error {
	if j.Remote.Job == "" && j.Remote.Looks < looksForID {
		return r.move(ctx, j, func(j *Job) (Effects, error) { return j.lookLater(At(r.Now())) })
	}
	err := r.stopMedia(ctx, m, j)
	failed := providers.AsError(err)
	switch {
	case failed != nil && failed.Kind != providers.Rejected:
		return r.move(ctx, j, func(j *Job) (Effects, error) { return j.lookLater(At(r.Now())) })
	case failed == nil && err != nil:
		return err
	}
	return r.rest(ctx, j)
}

func (r *Runner) stopMedia(ctx context.Context, m *providers.Media, j Job) error {
	id := j.Remote.Job
	if id == "" && m.Cancels() {
		body, err := r.Store.Request(ctx, j.Ref())
		if err != nil {
			return err
		}
		if id, _, err = m.Submit(ctx, body, j.ID); err != nil {
			return err
		}
		j.Remote.Job = id
		if err := r.hold(ctx, j); err != nil && !errors.Is(err, ErrStale) {
			return err
		}
	}
	return m.Cancel(ctx, id)
}

// mediaUnknown is the failure of a job at a provider that is not configured for it any more: made as a plain call, it would
// be there twice.
func (j *Job) mediaUnknown() *providers.Error {
	return &providers.Error{Kind: providers.NoProvider, Retry: true, Message: "The provider '" + j.Remote.Provider + "', which has this job, is no longer configured for jobs of its own at '" + j.Path + "' (media). Configure it again."}
}
