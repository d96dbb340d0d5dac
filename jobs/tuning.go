package jobs

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"

	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/rawjson"
)

// Tuning are a fine-tuning's own facts, beside what every job has. The job's Model is the one it begins with, its
// InputFileID the training file.
type Tuning struct {
	Suffix          string          `json:"suffix,omitempty"`
	Seed            int64           `json:"seed"`
	Method          json.RawMessage `json:"method,omitempty"`
	Hyperparameters json.RawMessage `json:"hyperparameters,omitempty"`
	Integrations    json.RawMessage `json:"integrations,omitempty"`

	Model           string          `json:"model,omitempty"` // the new one
	TrainedTokens   int64           `json:"trained_tokens,omitempty"`
	ResultFiles     []string        `json:"result_files,omitempty"`     // IDs of ours
	EstimatedFinish int64           `json:"estimated_finish,omitempty"` // Unix seconds, as the provider says
	Metrics         json.RawMessage `json:"metrics,omitempty"`          // of the last step
	Wish            TuningWish      `json:"wish,omitempty"`             // what the provider has still to be told
}

// TuningWish is what a client wants of a fine-tuning that runs at its provider.
type TuningWish string

// The wishes.
const (
	WishPause  TuningWish = "pause"
	WishResume TuningWish = "resume"
)

// GormDataType is the kind of column (GORM).
func (*Tuning) GormDataType() string { return "string" }

// Value is what the row keeps (database/sql).
func (t *Tuning) Value() (driver.Value, error) {
	if t == nil {
		return nil, nil
	}
	return asColumn(t)
}

// Scan reads what Value wrote (database/sql).
func (t *Tuning) Scan(kept any) error {
	*t = Tuning{}
	return fromColumn(kept, t)
}

func (t *Tuning) eta() Time {
	if t == nil {
		return 0
	}
	return Time(t.EstimatedFinish * 1000)
}

// TuningEvent is one entry of a fine-tuning's own log, as OpenAI has it. It is not an Event: nobody is called for it.
type TuningEvent struct {
	Position  int64 `gorm:"primaryKey;autoIncrement"`
	ProjectID string
	ID        string // ftevent-…
	JobID     string
	RemoteID  string // the provider's; empty for our own. One is kept once
	CreatedAt Time
	Level     string // info, warn or error
	Message   string
	Type      string // message or metrics
	Data      json.RawMessage
}

// Checkpoint is a state of the model in mid-training.
type Checkpoint struct {
	ProjectID string
	ID        string // ftckpt_…
	JobID     string
	CreatedAt Time
	Model     string
	Step      int64
	Metrics   json.RawMessage
}

// Model is one that a fine-tuning has made.
type Model struct {
	ProjectID string
	ID        string // its name, as calls say it
	Provider  string // where it is
	JobID     string
	CreatedAt Time
	DeletedAt Time
}

// note is an entry of our own. What it quotes, a provider's words or a client's file, may hold any character.
func (j *Job) note(level string, now Time, format string, args ...any) TuningEvent {
	return TuningEvent{
		ProjectID: j.ProjectID, ID: NewID("ftevent-"), JobID: j.ID, CreatedAt: now, Level: level,
		Message: rawjson.Stored(fmt.Sprintf(format, args...)), Type: "message",
	}
}

// filesValidated moves on a fine-tuning whose files are sound.
func (j *Job) filesValidated(now Time) (Effects, error) {
	if j.Status != ValidatingFiles {
		return Effects{}, ErrStale
	}
	j.Status, j.Claims = Queued, 0
	j.Due(now)
	return Effects{Log: []TuningEvent{j.note("info", now, "Files validated, moving job to queued state")}}, nil
}

// tuningFailed ends a fine-tuning with the reason, which is its error in the API.
func (j *Job) tuningFailed(why tuningError, now Time) (Effects, error) {
	if j.Status.Terminal() {
		return Effects{}, ErrStale
	}
	j.Errors = encode(why)
	fx := Effects{Log: []TuningEvent{j.note("error", now, "The job failed: %s", why.Message)}}
	fx.Events = []EventType{j.end(Failed, now)}
	return fx, nil
}

// stopTuning fails a fine-tuning of which its provider has not said that it ended: it is stopped there too.
func (j *Job) stopTuning(why tuningError, now Time) (Effects, error) {
	fx, err := j.tuningFailed(why, now)
	if err == nil {
		j.stopRemote(now)
	}
	return fx, err
}

// stopRemote makes work of what a job that has ended here has, or may have, at its provider.
func (j *Job) stopRemote(now Time) {
	if j.mayBeRemote() {
		j.Remote.Looks = 0
		j.Due(now)
	}
}

// cancelTuning ends it here at once. What it has, or may have, at its provider is stopped by the work that is due then.
func (j *Job) cancelTuning(now Time) (Effects, error) {
	typ := j.end(Cancelled, now)
	j.stopRemote(now)
	return Effects{Events: []EventType{typ}, Log: []TuningEvent{j.note("info", now, "Fine-tuning job cancelled")}}, nil
}

// pause stops a fine-tuning until resume. One that is at its provider already, or may be, is paused there by the work
// that is due then. Who holds it right now keeps it: a step that is under way is not begun a second time beside itself.
func (j *Job) pause(now Time) (Effects, error) {
	switch j.Status {
	case Paused:
		return Effects{}, nil
	case Queued, Running:
	default:
		return Effects{}, Errorf(CodeInvalid, "", "Only a fine-tuning job that is queued or running can be paused; %s is '%s'.", j.ID, j.Status)
	}
	j.Status = Paused
	j.unblock()
	if j.mayBeRemote() {
		j.Tuning.Wish = WishPause
	}
	switch {
	case j.Owner != "":
	case j.mayBeRemote():
		j.Due(now)
	default:
		j.Rest()
	}
	return Effects{Log: []TuningEvent{j.note("info", now, "Fine-tuning job paused")}}, nil
}

// mayBeRemote tells whether the job is at its provider, or an attempt to create it there has no known outcome.
func (j *Job) mayBeRemote() bool { return j.Remote.Job != "" || j.Remote.Making == MakingJob }

// resume goes on with a paused fine-tuning: it is queued until its provider says that it runs.
func (j *Job) resume(now Time) (Effects, error) {
	switch j.Status {
	case Paused:
	case Queued, Running:
		return Effects{}, nil
	default:
		return Effects{}, Errorf(CodeInvalid, "", "Only a paused fine-tuning job can be resumed; %s is '%s'.", j.ID, j.Status)
	}
	j.Status, j.Tuning.Wish = Queued, ""
	if j.Remote.Job != "" {
		j.Tuning.Wish = WishResume
	}
	if j.Owner == "" {
		j.Due(max(now, j.RunAt))
	}
	return Effects{Log: []TuningEvent{j.note("info", now, "Fine-tuning job resumed")}}, nil
}

// tuningError is why a fine-tuning failed, as OpenAI's object shows it.
type tuningError struct {
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Param   *string `json:"param"`
}

// providerError is what the provider itself said, where it said something; else our own sentence.
func providerError(failed *providers.Error) tuningError {
	e := tuningError{Code: string(failed.Kind), Message: failed.Message}
	if failed.Answer == nil {
		return e
	}
	said := struct {
		Error struct{ Message, Code string }
	}{}
	if json.Unmarshal(failed.Answer.Body, &said) == nil && said.Error.Message != "" {
		e.Message = shorten(said.Error.Message)
	}
	return e
}
