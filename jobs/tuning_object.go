package jobs

import (
	"cmp"
	"encoding/json"
)

type tuningObject struct {
	ID              string          `json:"id"`
	Object          string          `json:"object"`
	CreatedAt       int64           `json:"created_at"`
	Error           json.RawMessage `json:"error"`
	FineTunedModel  *string         `json:"fine_tuned_model"`
	FinishedAt      *int64          `json:"finished_at"`
	Hyperparameters json.RawMessage `json:"hyperparameters"`
	Model           string          `json:"model"`
	OrganizationID  string          `json:"organization_id"`
	ResultFiles     []string        `json:"result_files"`
	Status          Status          `json:"status"`
	TrainedTokens   *int64          `json:"trained_tokens"`
	TrainingFile    string          `json:"training_file"`
	ValidationFile  *string         `json:"validation_file"`
	Seed            int64           `json:"seed"`
	EstimatedFinish *int64          `json:"estimated_finish"`
	Integrations    json.RawMessage `json:"integrations"`
	Method          json.RawMessage `json:"method,omitempty"`
	Suffix          *string         `json:"user_provided_suffix"`
	Progress        tuningProgress  `json:"progress"`
	ETA             *int64          `json:"eta"`
	BlockedBy       *blockedObject  `json:"blocked_by"`
	RunAt           *int64          `json:"run_at"`
	Priority        Priority        `json:"priority"`
	Metadata        json.RawMessage `json:"metadata"`
	Webhook         json.RawMessage `json:"webhook"`
	WebhookIDs      Texts           `json:"webhook_ids"`
}

// tuningProgress says how far it is. The metrics are the provider's own, of the last step.
type tuningProgress struct {
	Step    int64           `json:"step"`
	Steps   *int64          `json:"total_steps"` // null until known
	Metrics json.RawMessage `json:"metrics"`
}

// tuning is the fine-tuning as OpenAI shows it, with Ringback's own fields beside.
func (s *Snapshot) tuning() []byte {
	t := cmp.Or(s.Tuning, &Tuning{})
	o := tuningObject{
		ID: s.ID, Object: "fine_tuning.job", CreatedAt: s.CreatedAt.Unix(), Error: s.Errors,
		FineTunedModel: orNull(t.Model), Hyperparameters: t.Hyperparameters, Model: s.Model, OrganizationID: s.ProjectID,
		ResultFiles: append([]string{}, t.ResultFiles...), Status: s.Status, TrainingFile: s.InputFileID,
		ValidationFile: orNull(s.ValidationFileID), Seed: t.Seed, Integrations: t.Integrations, Method: t.Method,
		Suffix: orNull(t.Suffix), Progress: tuningProgress{Step: s.Completed, Metrics: t.Metrics},
		ETA: s.eta(), BlockedBy: s.blocked(), RunAt: s.RunAt.unix(), Priority: s.Priority,
		Metadata: s.Metadata, Webhook: s.Webhook, WebhookIDs: s.webhookIDs(),
	}
	if len(o.Hyperparameters) == 0 {
		o.Hyperparameters = json.RawMessage(`{"batch_size":"auto","learning_rate_multiplier":"auto","n_epochs":"auto"}`)
	}
	if s.Status.Terminal() {
		o.FinishedAt = s.EndedAt.unix()
	} else if t.EstimatedFinish > 0 {
		o.EstimatedFinish = &t.EstimatedFinish
	}
	if t.TrainedTokens > 0 {
		o.TrainedTokens = &t.TrainedTokens
	}
	if s.Total > 0 {
		o.Progress.Steps = &s.Total
	}
	return encode(o)
}

type tuningEventObject struct {
	Object    string          `json:"object"`
	ID        string          `json:"id"`
	CreatedAt int64           `json:"created_at"`
	Level     string          `json:"level"`
	Message   string          `json:"message"`
	Type      string          `json:"type"`
	Data      json.RawMessage `json:"data"`
}

// Object is the entry as the API shows it.
func (e *TuningEvent) Object() []byte {
	return encode(tuningEventObject{
		Object: "fine_tuning.job.event", ID: e.ID, CreatedAt: e.CreatedAt.Unix(), Level: e.Level, Message: e.Message,
		Type: e.Type, Data: e.Data,
	})
}

type checkpointObject struct {
	ID        string          `json:"id"`
	Object    string          `json:"object"`
	CreatedAt int64           `json:"created_at"`
	Model     string          `json:"fine_tuned_model_checkpoint"`
	JobID     string          `json:"fine_tuning_job_id"`
	Step      int64           `json:"step_number"`
	Metrics   json.RawMessage `json:"metrics"`
}

// Object is the checkpoint as the API shows it.
func (c *Checkpoint) Object() []byte {
	return encode(checkpointObject{
		ID: c.ID, Object: "fine_tuning.job.checkpoint", CreatedAt: c.CreatedAt.Unix(), Model: c.Model, JobID: c.JobID,
		Step: c.Step, Metrics: c.Metrics,
	})
}
