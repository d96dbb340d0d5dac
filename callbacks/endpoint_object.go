package callbacks

import (
	"encoding/json"

	"github.com/ringback/ringback/jobs"
)

// endpointObject is an endpoint as the API shows it: OpenAI's fields first, then Ringback's. Times are Unix seconds.
type endpointObject struct {
	ID          string            `json:"id"`
	Object      string            `json:"object"` // "webhook_endpoint"
	CreatedAt   int64             `json:"created_at"`
	UpdatedAt   int64             `json:"updated_at"`
	Name        string            `json:"name"`
	URL         string            `json:"url"` // the values of its query hidden
	EventTypes  []string          `json:"event_types"`
	Secret      string            `json:"signing_secret,omitempty"` // when it is made, and never again
	SecretHint  string            `json:"signing_secret_hint"`
	Description string            `json:"description"`
	Headers     map[string]string `json:"headers"` // values hidden
	Models      []string          `json:"models"`  // null: all
	IsActive    bool              `json:"is_active"`
	Disabled    *string           `json:"disabled_reason"` // null unless Ringback switched it off
	Timeout     *string           `json:"timeout"`         // null: the setting's
	Schedule    *Schedule         `json:"schedule"`        // null: the setting's
	Health      healthObject      `json:"health"`
}

type healthObject struct {
	Status        string `json:"status"` // "unknown", "healthy", "failing"
	LastSuccessAt *int64 `json:"last_success_at"`
	LastFailureAt *int64 `json:"last_failure_at"`
	FailingSince  *int64 `json:"failing_since"`
	Failures      int    `json:"consecutive_failures"`
}

// Object renders the endpoint. secret is shown when it was just made; empty otherwise.
func (e *Endpoint) Object(secret string) json.RawMessage {
	o := endpointObject{
		ID: e.ID, Object: "webhook_endpoint", CreatedAt: e.CreatedAt.Unix(), UpdatedAt: e.ChangedAt.Unix(), Name: e.Name,
		URL: e.URL, EventTypes: e.EventTypes, Secret: secret, SecretHint: e.SecretHint, Description: e.Description,
		Headers: map[string]string{}, Models: e.Models, IsActive: e.IsActive, Disabled: orNull(e.Disabled), Health: e.health(),
	}
	for _, name := range e.HeaderNames {
		o.Headers[name] = hidden
	}
	if e.Timeout > 0 {
		text := e.timeout().String()
		o.Timeout = &text
	}
	if len(e.Schedule) > 0 {
		o.Schedule = &e.Schedule
	}
	return plain(o)
}

func (e *Endpoint) health() healthObject {
	h := healthObject{
		Status: "unknown", LastSuccessAt: seconds(e.LastSuccessAt), LastFailureAt: seconds(e.LastFailureAt),
		FailingSince: seconds(e.FailingSince), Failures: e.Failures,
	}
	switch {
	case e.Failures > 0:
		h.Status = "failing"
	case e.LastSuccessAt > 0:
		h.Status = "healthy"
	}
	return h
}

// seconds is nil for never: the API says null.
func seconds(t jobs.Time) *int64 {
	if t == 0 {
		return nil
	}
	s := t.Unix()
	return &s
}

// hintOf is the end of a secret, by which its owner tells it from others.
func hintOf(secret string) string { return "…" + secret[max(0, len(secret)-4):] }
