package jobs

import (
	"context"
	"time"

	"github.com/ringback/ringback/providers"
)

// tune takes a fine-tuning one step on: its files are checked, it is handed to its provider, and then it is looked after
// in short polls until it has ended there. No step lasts as long as the training.
func (r *Runner) tune(ctx context.Context, j Job) error {
	if j.Status == ValidatingFiles {
		return r.checkFiles(ctx, j)
	}
	p, err := r.tuner(ctx, &j)
	if failed := providers.AsError(err); failed != nil {
		return r.refusedTuning(ctx, j, failed)
	}
	if err != nil {
		return err
	}
	step := r.follow
	switch {
	case j.Status.Terminal():
		step = r.abandon
	case j.Status == Paused && !j.mayBeRemote():
		return r.move(ctx, j, func(j *Job) (Effects, error) { return j.waitForResume() })
	case j.Remote.Job == "":
		step = r.handOver
	}
	err = step(ctx, p, j)
	if failed := providers.AsError(err); failed != nil && ctx.Err() == nil {
		return r.refusedTuning(ctx, j, failed)
	}
	return err
}

// tuner is the provider that has the fine-tuning, or shall have it.
func (r *Runner) tuner(ctx context.Context, j *Job) (*providers.Provider, error) {
	if j.Remote.Provider == "" {
		return r.route(ctx, j.ProjectID, j.Model)
	}
	if p, ok := r.Router.Provider(j.Remote.Provider); ok {
		return p, nil
	}
	return nil, &providers.Error{Kind: providers.NoProvider, Retry: true, Message: "The provider '" + j.Remote.Provider + "', which has this job, is no longer configured. Configure it again."}
}

// longestOutage is how long a job waits for its provider that cannot be reached.
const longestOutage = 24 * time.Hour

// mostTuningRefusals bounds how often in a row a step is tried: over about a day, where the provider names no longer waits.
const mostTuningRefusals = 300

// refusedTuning decides on a call that failed: a later look, or the end. What has been handed over is not given up for
// the operator's key, which can be mended: the provider goes on with it.
func (r *Runner) refusedTuning(ctx context.Context, j Job, failed *providers.Error) error {
	now := At(r.Now())
	r.Log.Warn("a provider refused a step of a fine-tuning", "job", j.ID, "err", failed)
	return r.move(ctx, j, func(j *Job) (Effects, error) {
		if j.Status.Terminal() {
			return j.lookLater(now)
		}
		again := failed.Retry || j.Remote.Job != "" && failed.Kind != providers.Rejected
		if !again || j.Tries >= mostTuningRefusals {
			return j.tuningFailed(providerError(failed), now)
		}
		return j.putOff(failed, now)
	})
}

// putOff gives a job back whose provider refused a step: longer and longer, up to 5 minutes.
func (j *Job) putOff(failed *providers.Error, now Time) (Effects, error) {
	j.Tries++
	j.Claims = 0
	j.Due(now.Add(max(min(time.Second<<min(j.Tries-1, 16), 5*time.Minute), failed.After)))
	j.block(refusal(failed), j.DueAt)
	return Effects{}, nil
}

// abandon stops at its provider what was cancelled here. What may have been made there without our knowing is looked for
// several times: a create that was under way when the client cancelled may show up late.
func (r *Runner) abandon(ctx context.Context, p *providers.Provider, j Job) error {
	id := j.Remote.Job
	if id == "" {
		made, found, err := r.findTuning(ctx, p, &j)
		if err != nil {
			return err
		}
		if !found {
			return r.move(ctx, j, func(j *Job) (Effects, error) { return j.lookLater(At(r.Now())) })
		}
		id = made.ID
	}
	_, err := p.CancelTuning(ctx, id)
	if failed := providers.AsError(err); failed != nil && (failed.Retry || failed.Kind != providers.Rejected) {
		return err
	}
	return r.move(ctx, j, func(j *Job) (Effects, error) {
		j.Remote.Job, j.Remote.Making = id, ""
		j.Rest()
		return Effects{}, nil
	})
}

// mostLooks bounds how often a cancelled job is looked for, or told to stop, at its provider: over about half an hour.
const mostLooks = 10

// lookLater gives a cancelled job back for another look at its provider, or leaves it.
func (j *Job) lookLater(now Time) (Effects, error) {
	j.Claims = 0
	if j.Remote.Looks++; j.Remote.Looks > mostLooks {
		j.Rest()
		return Effects{}, nil
	}
	j.Due(now.Add(time.Second << j.Remote.Looks))
	return Effects{}, nil
}
