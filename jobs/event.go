package jobs

import (
	"encoding/json"
	"path"
	"strings"
)

// EventType names what happened: batch.completed, generation.failed, …
type EventType string

// Terminal tells whether the event ends its job; those are what a webhook without a filter gets.
func (t EventType) Terminal() bool {
	_, state, _ := strings.Cut(string(t), ".")
	return Status(state).Terminal()
}

// Wanted tells whether a receiver with these filters gets the event: batch.*, *, or the type itself.
func (t EventType) Wanted(filters []string) bool {
	if len(filters) == 0 {
		return t.Terminal()
	}
	for _, f := range filters {
		if ok, err := path.Match(f, string(t)); err == nil && ok {
			return true
		}
	}
	return false
}

// Event is a fact that happened. It never changes, and its body's bytes are frozen when it is written.
type Event struct {
	Position  int64 // place in commit order, from 1; given by the store
	ProjectID string
	ID        string // evt_…; the webhook-id of every delivery
	Type      EventType
	JobID     string
	Sequence  int64 // from 1 within its job
	CreatedAt Time
	Body      []byte
}

// EventLimits bound what an event carries.
type EventLimits struct {
	Bytes     int    // a longer body drops the object's result and says where to fetch it
	PublicURL string // where clients reach this server; result_url begins with it
}

type eventBody struct {
	ID          string     `json:"id"`
	Object      string     `json:"object"`
	Type        EventType  `json:"type"`
	Created     int64      `json:"created"`
	CreatedAt   int64      `json:"created_at"`
	EventID     string     `json:"event_id"`
	Sequence    int64      `json:"sequence"`
	Scope       cacheScope `json:"cache_scope_to_invalidate"`
	Status      Status     `json:"status,omitempty"`
	Model       string     `json:"model,omitempty"`
	Timestamp   int64      `json:"timestamp,omitempty"`
	ModelOutput *string    `json:"model_output,omitempty"`
	Omitted     bool       `json:"response_omitted,omitempty"`
	ResultURL   string     `json:"result_url,omitempty"`
	Data        eventData  `json:"data"`
}

type cacheScope struct {
	Scope string   `json:"scope"`
	Keys  []string `json:"keys"`
}

type eventData struct {
	ID     string          `json:"id"`
	Object json.RawMessage `json:"object"`
}

// NewEvent freezes what happened to a job: data.object is what polling answers at this moment. The job's Sequence
// counts it.
func NewEvent(s *Snapshot, typ EventType, now Time, limits EventLimits) Event {
	s.Sequence++
	e := Event{
		ProjectID: s.ProjectID, ID: NewID("evt_"), Type: typ, JobID: s.ID, Sequence: s.Sequence, CreatedAt: now,
	}
	e.Body = e.render(s, false, limits)
	if limits.Bytes > 0 && len(e.Body) > limits.Bytes {
		e.Body = e.render(s, true, limits)
	}
	return e
}

// render writes the body. An omitted result leaves an object without it; what remains is small by construction,
// since metadata and error texts are bounded where they enter.
func (e *Event) render(s *Snapshot, omit bool, limits EventLimits) []byte {
	b := eventBody{
		ID: e.ID, Object: "event", Type: e.Type, Created: e.CreatedAt.Unix(), CreatedAt: e.CreatedAt.Unix(),
		EventID: e.ID, Sequence: e.Sequence, Scope: cacheScope{"KEY", []string{s.ID}}, Data: eventData{ID: s.ID},
	}
	shown := *s
	if omit {
		shown.Result = nil
		shown.Errors = nil
		b.Omitted, b.ResultURL = true, limits.PublicURL+"/v1/jobs/"+s.ID
	}
	if s.Kind == KindGeneration {
		output := shown.ModelOutput()
		b.Status, b.Model, b.Timestamp, b.ModelOutput = s.Status, s.Model, e.CreatedAt.Unix(), &output
	}
	return spliceData(encode(b), shown.Object())
}

// spliceData places the object byte for byte at data.object, the last value of the body.
func spliceData(body, object []byte) []byte {
	head := strings.TrimSuffix(string(body), "null}}")
	out := make([]byte, 0, len(head)+len(object)+2)
	return append(append(append(out, head...), object...), "}}"...)
}
