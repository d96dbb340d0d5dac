package jobs

import (
	"context"
	"io"
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

// handOver uploads the files and creates the job at the provider. Each thing is announced in the row before it is made,
// and looked for before it is made again; its name or its metadata carry this job's ID.
func (r *Runner) handOver(ctx context.Context, p *providers.Provider, j Job) error {
	for _, f := range []struct {
		making Making
		file   string
		remote *string
	}{{MakingTrainingFile, j.InputFileID, &j.Remote.TrainingFile}, {MakingValidationFile, j.ValidationFileID, &j.Remote.ValidationFile}} {
		if f.file == "" || *f.remote != "" {
			continue
		}
		id, err := r.makeFile(ctx, p, &j, f.making, f.file)
		if err != nil {
			return err
		}
		*f.remote, j.Remote.Making = id, ""
		j.Tries = 0
		if err := r.hold(ctx, j); err != nil {
			return err
		}
	}
	made, err := r.makeTuning(ctx, p, &j)
	if err != nil {
		return err
	}
	now := At(r.Now())
	return r.move(ctx, j, func(j *Job) (Effects, error) {
		j.Remote.Job, j.Remote.Making, j.Remote.MadeAt, j.Tries = made.ID, "", now, 0
		return j.look(now)
	})
}

// hold commits what the job has at its provider, and keeps the claim. A job that was paused meanwhile is put to rest
// instead, and ErrStale ends its step: nothing more is made for it.
func (r *Runner) hold(ctx context.Context, held Job) error {
	paused := false
	err := r.move(ctx, held, func(j *Job) (Effects, error) {
		j.Remote, j.Tries = held.Remote, held.Tries
		if paused = j.Status == Paused; paused {
			return j.waitForResume()
		}
		return Effects{}, nil
	})
	if err == nil && paused {
		return ErrStale
	}
	return err
}

// waitForResume puts a paused job to rest of which its provider knows nothing.
func (j *Job) waitForResume() (Effects, error) {
	if j.Status != Paused {
		return Effects{}, ErrStale
	}
	if j.Remote.Making == MakingJob {
		j.Remote.Making = ""
	}
	j.Tuning.Wish, j.Claims = "", 0
	j.Rest()
	return Effects{}, nil
}

// announce commits that something is about to be made. It tells whether that was announced before: then it may be there.
func (r *Runner) announce(ctx context.Context, p *providers.Provider, j *Job, what Making) (before bool, err error) {
	if j.Remote.Making == what {
		return true, nil
	}
	j.Remote.Provider, j.Remote.Making = p.Name(), what
	return false, r.hold(ctx, *j)
}

// makeFile uploads one of the job's files under a name of its own.
func (r *Runner) makeFile(ctx context.Context, p *providers.Provider, j *Job, what Making, file string) (string, error) {
	name := j.ID + "-" + string(what) + ".jsonl"
	before, err := r.announce(ctx, p, j, what)
	if err != nil {
		return "", err
	}
	if before {
		if id, found, err := p.FindFile(ctx, name, PurposeFineTune); err != nil || found {
			return id, err
		}
	}
	content, size, err := r.openInput(ctx, Ref{j.ProjectID, file})
	if err != nil {
		return "", err
	}
	defer content.Close()
	return p.UploadFile(ctx, providers.Upload{Name: name, Purpose: PurposeFineTune, Size: size, Content: content})
}

// openInput opens a file's bytes, also when it has been deleted meanwhile.
func (r *Runner) openInput(ctx context.Context, ref Ref) (io.ReadCloser, int64, error) {
	f, err := r.Store.InputFile(ctx, ref)
	if err != nil {
		return nil, 0, err
	}
	content, err := r.Blobs.Open(ctx, f.Blob, 0)
	return content, f.Bytes, err
}

// makeTuning creates the job, unless an attempt before has.
func (r *Runner) makeTuning(ctx context.Context, p *providers.Provider, j *Job) (providers.Tuning, error) {
	before, err := r.announce(ctx, p, j, MakingJob)
	if err != nil {
		return providers.Tuning{}, err
	}
	if before {
		if made, found, err := r.findTuning(ctx, p, j); err != nil || found {
			return made, err
		}
		if err := r.hold(ctx, *j); err != nil { // as when it was announced: not if it is paused by now
			return providers.Tuning{}, err
		}
	}
	body, err := r.Store.Request(ctx, j.Ref())
	if err != nil {
		return providers.Tuning{}, err
	}
	return p.CreateTuning(ctx, j.tuningBody(body))
}

// clockSlack is how far a provider's clock may be behind ours.
const clockSlack = time.Hour

func (r *Runner) findTuning(ctx context.Context, p *providers.Provider, j *Job) (providers.Tuning, bool, error) {
	return p.FindTuning(ctx, j.ID, j.Remote.TrainingFile, j.CreatedAt.Add(-clockSlack).Unix())
}

// follow looks how the job does at its provider, and takes over what is new.
func (r *Runner) follow(ctx context.Context, p *providers.Provider, j Job) error {
	seen := sighting{wish: j.Tuning.Wish}
	var err error
	if seen.refusal, err = tellWish(ctx, p, &j); err != nil {
		return err
	}
	if seen.now, err = p.Tuning(ctx, j.Remote.Job); err != nil {
		return err
	}
	if seen.events, err = tuningEvents(ctx, p, &j); err != nil {
		return err
	}
	if len(seen.events) > 0 || Status(seen.now.Status).Terminal() {
		if seen.checkpoints, err = p.TuningCheckpoints(ctx, j.Remote.Job); err != nil {
			return err
		}
	}
	if seen.now.Status == string(Succeeded) {
		if seen.files, err = r.fetchResults(ctx, p, &j, seen.now.ResultFiles); err != nil {
			return err
		}
	}
	now := At(r.Now())
	err = r.move(ctx, j, func(j *Job) (Effects, error) { return j.saw(&seen, p.Name(), now) })
	if err != nil {
		for i := range seen.files {
			_ = r.remove(ctx, &seen.files[i]) // what stays belongs to no row, and goes with the orphans
		}
	}
	return err
}

// tellWish passes a pause or a resume on. A provider that will not do it says why.
func tellWish(ctx context.Context, p *providers.Provider, j *Job) (refusal string, err error) {
	switch j.Tuning.Wish {
	case WishPause:
		_, err = p.PauseTuning(ctx, j.Remote.Job)
	case WishResume:
		_, err = p.ResumeTuning(ctx, j.Remote.Job)
	}
	if failed := providers.AsError(err); failed != nil && failed.Kind == providers.Rejected && !failed.Retry {
		return providerError(failed).Message, nil
	}
	return "", err
}

// tuningEvents reads what is new in the provider's log. One without a log has no events.
func tuningEvents(ctx context.Context, p *providers.Provider, j *Job) ([]providers.TuningEvent, error) {
	events, err := p.TuningEvents(ctx, j.Remote.Job, j.Remote.LastEvent)
	if failed := providers.AsError(err); failed != nil && failed.Kind == providers.Rejected && !failed.Retry {
		return nil, nil
	}
	return events, err
}

// maxResultBytes bounds a result file: a table of numbers, one line a step.
const maxResultBytes = 64 << 20

// fetchResults takes the provider's result files into the file store. One that the provider does not give is left out: the
// model is there all the same.
func (r *Runner) fetchResults(ctx context.Context, p *providers.Provider, j *Job, ids []string) (files []File, err error) {
	for _, id := range ids {
		f := File{
			ProjectID: j.ProjectID, ID: NewID("file-"), Filename: "step_metrics.csv", Purpose: PurposeTuningResult,
			CreatedAt: At(r.Now()),
		}
		f.Blob = "out/" + j.ID + "/" + f.ID
		f.Bytes, err = r.fetchResult(ctx, p, id, f.Blob)
		if failed := providers.AsError(err); failed != nil && !failed.Retry && ctx.Err() == nil {
			r.Log.Warn("a provider does not give a fine-tuning's result file; it is left out", "job", j.ID, "err", failed)
			continue
		}
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	return files, nil
}

func (r *Runner) fetchResult(ctx context.Context, p *providers.Provider, id, blob string) (int64, error) {
	content, err := p.FileContent(ctx, id, maxResultBytes)
	if err != nil {
		return 0, err
	}
	defer content.Close()
	return r.Blobs.Put(ctx, blob, content)
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
	if failed := providers.AsError(err); failed != nil && failed.Retry {
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
