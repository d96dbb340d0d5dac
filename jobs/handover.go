package jobs

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/ringback/ringback/providers"
)

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
		*f.remote, j.Remote.Making, j.Remote.Looks = id, "", 0
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
		j.Remote.Job, j.Remote.Making, j.Remote.Looks, j.Remote.MadeAt, j.Tries = made.ID, "", 0, now, 0
		return j.look(now)
	})
}

// hold commits what the job has at its provider, and keeps the claim. A job that was paused meanwhile is put to rest
// instead, and ErrStale ends its step: nothing more is made for it.
func (r *Runner) hold(ctx context.Context, held Job) error {
	paused := false
	err := r.move(ctx, held, func(j *Job) (Effects, error) {
		before := j.Remote.Making
		j.Remote, j.Tries = held.Remote, held.Tries
		if paused = j.Status == Paused; !paused {
			return Effects{}, nil
		}
		if before != held.Remote.Making { // it was only just announced
			j.Remote.Making = ""
		}
		return j.waitForResume()
	})
	if err == nil && paused {
		return ErrStale
	}
	return err
}

// waitForResume puts a paused job to rest of which its provider knows nothing. What may be there all the same is looked for
// again when it goes on.
func (j *Job) waitForResume() (Effects, error) {
	if j.Status != Paused {
		return Effects{}, ErrStale
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
	j.Remote.Provider, j.Remote.Making, j.Remote.Looks = p.Name(), what, 0
	return false, r.hold(ctx, *j)
}

// mostDoubts is how often what may have been made is looked for before it is made again: four looks over about half a
// minute, as a provider's list may lag behind what it has made.
const mostDoubts = 3

// doubt ends a step whose look has found nothing of what may have been made: by ErrStale, with a later look in the row. After
// the last look it returns nil, and the row says that what is made now is made anew.
func (r *Runner) doubt(ctx context.Context, j *Job) error {
	if j.Remote.Looks >= mostDoubts {
		j.Remote.Looks = 0
		return r.hold(ctx, *j) // which refuses if it is paused by now
	}
	err := r.move(ctx, *j, func(j *Job) (Effects, error) {
		j.Remote.Looks++
		return j.look(At(r.Now()).Add(2 * time.Second << j.Remote.Looks))
	})
	if err == nil {
		return ErrStale
	}
	return err
}

// unmade takes an announcement back where the provider has refused for sure to make what was announced.
func (r *Runner) unmade(ctx context.Context, j *Job, refused error) error {
	if !refusedForSure(providers.AsError(refused)) { // nil too
		return refused
	}
	j.Remote.Making = ""
	if err := r.hold(ctx, *j); err != nil {
		return err
	}
	return refused
}

// refusedForSure tells whether a provider itself has refused to make something, so that it is not there. Without a JSON
// answer a proxy may have spoken; what timed out, or is in conflict, may be there.
func refusedForSure(failed *providers.Error) bool {
	if failed == nil {
		return false
	}
	switch failed.Status {
	case http.StatusUnauthorized, http.StatusTooManyRequests:
		return true
	case http.StatusRequestTimeout, http.StatusConflict:
		return false
	case 0:
		return failed.Kind == providers.Rejected // never sent
	}
	return failed.Status/100 == 4 && failed.Answer != nil
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
		if err := r.doubt(ctx, j); err != nil {
			return "", err
		}
	}
	content, size, err := r.openInput(ctx, Ref{j.ProjectID, file})
	if err != nil {
		return "", err
	}
	defer content.Close()
	id, err := p.UploadFile(ctx, providers.Upload{Name: name, Purpose: PurposeFineTune, Size: size, Content: content})
	return id, r.unmade(ctx, j, err)
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
		if err := r.doubt(ctx, j); err != nil {
			return providers.Tuning{}, err
		}
	}
	body, err := r.Store.Request(ctx, j.Ref())
	if err != nil {
		return providers.Tuning{}, err
	}
	made, err := p.CreateTuning(ctx, j.tuningBody(body))
	return made, r.unmade(ctx, j, err)
}

func (r *Runner) findTuning(ctx context.Context, p *providers.Provider, j *Job) (providers.Tuning, bool, error) {
	return p.FindTuning(ctx, j.ID, j.Remote.TrainingFile, j.CreatedAt.Unix())
}
