package callbacks

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/ringback/ringback/callbacks/signature"
	"github.com/ringback/ringback/jobs"
)

// Endpoint is a registered receiver as everybody may see it. What only a POST needs stands sealed beside it (Target).
type Endpoint struct {
	ProjectID   string
	ID          string // UUID v4
	Name        string
	Description string
	URL         string     // as people see it: the values of its query hidden
	HeaderNames jobs.Texts // of the headers that go with each callback; their values are sealed
	EventTypes  jobs.Texts // filters: batch.completed, batch.*, *
	Models      jobs.Texts // patterns: only events of jobs of these models; none for all
	IsActive    bool
	Disabled    string   // why it is not active; empty where its owner switched it off
	Timeout     int64    // milliseconds of one attempt; zero for the setting's
	Schedule    Schedule // none for the setting's
	SecretHint  string   // the last characters of the newest secret
	Sequence    int64    // events about it so far

	LastSuccessAt jobs.Time
	LastFailureAt jobs.Time
	FailingSince  jobs.Time // the first failure since the last success; zero while it works
	Failures      int       // in a row

	CreatedAt jobs.Time
	ChangedAt jobs.Time
	DeletedAt jobs.Time
}

// Ref names the endpoint.
func (e *Endpoint) Ref() jobs.Ref { return jobs.Ref{ProjectID: e.ProjectID, ID: e.ID} }

// IsEndpointID tells an endpoint's ID, and with it the gate of an endpoint, from that of a host.
func IsEndpointID(id string) bool { return uuid.Validate(id) == nil }

// Target is what an endpoint keeps sealed. It is read at each attempt, so that mending an endpoint mends its backlog.
type Target struct {
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
	Secrets Secrets           `json:"secrets"`
}

// Registered is an endpoint with all that belongs to it.
type Registered struct {
	Endpoint
	Target Target
}

// Receiver is all that a POST needs to know of who gets it, as it stood when the delivery was claimed.
type Receiver struct {
	URL      string
	Method   string
	Headers  map[string]string
	Timeout  time.Duration // of one attempt; zero for the setting's
	Schedule Schedule      // none for the setting's
	Keys     signature.Keys
}

// Schedule is the wait before each attempt, the first before the first; its length is their number. A row keeps it as
// JSON, ["0s","5m0s"].
type Schedule []time.Duration

// GormDataType names the column's type to the store's mapper, which cannot tell it from an empty list.
func (Schedule) GormDataType() string { return "string" }

// Value is what the row keeps (database/sql).
func (s Schedule) Value() (driver.Value, error) {
	if len(s) == 0 {
		return nil, nil
	}
	return string(plain(s.texts())), nil
}

// Scan reads what Value wrote (database/sql).
func (s *Schedule) Scan(kept any) error {
	var texts jobs.Texts
	if err := texts.Scan(kept); err != nil {
		return err
	}
	*s = nil
	for _, text := range texts {
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("callbacks: a schedule cannot be read: %w", err)
		}
		*s = append(*s, d)
	}
	return nil
}

func (s Schedule) texts() []string {
	texts := make([]string, len(s))
	for i, d := range s {
		texts[i] = short(d)
	}
	return texts
}

// MarshalJSON writes durations as people do: ["0s","5m"].
func (s Schedule) MarshalJSON() ([]byte, error) { return json.Marshal(s.texts()) }
