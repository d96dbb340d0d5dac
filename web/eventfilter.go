package web

import (
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// readTypes reads filters as of webhooks: types=batch.*,generation.failed. One that names no known type would wait in
// silence, so it is refused.
func readTypes(c *gin.Context) ([]string, error) {
	var filters []string
	known := callbacks.EventTypes()
	for _, filter := range strings.FieldsFunc(strings.Join(c.QueryArray("types"), ","), func(r rune) bool { return r == ',' }) {
		if !slices.ContainsFunc(known, func(t string) bool { return jobs.EventType(t).Matches(filter) }) {
			return nil, jobs.Errorf(jobs.CodeValue, "types", "'types' holds an unknown type; known are %s, a family as batch.*, and *, with commas between them, but got '%s'.", strings.Join(known, ", "), filter)
		}
		filters = append(filters, filter)
	}
	return filters, nil
}

// checkDelivered refuses a type that no delivery is of: nothing would be found, and that looks like good news.
func checkDelivered(typ jobs.EventType) error {
	known := append(callbacks.EventTypes(), string(callbacks.EventTest))
	if typ == "" || slices.Contains(known, string(typ)) {
		return nil
	}
	return jobs.Errorf(jobs.CodeValue, "event_type", "'event_type' is an unknown type; known are %s, but got '%s'.", strings.Join(known, ", "), typ)
}
