package jobs

import (
	"context"
	"net/http"

	"github.com/ringback/ringback/providers"
)

// follow looks how the job does at its provider, and takes over what is new. Its state comes first: all else may fail, and is
// then left for the next look.
func (r *Runner) follow(ctx context.Context, p *providers.Provider, j Job) error {
	seen := sighting{provider: p.Name()}
	var err error
	if seen.now, err = p.Tuning(ctx, j.Remote.Job); err != nil {
		return err
	}
	seen.status = tuningStatus(seen.now.Status)
	if err := r.lookAside(ctx, p, &j, &seen); err != nil {
		r.drop(ctx, &seen, err)
		return err
	}
	if seen.again = seen.incomplete() && j.Remote.EndLooks < mostEndLooks; seen.again {
		r.drop(ctx, &seen, nil)
	}
	now := At(r.Now())
	err = r.move(ctx, j, func(j *Job) (Effects, error) { return j.saw(&seen, now) })
	if err != nil {
		r.drop(ctx, &seen, err)
	}
	return err
}

// lookAside passes a wish on, and reads all but the state. What fails there is noted in seen; the error is one of our own side.
func (r *Runner) lookAside(ctx context.Context, p *providers.Provider, j *Job, seen *sighting) (err error) {
	if !seen.status.Terminal() && j.Tuning.Wish != "" {
		if err := r.tellWish(ctx, p, j, seen); err != nil {
			return err
		}
	}
	seen.events, err = p.TuningEvents(ctx, j.Remote.Job, j.Remote.LastEvent)
	if err = r.aside(ctx, j, seen, "events", err); err != nil {
		return err
	}
	if len(seen.events) > 0 || seen.status.Terminal() {
		seen.checkpoints, err = p.TuningCheckpoints(ctx, j.Remote.Job)
		if err = r.aside(ctx, j, seen, "checkpoints", err); err != nil {
			return err
		}
	}
	if seen.status != Succeeded {
		return nil
	}
	seen.files, err = r.fetchResults(ctx, p, j, seen.now.ResultFiles)
	return r.aside(ctx, j, seen, "result files", err)
}

// aside notes a part that the provider did not give. A failure of our own, and an interruption, end the step.
func (r *Runner) aside(ctx context.Context, j *Job, seen *sighting, part string, err error) error {
	failed := providers.AsError(err)
	if failed == nil || ctx.Err() != nil {
		return err
	}
	r.Log.Warn("a provider did not give a part of a fine-tuning", "job", j.ID, "part", part, "err", failed)
	seen.missing = append(seen.missing, part)
	return nil
}

// drop removes result files that no row will name, because of an error if there is one. What stays all the same goes with
// the orphans.
func (r *Runner) drop(ctx context.Context, seen *sighting, why error) {
	for i := range seen.files {
		_ = undo(ctx, r.Blobs, why, seen.files[i].Blob)
	}
	seen.files = nil
}

// mostUntold is how often in a row a wish is told to a provider that fails then, before it counts as refused.
const mostUntold = 10

// tellWish passes a pause or a resume on. A provider that will not do it says why; one that fails is told again later.
func (r *Runner) tellWish(ctx context.Context, p *providers.Provider, j *Job, seen *sighting) (err error) {
	tell := p.PauseTuning
	if j.Tuning.Wish == WishResume {
		tell = p.ResumeTuning
	}
	_, err = tell(ctx, j.Remote.Job)
	failed := providers.AsError(err)
	switch {
	case err != nil && (failed == nil || ctx.Err() != nil):
		return err
	case failed == nil:
	case failed.Kind == providers.Rejected && !failed.Retry, failed.Status == http.StatusNotImplemented, j.Remote.Untold+1 >= mostUntold:
		seen.refusal = providerError(failed).Message
	default:
		r.Log.Warn("a provider could not be told to pause or resume a fine-tuning", "job", j.ID, "wish", j.Tuning.Wish, "err", failed)
		seen.untold = true
		return nil
	}
	seen.wish = j.Tuning.Wish
	return nil
}

// maxResultBytes bounds a result file: a table of numbers, one line a step.
const maxResultBytes = 64 << 20

// fetchResults takes the provider's result files into the file store: those that it gives, with the error of the last that
// it does not.
func (r *Runner) fetchResults(ctx context.Context, p *providers.Provider, j *Job, ids []string) (files []File, missing error) {
	for _, id := range ids {
		f := File{
			ProjectID: j.ProjectID, ID: NewID("file-"), Filename: "step_metrics.csv", Purpose: PurposeTuningResult,
			CreatedAt: At(r.Now()),
		}
		f.Blob = "out/" + j.ID + "/" + f.ID
		var err error
		f.Bytes, err = r.fetchResult(ctx, p, id, f.Blob)
		switch {
		case err == nil:
			files = append(files, f)
		case providers.AsError(err) == nil:
			return files, err
		default:
			missing = err
		}
	}
	return files, missing
}

func (r *Runner) fetchResult(ctx context.Context, p *providers.Provider, id, blob string) (int64, error) {
	content, err := p.FileContent(ctx, id, maxResultBytes)
	if err != nil {
		return 0, err
	}
	defer content.Close()
	return r.Blobs.Put(ctx, blob, content)
}
