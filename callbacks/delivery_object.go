package callbacks

import (
	"encoding/json"
	"strings"

	"github.com/ringback/ringback/jobs"
)

// DeliveryObject is a delivery as the API shows it. Times are Unix seconds.
type DeliveryObject struct {
	ID            string          `json:"id"`
	Object        string          `json:"object"` // "delivery"
	EventID       string          `json:"event_id"`
	EventType     jobs.EventType  `json:"event_type"`
	JobID         *string         `json:"job_id"`      // null: the event is about no job
	EndpointID    *string         `json:"endpoint_id"` // null: the submission's own webhook
	URL           string          `json:"url"`
	Status        State           `json:"status"`
	Reason        *string         `json:"reason"`
	Attempts      []AttemptObject `json:"attempts"`
	NextAttemptAt *int64          `json:"next_attempt_at"` // null unless it waits
	HeldSince     *int64          `json:"held_since"`      // since when its receiver is only probed; null unless it waits for that
	DeliveredAt   *int64          `json:"delivered_at"`    // when it first arrived
	CreatedAt     int64           `json:"created_at"`
}

// AttemptObject is an attempt as the API shows it.
type AttemptObject struct {
	ID         string          `json:"id"`
	StartedAt  int64           `json:"started_at"`
	DurationMS int64           `json:"duration_ms"`
	Request    json.RawMessage `json:"request"`     // {"method", "url", "headers", "bytes"}; null when nothing was sent
	StatusCode *int            `json:"status_code"` // null when no answer came
	ErrorClass *string         `json:"error_class"` // null for an ordinary answer
	Timings    json.RawMessage `json:"timings"`     // milliseconds
	Snippet    string          `json:"response_snippet"`
	Truncated  bool            `json:"response_truncated"` // the answer was longer than the snippet
	Rule       string          `json:"rule"`
	Manual     bool            `json:"manual"`
}

func (d *Delivery) object(attempts []AttemptObject) DeliveryObject {
	o := DeliveryObject{
		ID: d.ID, Object: "delivery", EventID: d.EventID, EventType: d.EventType, JobID: orNull(d.JobID),
		EndpointID: orNull(d.EndpointID), URL: d.URL,
		Status: d.State, Reason: orNull(d.Reason), Attempts: attempts, CreatedAt: d.CreatedAt.Unix(), DeliveredAt: seconds(d.DeliveredAt),
	}
	if attempts == nil {
		o.Attempts = []AttemptObject{}
	}
	if d.State == Waiting {
		at := d.DueAt.Unix()
		o.NextAttemptAt, o.HeldSince = &at, seconds(d.HeldSince)
	}
	return o
}

func (a *Attempt) object() AttemptObject {
	return AttemptObject{
		ID: a.ID, StartedAt: a.StartedAt.Unix(), DurationMS: a.DurationMS, Request: a.Request, StatusCode: orNull(a.StatusCode),
		ErrorClass: orNull(string(a.ErrorClass)), Timings: a.Timings,
		Snippet: strings.ToValidUTF8(string(a.Snippet), "\uFFFD"), Truncated: a.Truncated, Rule: a.Rule, Manual: a.Manual,
	}
}

// orNull is nil for zero: the API says null.
func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
