package jobs

import (
	"cmp"
	"context"
)

// BatchRetry is a client's wish to run again what an ended batch has not answered. What the client leaves out of model,
// completion window, metadata and priority is as it was in that batch; its receivers are not taken over, because a
// receiver's secret is sealed for the one job that named it.
type BatchRetry struct {
	Submission
	Model            string // for the requests that run again
	CompletionWindow string
}

// RetryBatch makes a new batch over an ended one's input. It takes the answers that there are over, and runs the other
// requests only; so its output file holds both. The ended batch stays as it is. A CodeConflict says why that cannot be.
func (s *Service) RetryBatch(ctx context.Context, ref Ref, n BatchRetry) (Snapshot, error) {
	if err := s.Records.Replayed(ctx, ref.ProjectID, n.Idempotency); err != nil {
		return Snapshot{}, err
	}
	old, err := s.Records.Job(ctx, ref)
	if err == nil {
		err = s.checkRetry(ctx, &old.Job)
	}
	if err != nil {
		return Snapshot{}, err
	}
	n.ProjectID, n.Priority = ref.ProjectID, cmp.Or(n.Priority, old.Priority)
	if n.Metadata == nil {
		n.Metadata = old.Metadata
	}
	j := n.job(KindBatch, NewID("batch_"), Validating, s.now())
	j.RetryOf, j.Path, j.InputFileID, j.OutputTTL = old.ID, old.Path, old.InputFileID, old.OutputTTL
	j.Model, j.CompletionWindow = cmp.Or(n.Model, old.Model), cmp.Or(n.CompletionWindow, old.CompletionWindow)
	if err := s.checkModel(ctx, j.ProjectID, j.Model); err != nil {
		return Snapshot{}, err
	}
	window, err := parseWindow(j.CompletionWindow)
	if err != nil {
		return Snapshot{}, err
	}
	j.ExpiresAt = j.DueAt.Add(window)
	return s.create(ctx, NewJob{Job: j, Webhook: n.Webhook, Events: []EventType{BatchCreated}, Idempotency: n.Idempotency})
}

// checkRetry tells why a batch cannot be retried.
func (s *Service) checkRetry(ctx context.Context, j *Job) error {
	switch {
	case j.Kind != KindBatch:
		return NotFound("No batch found with id '%s'.", j.ID)
	case !j.Status.Terminal():
		return Errorf(CodeConflict, "", "Cannot retry a batch with status '%s': wait until it has ended, or cancel it.", j.Status)
	case j.StartedAt == 0 && j.RetryOf != "":
		return Errorf(CodeConflict, "", "Cannot retry the batch '%s': it ended before any of its requests was run. Retry '%s' again, which has the answers.", j.ID, j.RetryOf)
	case j.StartedAt == 0:
		return Errorf(CodeConflict, "", "Cannot retry the batch '%s': it ended before any of its requests was run. Create a new batch instead.", j.ID)
	case j.ResultsGone:
		return ErrResultsGone(j.ID)
	case j.Completed >= j.Total:
		return Errorf(CodeConflict, "", "Cannot retry the batch '%s': all of its requests have succeeded, so nothing is left to retry.", j.ID)
	}
	_, err := s.Records.File(ctx, Ref{j.ProjectID, j.InputFileID})
	if IsCode(err, CodeNotFound) {
		return Errorf(CodeConflict, "", "Cannot retry the batch '%s': its input file '%s' was deleted or has expired. Create a new batch instead; the error file of this one can be its input.", j.ID, j.InputFileID)
	}
	return err
}

// takeOver copies the answers of the batch that is retried, and counts them. That batch has ended, so doing it again
// after a crash changes nothing. Their usage stays with the batch that paid for them.
func (r *Runner) takeOver(ctx context.Context, j Job) (copied int64, err error) {
	for after := int64(0); ; {
		last, n, err := r.Store.CopyLines(ctx, Ref{j.ProjectID, j.RetryOf}, j.Ref(), after)
		if err != nil || n == 0 {
			return copied, err
		}
		copied, after = copied+n, last
	}
}
