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

// mostTuningRefusals bounds how often in a row a step is tried: over about a day, where the provider names no longer waits.
const mostTuningRefusals = 300

// A refused look ends a fine-tuning only if so many in a row, over such a time, were refused: a provider may take a while to
// know everywhere what it has made.
const (
	mostDenied    = 10
	longestDenial = 10 * time.Minute
)

// refusedTuning decides on a call that failed: a later look, or the end. What has been handed over is not given up for
// the operator's key, which can be mended: the provider goes on with it.
func (r *Runner) refusedTuning(ctx context.Context, j Job, failed *providers.Error) error {
	now := At(r.Now())
	r.Log.Warn("a provider refused a step of a fine-tuning", "job", j.ID, "err", failed)
	return r.move(ctx, j, func(j *Job) (Effects, error) {
		if j.Status.Terminal() {
			return j.lookLater(now)
		}
		if !j.bears(failed, now) || j.Tries >= mostTuningRefusals {
			return j.stopTuning(providerError(failed), now)
		}
		return j.putOff(failed, now)
	})
}

// bears tells whether the job goes on after a failure.
func (j *Job) bears(failed *providers.Error, now Time) bool {
	if failed.Retry || failed.Kind != providers.Rejected {
		j.Remote.Denied = 0
		return failed.Retry || j.mayBeRemote()
	}
	if j.Remote.Job == "" {
		return false
	}
	if j.Remote.Denied++; j.Remote.Denied == 1 {
		j.Remote.DeniedSince = now
	}
	return j.Remote.Denied < mostDenied || now < j.Remote.DeniedSince.Add(longestDenial)
}

// putOff gives a job back whose provider refused a step: longer and longer, up to 5 minutes.
func (j *Job) putOff(failed *providers.Error, now Time) (Effects, error) {
	j.Tries++
	j.Claims = 0
	j.Due(now.Add(max(min(time.Second<<min(j.Tries-1, 16), 5*time.Minute), failed.After)))
	j.block(refusal(failed), j.DueAt)
	return Effects{}, nil
}

// abandon stops at its provider what has ended here. What may have been made there without our knowing is looked for
// several times: a create that was under way when the client cancelled may show up late.
func (r *Runner) abandon(ctx context.Context, p *providers.Provider, j Job) error {
	if j.Remote.Job == "" {
		made, found, err := r.findTuning(ctx, p, &j)
		if err != nil {
			return err
		}
		if !found {
			return r.move(ctx, j, func(j *Job) (Effects, error) { return j.lookLater(At(r.Now())) })
		}
		j.Remote.Job, j.Remote.Making, j.Remote.Looks = made.ID, "", 0
		if err := r.hold(ctx, j); err != nil {
			return err
		}
	}
	_, err := p.CancelTuning(ctx, j.Remote.Job)
	if err != nil && !settledThere(providers.AsError(err)) {
		return err
	}
	return r.move(ctx, j, func(j *Job) (Effects, error) {
		j.Rest()
		return Effects{}, nil
	})
}

// settledThere tells whether a refused cancel says that there is nothing to cancel: the provider does not know the job, or
// it has ended. An outage, an expired key or a proxy's redirection do not say so.
func settledThere(failed *providers.Error) bool {
	return failed != nil && failed.Kind == providers.Rejected && !failed.Retry && failed.Status/100 == 4
}

// Bounds of how often a job that has ended here is looked for, or told to stop, at its provider: one whose ID is known over
// about a day, another over about half an hour.
const (
	mostLooks = 10
	mostStops = 300
	longStop  = 5 * time.Minute
)

// lookLater gives a job that has ended here back for another look at its provider, or leaves it.
func (j *Job) lookLater(now Time) (Effects, error) {
	most, pause := mostLooks, time.Second<<min(j.Remote.Looks+1, mostLooks)
	if j.Remote.Job != "" {
		most, pause = mostStops, min(pause, longStop)
	}
	j.Claims = 0
	if j.Remote.Looks++; j.Remote.Looks > most {
		j.Rest()
		return Effects{}, nil
	}
	j.Due(now.Add(pause))
	return Effects{}, nil
}
