package callbacks

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/ringback/ringback/jobs"
)

// knownEvents are the events that jobs fire. A filter for anything else would wait in silence, so it is refused.
func knownEvents() []string {
	return []string{
		"batch.completed", "batch.failed", "batch.expired", "batch.cancelled",
		"generation.completed", "generation.failed", "generation.cancelled",
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
