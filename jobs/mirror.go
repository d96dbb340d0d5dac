package jobs

import (
	"encoding/json"
	"strings"

	"github.com/ringback/ringback/providers"
)

// mostLogged bounds how many entries of its provider's log a job takes over.
const mostLogged = 10_000

// mirror turns the provider's events into the job's own: they name this job and its files. What this job's log says
// already, in the same words, is left out, and so is what comes when it is full.
func (j *Job) mirror(events []providers.TuningEvent, now Time) (log []TuningEvent) {
	for _, e := range events {
		message := j.ownIDs(e.Message)
		if strings.HasPrefix(message, "Created fine-tuning job") || strings.HasPrefix(message, "Validating training file") ||
			strings.HasPrefix(message, "Files validated") {
			continue
		}
		if j.Remote.Logged++; j.Remote.Logged > mostLogged {
			if j.Remote.Logged == mostLogged+1 {
				log = append(log, j.note("warn", now, "The provider's log goes on; it is kept up to here, %d entries", mostLogged))
			}
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
