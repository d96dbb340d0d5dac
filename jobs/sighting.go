package jobs

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers"
)

// sighting is what one look at a fine-tuning's provider found.
type sighting struct {
	provider    string
	now         providers.Tuning
	status      Status                  // of now, in our words; empty where it is none that is known
	events      []providers.TuningEvent // new ones, oldest first
	checkpoints []providers.TuningCheckpoint
	files       []File     // its result files, fetched
	missing     []string   // the parts that the provider did not give
	again       bool       // the job has ended there, and is looked at once more for what is missing
	wish        TuningWish // what the provider was told just now: its state may not show it yet
	refusal     string     // why it did not do so, if it said no
	untold      bool       // there is a wish, and the provider could not be told
}

// incomplete tells whether the job has ended at its provider, and not all that it left was there.
func (s *sighting) incomplete() bool {
	return s.status.Terminal() && (len(s.missing) > 0 || s.status == Succeeded && s.now.FineTunedModel == "")
}

// tuningStatus is a provider's state in our words; empty for one that is not known.
func tuningStatus(said string) Status {
	switch said := Status(strings.ToLower(said)); said {
	case Running, Paused, Succeeded, Failed, Cancelled:
		return said
	case Queued, ValidatingFiles, "pending":
		return Queued
	case "canceled":
		return Cancelled
	case "error", Expired:
		return Failed
	}
	return ""
}

// saw takes over what a look has found.
func (j *Job) saw(s *sighting, now Time) (Effects, error) {
	if j.Status.Terminal() {
		return Effects{}, ErrStale
	}
	fx := Effects{Log: j.mirror(s.events, now), Checkpoints: j.mirrorCheckpoints(s.checkpoints)}
	if n := len(s.events); n > 0 {
		j.Remote.LastEvent = s.events[n-1].ID
	}
	j.Tries, j.Claims, j.Remote.Denied = 0, 0, 0
	j.unblock()
	j.takeFigures(&s.now)
	stepped := j.takeSteps(s.events)
	switch {
	case s.again:
		j.Due(now.Add(time.Second << j.Remote.EndLooks))
		j.Remote.EndLooks++
		return fx, nil
	case s.status.Terminal():
		return fx.and(j.endedThere(s, now))
	case j.isOdd(s, now):
		return fx.and(j.stopTuning(oddState(s), now))
	}
	if note, ignored := j.told(s, now); ignored {
		fx.Log = append(fx.Log, note)
	}
	settled := j.Tuning.Wish == "" && (s.wish == "" || s.refusal != "")
	if settled && j.takeStatus(s.status, now) {
		fx.Events = append(fx.Events, TuningRunning)
	}
	if stepped && now >= j.ProgressAt.Add(progressPause) {
		j.ProgressAt = now
		fx.Events = append(fx.Events, TuningProgress)
	}
	j.Due(now.Add(j.untilNextLook(now)))
	return fx, nil
}

// and adds what ends the job.
func (fx Effects) and(end Effects, err error) (Effects, error) {
	fx.Events, fx.Log, fx.Files, fx.Model = end.Events, append(fx.Log, end.Log...), end.Files, end.Model
	return fx, err
}

// mostEndLooks is how often a job that has ended at its provider is looked at again for what is missing: over half a minute.
const mostEndLooks = 5

// endedThere ends the job as its provider says.
func (j *Job) endedThere(s *sighting, now Time) (fx Effects, err error) {
	switch {
	case s.status == Cancelled:
		fx.Events = []EventType{j.end(Cancelled, now)}
	case s.status == Failed:
		fx, err = j.tuningFailed(s.failure(j), now)
	case s.now.FineTunedModel == "":
		fx, err = j.tuningFailed(tuningError{
			Code: "no_model", Message: "The provider says that the job has succeeded, but names no model. Look for the model at the provider.",
		}, now)
	default:
		fx = j.tuned(s, now)
	}
	if len(s.missing) > 0 && err == nil {
		note := j.note("warn", now, "The provider did not give all that belongs to the job; what is missing: %s", strings.Join(s.missing, ", "))
		fx.Log = append(fx.Log, note)
	}
	return fx, err
}

// longestOddity is how long a job may be in a state that is not known, without any event.
const longestOddity = 24 * time.Hour

// isOdd tells whether nothing has been understood of the job for too long.
func (j *Job) isOdd(s *sighting, now Time) bool {
	switch {
	case s.status != "" || len(s.events) > 0:
		j.Remote.OddSince = 0
	case j.Remote.OddSince == 0:
		j.Remote.OddSince = now
	}
	return j.Remote.OddSince > 0 && now > j.Remote.OddSince.Add(longestOddity)
}

func oddState(s *sighting) tuningError {
	return tuningError{
		Code:    "unknown_status",
		Message: fmt.Sprintf("The provider has shown the job for more than a day in a state that is not known here: '%s'. It is stopped there.", shorten(s.now.Status)),
	}
}

// told takes over what has become of a wish, with an entry for the log where the provider has ignored it.
func (j *Job) told(s *sighting, now Time) (note TuningEvent, ignored bool) {
	if s.untold {
		j.Remote.Untold++
		return note, false
	}
	j.Remote.Untold = 0
	if j.Tuning.Wish == s.wish {
		j.Tuning.Wish = ""
	}
	if !j.ignored(s) {
		return note, false
	}
	return j.note("warn", now, "The provider did not %s the job: %s", s.wish, s.refusal), true
}

// failure is why the job failed at its provider.
func (s *sighting) failure(j *Job) tuningError {
	return tuningError{
		Code:    cmp.Or(shorten(s.now.ErrorCode), "provider_failed"),
		Message: cmp.Or(shorten(j.ownIDs(s.now.ErrorMessage)), "The provider says that the job has failed, and gives no reason."),
		Param:   orNull(shorten(s.now.ErrorParam)),
	}
}

// ignored tells whether the provider has refused a wish that its state does not fulfil anyway.
func (j *Job) ignored(s *sighting) bool {
	if s.refusal == "" || s.status == Paused && s.wish == WishPause {
		return false
	}
	return s.wish == WishPause || s.status == Paused
}

// tuned ends a fine-tuning with its model.
func (j *Job) tuned(s *sighting, now Time) (fx Effects) {
	j.Tuning.Model = s.now.FineTunedModel
	for _, f := range s.files {
		j.Tuning.ResultFiles = append(j.Tuning.ResultFiles, f.ID)
	}
	fx.Files = s.files
	fx.Model = &Model{ProjectID: j.ProjectID, ID: j.Tuning.Model, Provider: s.provider, JobID: j.ID, CreatedAt: now}
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
	case Queued:
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

// Bounds of the time between two looks at a fine-tuning.
const (
	firstLook = 500 * time.Millisecond
	longLook  = 30 * time.Second
)

// untilNextLook is a twentieth of the time that the job has been at its provider: its end is seen at most 5 % late, and
// a training of hours costs a look each half minute.
func (j *Job) untilNextLook(now Time) time.Duration {
	switch {
	case j.Remote.Untold > 0:
		return min(time.Second<<j.Remote.Untold, longLook)
	case j.Tuning != nil && j.Tuning.Wish != "":
		return 0
	case j.Status == Paused:
		return longLook
	}
	age := time.Duration(now-j.Remote.MadeAt) * time.Millisecond
	return min(max(age/20, firstLook), longLook)
}
