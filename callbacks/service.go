package callbacks

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/ringback/ringback/jobs"
)

// Records is what a Service asks of the store.
type Records interface {
	// JobDeliveries gives a job's deliveries, oldest first, and all their attempts, oldest first.
	JobDeliveries(ctx context.Context, job jobs.Ref) ([]Delivery, []Attempt, error)
	// SigningSecret is the secret of a project's callbacks where their job names none.
	SigningSecret(ctx context.Context, project string) (string, error)
}

// ServiceOptions are the parts a Service works with.
type ServiceOptions struct {
	Records Records
	Rules   Rules
}

// Service is what clients can do and see of callbacks: the reads and checks behind the API.
type Service struct {
	ServiceOptions
}

// NewService makes a Service.
func NewService(o ServiceOptions) *Service { return &Service{o} }

// Parse reads a submission's webhook field by the Service's Rules; see ParseWebhook.
func (s *Service) Parse(raw json.RawMessage) (*jobs.Webhook, error) {
	return ParseWebhook(raw, s.Rules)
}

// Secret is the signing secret of a project.
func (s *Service) Secret(ctx context.Context, project string) (string, error) {
	return s.Records.SigningSecret(ctx, project)
}

// Deliveries are a job's deliveries with their attempts, oldest first.
func (s *Service) Deliveries(ctx context.Context, job jobs.Ref) ([]DeliveryObject, error) {
	deliveries, attempts, err := s.Records.JobDeliveries(ctx, job)
	if err != nil {
		return nil, err
	}
	of := map[string][]AttemptObject{}
	for i := range attempts {
		id := attempts[i].DeliveryID
		of[id] = append(of[id], attempts[i].object())
	}
	shown := make([]DeliveryObject, len(deliveries))
	for i := range deliveries {
		shown[i] = deliveries[i].object(of[deliveries[i].ID])
	}
	return shown, nil
}

// DeliveryObject is a delivery as the API shows it. Times are Unix seconds.
type DeliveryObject struct {
	ID            string          `json:"id"`
	Object        string          `json:"object"` // "delivery"
	EventID       string          `json:"event_id"`
	EventType     jobs.EventType  `json:"event_type"`
	JobID         string          `json:"job_id"`
	EndpointID    *string         `json:"endpoint_id"` // null: the submission's own webhook
	URL           string          `json:"url"`
	Status        State           `json:"status"`
	Reason        *string         `json:"reason"`
	Attempts      []AttemptObject `json:"attempts"`
	NextAttemptAt *int64          `json:"next_attempt_at"` // null unless it waits
	CreatedAt     int64           `json:"created_at"`
}

// AttemptObject is an attempt as the API shows it.
type AttemptObject struct {
	ID         string          `json:"id"`
	StartedAt  int64           `json:"started_at"`
	DurationMS int64           `json:"duration_ms"`
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
		ID: d.ID, Object: "delivery", EventID: d.EventID, EventType: d.EventType, JobID: d.JobID, URL: d.URL,
		Status: d.State, Reason: orNull(d.Reason), Attempts: attempts, CreatedAt: d.CreatedAt.Unix(),
	}
	if attempts == nil {
		o.Attempts = []AttemptObject{}
	}
	if d.State == Waiting {
		at := d.DueAt.Unix()
		o.NextAttemptAt = &at
	}
	return o
}

func (a *Attempt) object() AttemptObject {
	return AttemptObject{
		ID: a.ID, StartedAt: a.StartedAt.Unix(), DurationMS: a.DurationMS, StatusCode: orNull(a.StatusCode),
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
