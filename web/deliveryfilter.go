package web

import (
	"maps"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// filterKeys pick deliveries, in a list's query and in a bulk retry's body alike.
func filterKeys() []string {
	return []string{
		"status", "endpoint_id", "event_type", "job_id", "event_id",
		"created_after", "created_before", "since", "until", "never_arrived",
	}
}

func deliveryStates() []string {
	return []string{
		string(callbacks.Waiting), string(callbacks.Sending), string(callbacks.Delivered),
		string(callbacks.Failed), string(callbacks.Cancelled),
	}
}

// checkQuery refuses a query that has another key than the known ones, as readFields does for a body: a misspelt filter
// that is dropped in silence would list everything.
func checkQuery(c *gin.Context, known ...string) error {
	for _, key := range slices.Sorted(maps.Keys(c.Request.URL.Query())) {
		if !slices.Contains(known, key) {
			name := strings.ToValidUTF8(key, "\uFFFD")
			return jobs.Errorf(codeUnknownField, name, "Unknown parameter: '%s'.", name)
		}
	}
	return nil
}

// queryFields reads a query's values as fields: all are strings, but for true and false. An empty one is absent.
func queryFields(c *gin.Context, keys ...string) fields {
	f := fields{members: map[string]gjson.Result{}}
	for _, key := range keys {
		switch text := c.Query(key); text {
		case "":
		case "true", "false":
			f.members[key] = gjson.Parse(text)
		default:
			f.members[key] = gjson.Result{Type: gjson.String, Str: text}
		}
	}
	return f
}

// readFilter reads filterKeys. since and until are other names of created_after and created_before.
func readFilter(f fields, project string) (filter callbacks.DeliveryFilter, err error) {
	filter.ProjectID = project
	for _, field := range []struct {
		key  string
		text *string
	}{
		{"status", (*string)(&filter.State)},
		{"endpoint_id", &filter.EndpointID},
		{"event_type", (*string)(&filter.EventType)},
		{"job_id", &filter.JobID},
		{"event_id", &filter.EventID},
	} {
		if *field.text, err = f.text(field.key); err != nil {
			return filter, err
		}
	}
	if err := checkDelivered(filter.EventType); err != nil {
		return filter, err
	}
	if states := deliveryStates(); filter.State != "" && !slices.Contains(states, string(filter.State)) {
		return filter, jobs.Errorf(jobs.CodeValue, "status", "Invalid value for 'status': '%s'. Supported values are: '%s'.", filter.State, strings.Join(states, "', '"))
	}
	if filter.NeverArrived, err = f.truth("never_arrived", false); err != nil {
		return filter, err
	}
	return filter, readCreated(f, &filter)
}

func readCreated(f fields, filter *callbacks.DeliveryFilter) (err error) {
	since, err := f.either("since", "created_after")
	if err != nil {
		return err
	}
	until, err := f.either("until", "created_before")
	if err != nil {
		return err
	}
	if filter.Since, err = f.instant(since); err != nil {
		return err
	}
	if filter.Until, err = f.instant(until); err != nil {
		return err
	}
	return checkSpan(since, filter.Since, until, filter.Until)
}

// either gives the one of two names that a field goes by here.
func (f fields) either(one, other string) (string, error) {
	switch {
	case !f.given(other):
		return one, nil
	case f.given(one):
		return "", jobs.Errorf(jobs.CodeValue, other, "'%s' and '%s' are two names of one parameter. Give one of them.", f.path+one, f.path+other)
	}
	return other, nil
}
