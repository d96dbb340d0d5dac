package jobs

import (
	"context"
	"encoding/json"
)

// NewTuning is a client's wish for a fine-tuning.
type NewTuning struct {
	Submission
	Model            string
	TrainingFileID   string
	ValidationFileID string
	Suffix           string
	Seed             int64
	Method           json.RawMessage // as it came; nil for none
	Hyperparameters  json.RawMessage
	Integrations     json.RawMessage
	Body             []byte // the submission as it came, without Ringback's own keys
}

// PurposeFineTune is the purpose of files that models are trained with, PurposeTuningResult of what comes out.
const (
	PurposeFineTune     = "fine-tune"
	PurposeTuningResult = "fine-tune-results"
)

// CreateTuning accepts a fine-tuning. Its files must be there; what stands in them is looked at later: a bad line makes
// it failed, with the reason in error, as OpenAI does it.
func (s *Service) CreateTuning(ctx context.Context, n NewTuning) (Snapshot, error) {
	if err := s.Records.Replayed(ctx, n.ProjectID, n.Idempotency); err != nil {
		return Snapshot{}, err
	}
	if err := s.checkTuning(ctx, &n); err != nil {
		return Snapshot{}, err
	}
	j := n.job(KindTuning, NewID("ftjob-"), ValidatingFiles, s.now())
	j.Model, j.InputFileID, j.ValidationFileID = n.Model, n.TrainingFileID, n.ValidationFileID
	j.Tuning = &Tuning{
		Suffix: n.Suffix, Seed: n.Seed, Method: n.Method, Hyperparameters: n.Hyperparameters, Integrations: n.Integrations,
	}
	validating := "Validating training file: " + j.InputFileID
	if j.ValidationFileID != "" {
		validating += " and validation file: " + j.ValidationFileID
	}
	return s.create(ctx, NewJob{
		Job: j, Webhook: n.Webhook, Body: n.Body, Events: []EventType{TuningCreated}, Idempotency: n.Idempotency,
		Log: []TuningEvent{
			j.note("info", j.CreatedAt, "Created fine-tuning job: %s", j.ID), j.note("info", j.CreatedAt, "%s", validating),
		},
	})
}

func (s *Service) checkTuning(ctx context.Context, n *NewTuning) error {
	if err := s.checkModel(ctx, n.ProjectID, n.Model); err != nil {
		return err
	}
	if n.TrainingFileID == "" {
		return Errorf(CodeMissing, "training_file", "Missing required parameter: 'training_file'.")
	}
	if err := s.checkTrainingFile(ctx, n.ProjectID, "training_file", n.TrainingFileID); err != nil || n.ValidationFileID == "" {
		return err
	}
	return s.checkTrainingFile(ctx, n.ProjectID, "validation_file", n.ValidationFileID)
}

func (s *Service) checkTrainingFile(ctx context.Context, project, param, id string) error {
	if err := checkName(param, id); err != nil {
		return err
	}
	f, err := s.Records.File(ctx, Ref{project, id})
	if IsCode(err, CodeNotFound) {
		return Errorf(CodeInvalid, param, "Invalid '%s': there is no file '%s'. Upload it with purpose 'fine-tune' first.", param, shorten(id))
	}
	if err == nil && f.Purpose != PurposeFineTune {
		return Errorf(CodeInvalid, param, "Invalid '%s': the file '%s' was uploaded with purpose '%s'; upload it with purpose 'fine-tune'.", param, id, f.Purpose)
	}
	return err
}

// PauseTuning stops a fine-tuning until ResumeTuning.
func (s *Service) PauseTuning(ctx context.Context, ref Ref) (Snapshot, error) {
	now := s.now()
	return s.command(ctx, ref, func(j *Job) (Effects, error) { return j.pause(now) })
}

// ResumeTuning goes on with a paused fine-tuning.
func (s *Service) ResumeTuning(ctx context.Context, ref Ref) (Snapshot, error) {
	now := s.now()
	return s.command(ctx, ref, func(j *Job) (Effects, error) { return j.resume(now) })
}

// command moves a job on a client's behalf, and wakes who has work with it then.
func (s *Service) command(ctx context.Context, ref Ref, move func(*Job) (Effects, error)) (Snapshot, error) {
	snapshot, woken, err := s.Records.Move(ctx, ref, move)
	if err != nil {
		return snapshot, err
	}
	woken.Pass(ctx, s.Waker)
	s.Watchers.Ring(ref)
	return snapshot, nil
}
