package jobs

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers"
)

// sighting is what one look at a fine-tuning's provider found.
type sighting struct {
	now         providers.Tuning
	events      []providers.TuningEvent // new ones, oldest first
	checkpoints []providers.TuningCheckpoint
	files       []File     // its result files, fetched
	wish        TuningWish // what the provider was told just before: its state may not show it yet
	refusal     string     // why it did not do so, if it said no
}

// saw takes over what a look has found.
func (j *Job) saw(s *sighting, provider string, now Time) (Effects, error) {
	if j.Status.Terminal() {
		return Effects{}, ErrStale
	}
	fx := Effects{Log: j.mirror(s.events), Checkpoints: j.mirrorCheckpoints(s.checkpoints)}
	if n := len(s.events); n > 0 {
		j.Remote.LastEvent = s.events[n-1].ID
	}
	if j.Tuning.Wish == s.wish {
		j.Tuning.Wish = ""
	}
	j.Tries, j.Claims = 0, 0
	j.unblock()
	j.takeFigures(&s.now)
	stepped := j.takeSteps(s.events)
	switch Status(s.now.Status) {
	case Succeeded:
		return j.tuned(s, provider, fx, now), nil
	case Failed:
		end, err := j.tuningFailed(s.failure(), now)
		fx.Events, fx.Log = end.Events, append(fx.Log, end.Log...)
		return fx, err
	case Cancelled:
		fx.Events = []EventType{j.end(Cancelled, now)}
		return fx, nil
	}
	if j.ignored(s) {
		fx.Log = append(fx.Log, j.note("warn", now, "The provider did not %s the job: %s", s.wish, s.refusal))
	}
	settled := j.Tuning.Wish == "" && (s.wish == "" || s.refusal != "")
	if settled && j.takeStatus(Status(s.now.Status), now) {
		fx.Events = append(fx.Events, TuningRunning)
	}
	if stepped && now >= j.ProgressAt.Add(progressPause) {
		j.ProgressAt = now
		fx.Events = append(fx.Events, TuningProgress)
	}
	j.Due(now.Add(j.untilNextLook(now)))
	return fx, nil
}

// failure is why the job failed at its provider.
func (s *sighting) failure() tuningError {
	return tuningError{
		Code:    cmp.Or(s.now.ErrorCode, "provider_failed"),
		Message: cmp.Or(shorten(s.now.ErrorMessage), "The provider says that the job has failed, and gives no reason."),
		Param:   orNull(s.now.ErrorParam),
	}
}

// ignored tells whether the provider has refused a wish that its state does not fulfil anyway.
func (j *Job) ignored(s *sighting) bool {
	if s.refusal == "" || s.now.Status == string(Paused) && s.wish == WishPause {
		return false
	}
	return s.wish == WishPause || s.now.Status == string(Paused)
}

// tuned ends a fine-tuning with its model.
func (j *Job) tuned(s *sighting, provider string, fx Effects, now Time) Effects {
	j.Tuning.Model = s.now.FineTunedModel
	for _, f := range s.files {
		j.Tuning.ResultFiles = append(j.Tuning.ResultFiles, f.ID)
	}
	fx.Files = s.files
	if j.Tuning.Model != "" {
		fx.Model = &Model{ProjectID: j.ProjectID, ID: j.Tuning.Model, Provider: provider, JobID: j.ID, CreatedAt: now}
	}
	fx.Events = []EventType{j.end(Succeeded, now)}
	return fx
}

// takeStatus takes over the provider's state, and tells whether the training has begun.
func (j *Job) takeStatus(s Status, now Time) (begun bool) {
	switch s {
	case Running:
		begun = j.StartedAt == 0
		if begun {
			j.StartedAt = now
		}
		j.Status = Running
	case Paused:
		j.Status = Paused
	case Queued, ValidatingFiles:
		j.Status = Queued
	}
	return begun
}

func (j *Job) takeFigures(t *providers.Tuning) {
	j.Tuning.TrainedTokens, j.Tuning.EstimatedFinish = t.TrainedTokens, t.EstimatedFinish
	if j.Tuning.Seed == 0 {
		j.Tuning.Seed = t.Seed
	}
	if len(t.Hyperparameters) > 0 {
		j.Tuning.Hyperparameters = t.Hyperparameters
	}
	if len(t.Method) > 0 {
		j.Tuning.Method = t.Method
	}
}

// takeSteps reads how far it is from the provider's metrics, and tells whether it has got further.
func (j *Job) takeSteps(events []providers.TuningEvent) (stepped bool) {
	for _, e := range events {
		if e.Type != "metrics" || len(e.Data) == 0 {
			continue
		}
		step := gjson.GetBytes(e.Data, "step").Int()
		if step <= j.Completed {
			continue
		}
		j.Completed, j.Tuning.Metrics, stepped = step, e.Data, true
		j.Total = max(j.Total, gjson.GetBytes(e.Data, "total_steps").Int())
	}
	return stepped
}

// mirror turns the provider's events into the job's own: they name this job and its files. What this job's log says
// already, in the same words, is left out.
func (j *Job) mirror(events []providers.TuningEvent) (log []TuningEvent) {
	for _, e := range events {
		message := j.ownIDs(e.Message)
		if strings.HasPrefix(message, "Created fine-tuning job") || strings.HasPrefix(message, "Validating training file") ||
			strings.HasPrefix(message, "Files validated") {
			continue
		}
		log = append(log, TuningEvent{
			ProjectID: j.ProjectID, ID: NewID("ftevent-"), JobID: j.ID, RemoteID: e.ID, CreatedAt: Time(e.CreatedAt * 1000),
			Level: e.Level, Message: message, Type: e.Type, Data: emptyAsNil(e.Data),
		})
	}
	return log
}

func (j *Job) mirrorCheckpoints(checkpoints []providers.TuningCheckpoint) (kept []Checkpoint) {
	for _, c := range checkpoints {
		kept = append(kept, Checkpoint{
			ProjectID: j.ProjectID, ID: NewID("ftckpt_"), JobID: j.ID, CreatedAt: Time(c.CreatedAt * 1000), Model: c.Model,
			Step: c.Step, Metrics: c.Metrics,
		})
	}
	return kept
}

// ownIDs puts our IDs in the place of the provider's.
func (j *Job) ownIDs(text string) string {
	for _, pair := range [][2]string{{j.Remote.Job, j.ID}, {j.Remote.TrainingFile, j.InputFileID}, {j.Remote.ValidationFile, j.ValidationFileID}} {
		if pair[0] != "" && pair[1] != "" {
			text = strings.ReplaceAll(text, pair[0], pair[1])
		}
	}
	return text
}

func emptyAsNil(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return nil
	}
	return raw
}

// Bounds of the time between two looks at a fine-tuning.
const (
	firstLook = 500 * time.Millisecond
	longLook  = 30 * time.Second
)

// untilNextLook is a twentieth of the time that the job has been at its provider: its end is seen at most 5 % late, and
// a training of hours costs a look each half minute.
func (j *Job) untilNextLook(now Time) time.Duration {
	switch {
	case j.Tuning != nil && j.Tuning.Wish != "":
		return 0
	case j.Status == Paused:
		return longLook
	}
	age := time.Duration(now-j.Remote.MadeAt) * time.Millisecond
	return min(max(age/20, firstLook), longLook)
}
