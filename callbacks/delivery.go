// Package callbacks gets an event to its receivers: signed, safely, until accepted or given up.
//
// A delivery is one event owed to one receiver. It takes the five steps that a job takes: it is claimed (Store),
// acted on outside any transaction (Poster), decided on by a pure function (Policy), recorded in one transaction
// (Store), and what comes next is woken.
package callbacks

import (
	"encoding/json"
	"time"

	"github.com/ringback/ringback/jobs"
)

// State is where a delivery stands.
//
//	waiting → sending → delivered | waiting (again, later) | failed;  waiting → cancelled
type State string

// The states of deliveries.
const (
	Waiting   State = "waiting"
	Sending   State = "sending"
	Delivered State = "delivered"
	Failed    State = "failed" // given up: a dead letter, listed and retried by hand
	Cancelled State = "cancelled"
)

// Delivery is one event owed to one receiver.
type Delivery struct {
	ProjectID string
	ID        string // dlv_…
	EventID   string
	EventType jobs.EventType
	JobID     string
	WebhookID string // the one-off receiver that the submission named
	URL       string // as people see it: scheme, host and path; no query
	State     State
	Reason    string // why it ended, or why it waits; a Class or the receiver's own wish
	CreatedAt jobs.Time
	EndedAt   jobs.Time

	jobs.Work
}

// Ref names the delivery.
func (d *Delivery) Ref() jobs.Ref { return jobs.Ref{ProjectID: d.ProjectID, ID: d.ID} }

// Claimed is a delivery in this process's hands, with all that a POST needs, or with Broken set.
type Claimed struct {
	Delivery
	Body     []byte       // the event's frozen bytes
	Receiver jobs.Webhook // as the submission froze it; Secret is the project's where it named none
	// Broken is why what a POST needs cannot be read: its secret does not open, or its event is gone. Nil when all is
	// there. Its text is logged, so it holds no secret, header value or body.
	Broken error
}

// Attempt is one POST as it went.
type Attempt struct {
	ProjectID  string
	ID         string // att_…
	DeliveryID string
	Number     int // from 1: the recorded outcomes of the delivery
	StartedAt  jobs.Time
	DurationMS int64
	StatusCode int             // zero when no answer came
	ErrorClass Class           // empty when an answer came
	Timings    json.RawMessage // milliseconds: {"dns":…,"connect":…,"tls":…,"first_byte":…}
	Snippet    []byte          // the first bytes of the answer
	Truncated  bool            // the answer was longer than what is kept
	Rule       string          // the rule that chose what came next
	Manual     bool
}

// Outcome is what one attempt led to. It is recorded only while the claim's fence holds.
type Outcome struct {
	Claimed  Claimed
	Attempt  Attempt
	Decision Decision
}

// Fan makes the deliveries that an event owes: one for each receiver that wants it. It decides only; the store commits
// them with the event.
func Fan(e *jobs.Event, webhookID string, w *jobs.Webhook) []Delivery {
	if w == nil || !e.Type.Wanted(w.Events) {
		return nil
	}
	d := Delivery{
		ProjectID: e.ProjectID, ID: jobs.NewID("dlv_"), EventID: e.ID, EventType: e.Type, JobID: e.JobID,
		WebhookID: webhookID, URL: ShownURL(w.URL), State: Waiting, CreatedAt: e.CreatedAt,
	}
	d.Due(e.CreatedAt)
	return []Delivery{d}
}

// Decision says what follows an attempt.
type Decision struct {
	State  State
	Reason string        // kept on the delivery
	Rule   string        // kept on the attempt: which rule of the contract chose
	Delay  time.Duration // until the next attempt, while State is Waiting
}
