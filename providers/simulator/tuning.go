package simulator

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A tuning is the record of a fine-tuning job. What the job looks like at an
// instant follows from it and the clock alone, so nothing runs meanwhile; only
// pauses, the cancel and the deletion of its model are written down later.
type tuning struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	// Took is how long it runs; validation and the queue come before.
	Took time.Duration `json:"took"`

	Model        model           `json:"model"`
	Name         string          `json:"name"` // the tuned model's, known from the creation on
	Training     string          `json:"training"`
	Validation   string          `json:"validation,omitempty"`
	Suffix       string          `json:"suffix,omitempty"`
	Seed         int64           `json:"seed"`
	Epochs       int             `json:"epochs"`
	Hyper        json.RawMessage `json:"hyper"`
	Method       json.RawMessage `json:"method"`
	Integrations json.RawMessage `json:"integrations"`
	Metadata     json.RawMessage `json:"metadata"`

	// Lessons, Tokens and Fault were read from the files at the creation.
	Lessons lessons      `json:"lessons"`
	Tokens  int          `json:"tokens"`
	Fault   *tuningError `json:"fault,omitempty"`
	FailAt  int          `json:"fail_at,omitempty"` // a step; 0 is none

	Pauses       []pause   `json:"pauses,omitempty"`
	Cancelled    time.Time `json:"cancelled,omitzero"`
	Settled      bool      `json:"settled,omitempty"` // its result file is written
	ModelDeleted bool      `json:"model_deleted,omitempty"`
}

const tuningPrefix = "ftjob-"

// A tuningError is why a job failed.
type tuningError struct {
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Param   *string `json:"param"`
}

// shortID is eight hexadecimal digits that stand for the job in names.
func (t *tuning) shortID() string {
	return string(appendHex(nil, mix(hash(hashStart, t.ID)))[:8])
}

// tunedName is ft:{model}:{organization}:{suffix}:{id}.
func (t *tuning) tunedName() string {
	return fmt.Sprintf("%s%s:ringback:%s:%s", tunedPrefix, t.Model, slug(t.Suffix), t.shortID())
}

// slug makes a suffix fit for a model's name: lower case, and a hyphen for each
// run of other signs than letters, digits, dots and hyphens.
func slug(suffix string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(suffix) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return strings.Trim(b.String(), "-")
}

func (t *tuning) resultFile() string { return filePrefix + "result-" + t.shortID() }

// failure is why the job fails, if it does.
func (t *tuning) failure() *tuningError {
	if t.Fault == nil && t.FailAt > 0 {
		return &tuningError{Code: "training_failed", Message: "Training failed at step " + strconv.Itoa(t.FailAt) + "."}
	}
	return t.Fault
}

// A tuningObject is a fine-tuning job as the API shows it.
type tuningObject struct {
	ID              string          `json:"id"`
	Object          string          `json:"object"`
	CreatedAt       int64           `json:"created_at"`
	FinishedAt      *int64          `json:"finished_at"`
	EstimatedFinish *int64          `json:"estimated_finish"`
	Model           model           `json:"model"`
	FineTunedModel  *string         `json:"fine_tuned_model"`
	OrganizationID  string          `json:"organization_id"`
	Status          string          `json:"status"`
	Error           *tuningError    `json:"error"`
	TrainingFile    string          `json:"training_file"`
	ValidationFile  *string         `json:"validation_file"`
	ResultFiles     []string        `json:"result_files"`
	TrainedTokens   *int            `json:"trained_tokens"`
	Seed            int64           `json:"seed"`
	Suffix          *string         `json:"user_provided_suffix"`
	Hyperparameters json.RawMessage `json:"hyperparameters"`
	Method          json.RawMessage `json:"method"`
	Integrations    json.RawMessage `json:"integrations"`
	Metadata        json.RawMessage `json:"metadata"`
}

func (t *tuning) object(now time.Time) tuningObject {
	o := tuningObject{
		ID: t.ID, Object: "fine_tuning.job", CreatedAt: t.Created.Unix(), Model: t.Model,
		OrganizationID: "org-ringback", Status: t.status(now), TrainingFile: t.Training,
		ValidationFile: stringOrNil(t.Validation), ResultFiles: []string{}, Seed: t.Seed, Suffix: stringOrNil(t.Suffix),
		Hyperparameters: t.Hyper, Method: t.Method, Integrations: t.Integrations, Metadata: t.Metadata,
	}
	switch o.Status {
	case tuningSucceeded:
		name, tokens := t.Name, t.Tokens*t.Epochs
		o.FineTunedModel, o.TrainedTokens, o.ResultFiles = &name, &tokens, []string{t.resultFile()}
	case tuningFailed:
		o.Error = t.failure()
	case tuningQueued, tuningRunning:
		if end, known := t.end(); known {
			o.EstimatedFinish = unixOrNil(end.Add(time.Second - 1).Truncate(time.Second))
		}
	}
	if terminal(o.Status) {
		o.FinishedAt = unixOrNil(t.finished())
	}
	return o
}

func stringOrNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
