package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"
)

// heldPause is how soon a batch that ends early looks again whether its last calls have come back.
const heldPause = 200 * time.Millisecond

// errMoreLines says that outcomes came in while the files were written; they are paid for, so the files are written
// again.
var errMoreLines = errors.New("jobs: more lines have come in while the output was written")

// finalize writes a batch's output and error files, in the order of its input, and ends it. The files' keys carry the
// attempt, and the commit names the winner: who lost removes only what it wrote itself. After a commit that may stand nothing is removed; if
// it does, the batch has ended, and the next try finds that.
func (r *Runner) finalize(ctx context.Context, j Job) error {
	if j.Ending == Cancelled && j.Total == 0 {
		return r.move(ctx, j, func(now *Job) (Effects, error) { return now.finalized(nil, nil, &j, 0, At(r.Now())) })
	}
	if held, err := r.Store.HeldShards(ctx, j.Ref()); err != nil || held > 0 && j.Ending != Completed {
		if err != nil {
			return err
		}
		return r.move(ctx, j, func(now *Job) (Effects, error) { return now.look(At(r.Now()).Add(heldPause)) })
	}
	snapshot, err := r.Store.Job(ctx, j.Ref())
	if err != nil {
		return err
	}
	seen := snapshot.Job
	output, err := r.write(ctx, &seen, "output", seen.Completed > 0, &oneSort{pages: r.pages(ctx, j.Ref(), true)})
	if err != nil {
		return err
	}
	errs, never, err := r.writeErrors(ctx, &seen)
	if err == nil {
		err = r.move(ctx, j, func(now *Job) (Effects, error) { return now.finalized(output, errs, &seen, never, At(r.Now())) })
	}
	if err != nil {
		return undo(ctx, r.Blobs, err, blobsOf(output, errs)...)
	}
	return nil
}

// look gives the batch back for a moment.
func (j *Job) look(at Time) (Effects, error) {
	j.Claims = 0
	j.Due(at)
	return Effects{}, nil
}

// finalized ends a batch with its files. never counts the lines that were never started; an expired batch counts them
// as failed, as OpenAI does.
func (j *Job) finalized(output, errs *File, seen *Job, never int64, now Time) (Effects, error) {
	if j.Status != Finalizing && j.Status != Cancelling {
		return Effects{}, ErrStale
	}
	if j.Completed != seen.Completed || j.Failed != seen.Failed {
		return Effects{}, errMoreLines
	}
	var fx Effects
	if output != nil {
		j.OutputFileID = output.ID
		fx.Files = append(fx.Files, *output)
	}
	if errs != nil {
		j.ErrorFileID = errs.ID
		fx.Files = append(fx.Files, *errs)
	}
	if j.Ending == Expired {
		j.Failed += never
	}
	fx.Events, fx.Hush = []EventType{j.end(j.Ending, now)}, true
	return fx, nil
}

// writeErrors writes the error file: failed lines, and where the batch ends early those that were never started, each
// with its request.
func (r *Runner) writeErrors(ctx context.Context, j *Job) (*File, int64, error) {
	if j.Completed == j.Total {
		return nil, 0, nil
	}
	in, err := r.input(ctx, j)
	if errors.Is(err, fs.ErrNotExist) { // without the input's bytes nobody can name the lines that are left, nor what was asked
		return r.writeFailed(ctx, j)
	}
	if err != nil {
		return nil, 0, err
	}
	defer in.Close()
	lines := &errorLines{job: j, input: newLineReader(in, 0, 0), pages: r.allPages(ctx, j.Ref())}
	if j.Ending == Completed {
		lines.pages = r.pages(ctx, j.Ref(), false)
	}
	f, err := r.write(ctx, j, "errors", true, lines)
	return f, lines.never, err
}

func (r *Runner) writeFailed(ctx context.Context, j *Job) (*File, int64, error) {
	f, err := r.write(ctx, j, "errors", j.Failed > 0, &oneSort{pages: r.pages(ctx, j.Ref(), false)})
	return f, 0, err
}

func (r *Runner) input(ctx context.Context, j *Job) (io.ReadCloser, error) {
	f, err := r.Store.InputFile(ctx, Ref{j.ProjectID, j.InputFileID})
	if err != nil {
		return nil, err
	}
	return r.Blobs.Open(ctx, f.Blob, 0)
}

// restMessages are what lines that were never started say (OpenAI's sentence for an expired batch).
var restMessages = map[Status]string{
	Expired:   "This request could not be executed before the completion window expired.",
	Cancelled: "This request was not executed because the batch was cancelled.",
}

// write streams lines into a new file; nil when there is nothing to write.
func (r *Runner) write(ctx context.Context, j *Job, name string, any bool, lines lineSource) (*File, error) {
	if !any {
		return nil, nil //nolint:nilnil // no lines, no file: the API shows null
	}
	now := At(r.Now())
	ttl := BatchFileTTL
	if j.OutputTTL > 0 {
		ttl = time.Duration(j.OutputTTL) * time.Second
	}
	f := &File{
		ProjectID: j.ProjectID, ID: NewID("file-"), Filename: fmt.Sprintf("%s_%s.jsonl", j.ID, name),
		Purpose: PurposeBatchOutput, Blob: fmt.Sprintf("out/%s/%d/%s", j.ID, j.Attempt, name), CreatedAt: now, ExpiresAt: now.Add(ttl),
	}
	var err error
	f.Bytes, err = r.Blobs.Put(ctx, f.Blob, &lineStream{from: lines})
	return f, err
}
