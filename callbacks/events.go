package callbacks

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/ringback/ringback/jobs"
)

// knownEvents are the events of jobs, which a webhook on a submission can ask for.
func knownEvents() []string {
	return []string{
		"batch.created", "batch.in_progress", "batch.progress",
		"batch.completed", "batch.failed", "batch.expired", "batch.cancelled",
		"fine_tuning.job.created", "fine_tuning.job.running", "fine_tuning.job.progress",
		"fine_tuning.job.succeeded", "fine_tuning.job.failed", "fine_tuning.job.cancelled",
		"generation.in_progress", "generation.progress",
		"generation.completed", "generation.failed", "generation.cancelled",
		"response.completed", "response.failed", "response.cancelled", "response.incomplete",
	}
}

// setEvents takes known types, a family's wildcard ("batch.*") and "*".
func setEvents(w *jobs.Webhook, raw json.RawMessage) error {
	if err := decode("events", "a list of strings", raw, &w.Events); err != nil {
		return err
	}
	known := knownEvents()
	for _, filter := range w.Events {
		if !isFilter(filter, known) {
			return jobs.Errorf(jobs.CodeValue, "webhook.events",
				"webhook.events holds an unknown type; known are %s, a family as batch.*, and *.", strings.Join(known, ", "))
		}
	}
	slices.Sort(w.Events)
	w.Events = slices.Compact(w.Events)
	return nil
}

func isFilter(filter string, known []string) bool {
	family, wild := strings.CutSuffix(filter, "*")
	if !wild {
		return slices.Contains(known, filter)
	}
	if family == "" {
		return true
	}
	return strings.HasSuffix(family, ".") && slices.ContainsFunc(known, func(t string) bool {
		return strings.HasPrefix(t, family)
	})
}
