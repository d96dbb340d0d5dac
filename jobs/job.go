// Package jobs says what a job is, which states it takes, and how one attempt at it is carried out.
//
// A job is one piece of model work, accepted now and answered later. Its facts live in rows (package store);
// this package holds the rules: what a client may submit (Service), how work is done (Runner), and which state
// follows which (the methods of Job). It knows no database, no HTTP framework and no queue.
package jobs

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/ringback/ringback/providers"
)

// DefaultProject is the project of everything submitted without one.
const DefaultProject = "default"

// Kind says what a job does.
type Kind string

// The kinds of jobs.
const (
	KindBatch      Kind = "batch"
	KindGeneration Kind = "generation"  // one model call
	KindResponse   Kind = "response"    // one model call with the life and the events of OpenAI's background responses
	KindTuning     Kind = "fine_tuning" // a model made from examples, at a provider
)

// event is the type of the event that says that a job of the kind has got into a state.
func (k Kind) event(s Status) EventType {
	if k == KindTuning {
		return EventType("fine_tuning.job." + string(s))
	}
	return EventType(string(k) + "." + string(s))
}

// OneCall tells whether a job of the kind is one call to a model, which a worker makes as soon as it is claimed.
func (k Kind) OneCall() bool { return k == KindGeneration || k == KindResponse }

// Status is a job's state, in OpenAI's words.
//
//	batch:       validating → in_progress → finalizing → completed
//	             validating → failed; in_progress → finalizing → expired; any of the first two → cancelling → cancelled
//	generation:  queued → in_progress → completed | failed; queued, in_progress → cancelled
//	response:    as a generation, and in_progress → incomplete
//	fine_tuning: validating_files → queued → running → succeeded | failed; queued, running ↔ paused; → cancelled
type Status string

// The states of jobs.
const (
	Queued     Status = "queued"
	Validating Status = "validating"
	InProgress Status = "in_progress"
	Finalizing Status = "finalizing"
	Cancelling Status = "cancelling"
	Completed  Status = "completed"
	Failed     Status = "failed"
	Expired    Status = "expired"
	Cancelled  Status = "cancelled"
	Incomplete Status = "incomplete" // an answer that was cut: a limit of tokens, a content filter

	ValidatingFiles Status = "validating_files"
	Running         Status = "running"
	Paused          Status = "paused"
	Succeeded       Status = "succeeded"
)

// Terminal tells whether nothing can follow.
func (s Status) Terminal() bool {
	switch s {
	case Completed, Failed, Expired, Cancelled, Incomplete, Succeeded:
		return true
	}
	return false
}

// Time is an instant in Unix milliseconds; zero means never.
type Time int64

// At turns a time.Time into a Time.
func At(t time.Time) Time { return Time(t.UnixMilli()) }

// Time turns it back.
func (t Time) Time() time.Time { return time.UnixMilli(int64(t)) }

// Add moves an instant on.
func (t Time) Add(d time.Duration) Time { return t + Time(d.Milliseconds()) }

// Unix is the instant in whole seconds, as the API shows times.
func (t Time) Unix() int64 { return int64(t) / 1000 }

// unix is nil for never: the API says null.
func (t Time) unix() *int64 {
	if t == 0 {
		return nil
	}
	s := t.Unix()
	return &s
}

// Ref names a row: its project and its ID. Wake-ups carry it as text.
type Ref struct{ ProjectID, ID string }

func (r Ref) String() string { return r.ProjectID + "/" + r.ID }

// ParseRef reads what String wrote.
func ParseRef(s string) (Ref, bool) {
	project, id, ok := strings.Cut(s, "/")
	return Ref{project, id}, ok && project != "" && id != ""
}

// Work is what every row that waits for work carries: jobs, shards and deliveries alike.
type Work struct {
	Attempt int64  // counts claims and only fences: who finishes with an older one is refused
	Claims  int    // claims since the last recorded outcome; MaxClaims of them end the row
	Tries   int    // recorded outcomes: they pick the delay and the end
	Owner   string // the process that works on it; empty when nobody does
	DueAt   Time   // not to be claimed sooner; zero when there is nothing to do
	WakeAt  Time   // when the sweeper looks at it next; never decides whether work happens
}

// MaxClaims ends a row that was claimed this often without an outcome: it takes its worker down each time.
const MaxClaims = 10

// Due makes the row claimable at t.
func (w *Work) Due(t Time) { w.Owner, w.DueAt, w.WakeAt = "", t, t }

// Rest takes the row out of everybody's hands: nothing is left to do.
func (w *Work) Rest() { w.Owner, w.DueAt, w.WakeAt = "", 0, 0 }

// Job is one row of work of any kind. Fields that a kind does not use stay zero.
type Job struct {
	ProjectID string
	ID        string // batch_…, gen_…, resp_…, ftjob-…
	Kind      Kind
	Status    Status
	Ending    Status // where finalizing and cancelling lead: completed, expired or cancelled
	Path      string // the provider path, "/v1/chat/completions"; JSON calls it endpoint
	Model     string
	Metadata  json.RawMessage

	Priority Priority
	RunAt    Time // not before; zero for at once

	RetryOf          string // the ended batch whose answers this one takes over, and whose other lines it runs again
	InputFileID      string // of a batch, the training file of a fine-tuning, or what a call uploads to its model
	ValidationFileID string // of a fine-tuning
	OutputFileID     string
	ErrorFileID      string
	CompletionWindow string
	OutputTTL        int64 // seconds that output files are kept; zero for the default
	Total            int64 // lines; one for a generation
	Completed        int64
	Failed           int64
	Copied           int64           // of Completed: lines that a retried batch took over from the one before
	Errors           json.RawMessage // batch: the entries of errors.data; others: the error
	providers.Usage

	Refusals    int             // a generation's failed calls that were no tries of its own
	Webhook     json.RawMessage // the client's receiver as reads show it, secrets as ***
	WebhookIDs  Texts           // IDs of the registered endpoints that the submission named
	Sequence    int64           // events so far
	ResultsGone bool            // its lines, or its request and its answer, are kept no longer
	Trace       string          // where in its client's trace it was accepted (span.Trace); empty for none. Never shown

	BlockedBy    Blocked // why it waits, where that is known
	BlockedUntil Time    // when that ends; zero where no time is known

	Remote Remote  // what it has at its provider
	Tuning *Tuning // a fine-tuning's own facts

	ProgressAt   Time  // when its last event of progress fired
	ProgressStep int64 // the tenths that it told, 0 to 9

	CreatedAt    Time
	ChangedAt    Time // updated_at in the API; GORM would set a field of that name by itself, in seconds
	StartedAt    Time
	FinalizingAt Time
	CancellingAt Time
	EndedAt      Time
	ExpiresAt    Time

	Work
}

// Ref names the job.
func (j *Job) Ref() Ref { return Ref{j.ProjectID, j.ID} }

// end moves the job into a terminal state and gives the type of the event that says so.
func (j *Job) end(s Status, now Time) EventType {
	j.Status, j.EndedAt = s, now
	j.Rest()
	j.unblock()
	return j.Kind.event(s)
}

// Snapshot is a job at one moment with all that reads show of it.
type Snapshot struct {
	Job
	Result []byte // a single call's answer, the provider's body verbatim; nil until completed

	Response *Response // what a response repeats of its request; nil in lists

	Position int64 // its place among what waits, from 1; zero where nobody asked
	Typical  Time  // how long calls like it took lately, in milliseconds; zero where nobody asked or none is known
	AskedAt  Time  // when that was asked
}

// Webhook is the receiver that a client names on one submission. Its URL, method and headers are frozen there.
type Webhook struct {
	URL     string            `json:"url"`
	Method  string            `json:"method"` // POST, PUT or PATCH
	Headers map[string]string `json:"headers,omitempty"`
	Events  []string          `json:"events,omitempty"` // filters with wildcards; empty means the job's terminal events
	Secret  string            `json:"secret,omitempty"` // whsec_…; empty means the project's
	Timeout time.Duration     `json:"timeout,omitempty"`
}

// Idempotency lets a creating request be sent again without creating twice.
type Idempotency struct {
	Key  string // the client's Idempotency-Key
	Hash []byte // SHA-256 over method, path and body
}

// Replay is the error of a creation whose Idempotency-Key has been used: Answer is what the first one answered.
type Replay struct{ Answer []byte }

func (*Replay) Error() string { return "jobs: this Idempotency-Key has created already" }
