package jobs

import (
	"path"
	"strings"

	"github.com/ringback/ringback/providers"
)

// EventType names what happened: batch.completed, generation.failed, …
type EventType string

// The types that jobs and files fire.
//
// There is no file.updated, since a file never changes. A filter for a type that never fires would wait in silence, so
// such types are not known here until something fires them.
const (
	BatchCreated    EventType = "batch.created"
	BatchInProgress EventType = "batch.in_progress"
	BatchProgress   EventType = "batch.progress"
	BatchCompleted  EventType = "batch.completed"
	BatchFailed     EventType = "batch.failed"
	BatchExpired    EventType = "batch.expired"
	BatchCancelled  EventType = "batch.cancelled"

	GenerationInProgress EventType = "generation.in_progress"
	GenerationProgress   EventType = "generation.progress" // of a streamed call
	GenerationCompleted  EventType = "generation.completed"
	GenerationFailed     EventType = "generation.failed"
	GenerationCancelled  EventType = "generation.cancelled"

	ResponseCompleted  EventType = "response.completed"
	ResponseFailed     EventType = "response.failed"
	ResponseCancelled  EventType = "response.cancelled"
	ResponseIncomplete EventType = "response.incomplete"

	TuningCreated   EventType = "fine_tuning.job.created"
	TuningRunning   EventType = "fine_tuning.job.running"
	TuningProgress  EventType = "fine_tuning.job.progress"
	TuningSucceeded EventType = "fine_tuning.job.succeeded"
	TuningFailed    EventType = "fine_tuning.job.failed"
	TuningCancelled EventType = "fine_tuning.job.cancelled"

	FileCreated EventType = "file.created"
	FileDeleted EventType = "file.deleted" // by a client, or because its time had passed
)

// EventTypes are all types that jobs and files fire, in the order of their lives. The slice is the caller's.
func EventTypes() []EventType {
	return []EventType{
		BatchCreated, BatchInProgress, BatchProgress, BatchCompleted, BatchFailed, BatchExpired, BatchCancelled,
		GenerationInProgress, GenerationProgress, GenerationCompleted, GenerationFailed, GenerationCancelled,
		ResponseCompleted, ResponseFailed, ResponseCancelled, ResponseIncomplete,
		TuningCreated, TuningRunning, TuningProgress, TuningSucceeded, TuningFailed, TuningCancelled,
		FileCreated, FileDeleted,
	}
}

// Terminal tells whether the event ends its job; those are what a webhook without a filter gets. What happens to a file
// or an endpoint ends no job.
func (t EventType) Terminal() bool {
	at := strings.LastIndexByte(string(t), '.')
	if at < 0 || !Status(t[at+1:]).Terminal() {
		return false
	}
	switch t[:at] {
	case "batch", "generation", "response", "fine_tuning.job":
		return true
	}
	return false
}

// Matches tells whether a filter names the type: batch.*, *, or the type itself. A filter that is no pattern names none.
func (t EventType) Matches(filter string) bool {
	ok, err := path.Match(filter, string(t))
	return err == nil && ok
}

// Wanted tells whether a receiver with these filters gets the event. Without filters it gets the job's terminal ones.
func (t EventType) Wanted(filters []string) bool {
	if len(filters) == 0 {
		return t.Terminal()
	}
	for _, f := range filters {
		if t.Matches(f) {
			return true
		}
	}
	return false
}

// MatchModel tells whether a model is among those that a pattern names: '*' stands for any characters, '/' among them,
// and '?' for one byte. It is how providers name their models too.
func MatchModel(pattern, model string) bool { return providers.Match(pattern, model) }
