package jobs

import (
	"encoding/json"
	"strings"
)

// Scope says which cached things an event makes stale.
type Scope string

// The scopes of cache_scope_to_invalidate.
const (
	ScopeKey        Scope = "KEY"        // one object changed
	ScopeCollection Scope = "COLLECTION" // a set changed
	ScopeNamespace  Scope = "NAMESPACE"  // names have come or gone: a new model
)

// Fact is what an event says before it is written down.
type Fact struct {
	ProjectID string
	Type      EventType
	JobID     string // empty where the event is about no job
	Model     string // the job's model, where there is one: endpoints may filter by it
	SubjectID string // data.id: what it happened to
	Sequence  int64  // counts the subject's events, from 1
	Scope     Scope
	Keys      []string // of the cache scope; nil: the subject's ID
	Object    []byte   // data.object, byte for byte; JSON, and null for none
	At        Time
	Test      bool   // a test fire: the body carries "test": true
	Trace     string // its job's
}

// Event writes the fact down: a new ID, and a body whose bytes no longer change. The store gives its Position.
func (f Fact) Event() Event { return f.freeze(jobFields{}) }

// eventBody is what a receiver gets. data comes last, so that its object can be put in byte for byte.
type eventBody struct {
	ID        string     `json:"id"`
	Object    string     `json:"object"`
	Type      EventType  `json:"type"`
	Created   int64      `json:"created"`
	CreatedAt int64      `json:"created_at"`
	EventID   string     `json:"event_id"`
	Sequence  int64      `json:"sequence"`
	Scope     cacheScope `json:"cache_scope_to_invalidate"`
	Test      bool       `json:"test,omitempty"`
	jobFields
	Data eventData `json:"data"`
}

// jobFields are what only jobs' events carry beside their object: all but the last two are the generations'.
type jobFields struct {
	Status      Status  `json:"status,omitempty"`
	Model       string  `json:"model,omitempty"`
	Timestamp   int64   `json:"timestamp,omitempty"`
	ModelOutput *string `json:"model_output,omitempty"` // nil for other kinds
	Omitted     bool    `json:"response_omitted,omitempty"`
	ResultURL   string  `json:"result_url,omitempty"`
}

type cacheScope struct {
	Scope Scope    `json:"scope"`
	Keys  []string `json:"keys"`
}

type eventData struct {
	ID     string          `json:"id"`
	Object json.RawMessage `json:"object"`
}

func (f Fact) freeze(also jobFields) Event {
	e := Event{
		ProjectID: f.ProjectID, ID: NewID("evt_"), Type: f.Type, JobID: f.JobID, Model: f.Model, Sequence: f.Sequence,
		CreatedAt: f.At, Trace: f.Trace,
	}
	keys := f.Keys
	if keys == nil {
		keys = []string{f.SubjectID}
	}
	e.Body = spliceData(encode(eventBody{
		ID: e.ID, Object: "event", Type: f.Type, Created: f.At.Unix(), CreatedAt: f.At.Unix(), EventID: e.ID,
		Sequence: f.Sequence, Scope: cacheScope{f.Scope, keys}, Test: f.Test, jobFields: also,
		Data: eventData{ID: f.SubjectID},
	}), f.Object)
	return e
}

// spliceData places the object byte for byte at data.object, the last value of the body.
func spliceData(body, object []byte) []byte {
	if len(object) == 0 {
		return body
	}
	head := strings.TrimSuffix(string(body), "null}}")
	out := make([]byte, 0, len(head)+len(object)+2)
	return append(append(append(out, head...), object...), "}}"...)
}
