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
	ProjectID   string
	ID          string // dlv_…
	EventID     string
	EventType   jobs.EventType
	JobID       string // empty for an event that is about no job
	WebhookID   string // the one-off receiver that the submission named, or
	EndpointID  string // the registered one
	Gate        string // through which it goes: the endpoint's ID, or the callback's host
	URL         string // as people see it: scheme, host and path; no query
	State       State
	Reason      string // why it ended, or why it waits; a Class or the receiver's own wish
	Recorded    int    // attempts on record, over all rounds; Tries counts those of this round
	Manual      bool   // somebody asked for the next attempt
	CreatedAt   jobs.Time
	EndedAt     jobs.Time
	DeliveredAt jobs.Time // when it first arrived; stays, whatever is asked for since
	HeldSince   jobs.Time `gorm:"-"` // since when its gate is shut; filled in where deliveries are read to be shown

	jobs.Work // WakeAt stays zero: its gate is woken
}

// Ref names the delivery.
func (d *Delivery) Ref() jobs.Ref { return jobs.Ref{ProjectID: d.ProjectID, ID: d.ID} }

// GateRef names its gate.
func (d *Delivery) GateRef() jobs.Ref { return jobs.Ref{ProjectID: d.ProjectID, ID: d.Gate} }

// Claimed is a delivery in this process's hands, with all that a POST needs, or with Broken set.
type Claimed struct {
	Delivery
	Body     []byte    // the event's frozen bytes
	Trace    string    // the trace that it goes on, as the event keeps it; empty for none
	Receiver Receiver  // a one-off as its submission froze it, an endpoint as it stands now
	ShutAt   jobs.Time // since when its gate has been shut, as the row says; zero while it is open
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
	Request    json.RawMessage // what was sent: {"method", "url", "headers", "bytes"}, values that are secret as ***
	Timings    json.RawMessage // milliseconds: {"dns":…,"connect":…,"tls":…,"first_byte":…}
	Snippet    []byte          // the first bytes of the answer
	Truncated  bool            // the answer was longer than what is kept
	Rule       string          // the rule that chose what came next
	Manual     bool            // somebody asked for it
}

// Outcome is what one attempt led to. It is recorded only while the claim's fence holds.
type Outcome struct {
	Claimed  Claimed
	Attempt  Attempt
	Decision Decision
	Took     time.Duration // the attempt, finer than DurationMS says; not kept
}

// Decision says what follows an attempt.
type Decision struct {
	State  State
	Reason string        // kept on the delivery
	Rule   string        // kept on the attempt: which rule of the contract chose
	Delay  time.Duration // until the next attempt, while State is Waiting
	// NoTry says that the attempt does not count: it brings the delivery no nearer to its end.
	NoTry bool
	// Disable is why a registered endpoint gets no more events after this: its receiver asked for it. Empty otherwise.
	Disable string
}
