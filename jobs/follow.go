package jobs

import (
	"context"

	"github.com/ringback/ringback/providers"
)

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
