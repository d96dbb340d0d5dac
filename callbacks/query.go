package callbacks

import "github.com/ringback/ringback/jobs"

// DeliveryFilter picks deliveries of a project. Empty fields pick all.
type DeliveryFilter struct {
	ProjectID    string
	State        State
	EndpointID   string
	EventType    jobs.EventType
	JobID        string
	EventID      string
	Since        jobs.Time // created at or after
	Until        jobs.Time // created before
	NeverArrived bool      // those that ended without having arrived: failed and cancelled
}

// DeliveryQuery asks for a page of deliveries, newest first.
type DeliveryQuery struct {
	DeliveryFilter
	After string // ID of the last one seen
	Limit int
}

// ReplayQuery asks for events to be sent to an endpoint again: those that it subscribes to, in a span of time.
type ReplayQuery struct {
	Since, Until jobs.Time // created from Since until before Until; zero: no bound on that side
	Missing      bool      // only those that this endpoint has never accepted
}

// TestResult says how a test fire went.
type TestResult struct {
	Object     string         `json:"object"` // "webhook_endpoint.test"
	EndpointID string         `json:"webhook_endpoint_id"`
	EventType  jobs.EventType `json:"event_type"`
	StatusCode int            `json:"status_code"` // zero when no answer came
	Success    bool           `json:"success"`
	Attempt    AttemptObject  `json:"attempt"`
}
