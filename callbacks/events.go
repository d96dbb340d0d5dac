package callbacks

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/ringback/ringback/jobs"
)

// EventTypes are all that can be subscribed to: what happens to jobs and files, and to callbacks themselves. A filter for
// anything else would wait in silence, so it is refused.
func EventTypes() []string {
	var known []string
	for _, t := range jobs.EventTypes() {
		known = append(known, string(t))
	}
	return append(known, string(EventEndpointDisabled), string(EventEndpointRecovered), string(EventDeliveryExhausted))
}

// jobEventTypes are those that a submission's own receiver can get: what happens to its job.
func jobEventTypes() []string {
	return slices.DeleteFunc(EventTypes(), func(t string) bool {
		return strings.HasPrefix(t, "file.") || strings.HasPrefix(t, "endpoint.") || strings.HasPrefix(t, "delivery.")
	})
}

// setEvents takes known types, a family's wildcard ("batch.*") and "*".
func setEvents(w *jobs.Webhook, raw json.RawMessage) error {
	var filters []string
	if err := decode("events", "a list of strings", raw, &filters); err != nil {
		return err
	}
	sorted, err := eventFilters("webhook.events", filters, jobEventTypes())
	w.Events = sorted
	return err
}

// eventFilters checks filters, sorts them and drops repeated ones.
func eventFilters(param string, filters, known []string) ([]string, error) {
	for _, filter := range filters {
		if !isFilter(filter, known) {
			return nil, jobs.Errorf(jobs.CodeValue, param,
				"%s holds an unknown type; known are %s, a family as batch.*, and *.", param, strings.Join(known, ", "))
		}
	}
	sorted := slices.Clone(filters)
	slices.Sort(sorted)
	return slices.Compact(sorted), nil
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
