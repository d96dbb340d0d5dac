package jobs

import (
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers"
)

type batchObject struct {
	ID               string          `json:"id"`
	Object           string          `json:"object"`
	Endpoint         string          `json:"endpoint"`
	Model            *string         `json:"model"`
	Errors           *errorList      `json:"errors"`
	InputFileID      string          `json:"input_file_id"`
	CompletionWindow string          `json:"completion_window"`
	Status           Status          `json:"status"`
	OutputFileID     *string         `json:"output_file_id"`
	ErrorFileID      *string         `json:"error_file_id"`
	CreatedAt        int64           `json:"created_at"`
	InProgressAt     *int64          `json:"in_progress_at"`
	ExpiresAt        *int64          `json:"expires_at"`
	FinalizingAt     *int64          `json:"finalizing_at"`
	CompletedAt      *int64          `json:"completed_at"`
	FailedAt         *int64          `json:"failed_at"`
	ExpiredAt        *int64          `json:"expired_at"`
	CancellingAt     *int64          `json:"cancelling_at"`
	CancelledAt      *int64          `json:"cancelled_at"`
	RequestCounts    requestCounts   `json:"request_counts"`
	ETA              *int64          `json:"eta"`
	BlockedBy        *blockedObject  `json:"blocked_by"`
	RunAt            *int64          `json:"run_at"`
	Priority         Priority        `json:"priority"`
	Usage            *usageObject    `json:"usage"`
	Metadata         json.RawMessage `json:"metadata"`
	Webhook          json.RawMessage `json:"webhook"`
	WebhookIDs       Texts           `json:"webhook_ids"`
	RetryOf          *string         `json:"retry_of"`
}

type errorList struct {
	Object string          `json:"object"`
	Data   json.RawMessage `json:"data"`
}

type requestCounts struct {
	Total     int64 `json:"total"`
	Completed int64 `json:"completed"`
	Failed    int64 `json:"failed"`
}

type usageObject struct {
	InputTokens        int64         `json:"input_tokens"`
	InputTokensDetails inputDetails  `json:"input_tokens_details"`
	OutputTokens       int64         `json:"output_tokens"`
	OutputDetails      outputDetails `json:"output_tokens_details"`
	TotalTokens        int64         `json:"total_tokens"`
}

type inputDetails struct {
	CachedTokens int64 `json:"cached_tokens"`
}

type outputDetails struct {
	ReasoningTokens int64 `json:"reasoning_tokens"`
}

type generationObject struct {
	ID          string          `json:"id"`
	Object      string          `json:"object"`
	Status      Status          `json:"status"`
	Model       string          `json:"model"`
	CreatedAt   int64           `json:"created_at"`
	StartedAt   *int64          `json:"started_at"`
	CompletedAt *int64          `json:"completed_at"`
	FailedAt    *int64          `json:"failed_at"`
	CancelledAt *int64          `json:"cancelled_at"`
	ETA         *int64          `json:"eta"`
	BlockedBy   *blockedObject  `json:"blocked_by"`
	RunAt       *int64          `json:"run_at"`
	Priority    Priority        `json:"priority"`
	Progress    callProgress    `json:"progress"`
	ModelOutput string          `json:"model_output"`
	Result      json.RawMessage `json:"result"`
	Error       json.RawMessage `json:"error"`
	Usage       *usageObject    `json:"usage"`
	Metadata    json.RawMessage `json:"metadata"`
	Webhook     json.RawMessage `json:"webhook"`
	WebhookIDs  Texts           `json:"webhook_ids"`
}

// callProgress says how far a single call is: the tokens that have come so far, or the share that its provider tells.
type callProgress struct {
	OutputTokens int64  `json:"output_tokens"`
	Percent      *int64 `json:"percent"`
}

type jobObject struct {
	ID         string          `json:"id"`
	Object     string          `json:"object"`
	Kind       Kind            `json:"kind"`
	Status     Status          `json:"status"`
	Model      *string         `json:"model"`
	CreatedAt  int64           `json:"created_at"`
	UpdatedAt  int64           `json:"updated_at"`
	Progress   requestCounts   `json:"progress"`
	ETA        *int64          `json:"eta"`
	BlockedBy  *blockedObject  `json:"blocked_by"`
	RunAt      *int64          `json:"run_at"`
	Priority   Priority        `json:"priority"`
	Usage      *usageObject    `json:"usage"`
	Webhook    json.RawMessage `json:"webhook"`
	WebhookIDs Texts           `json:"webhook_ids"`
	Metadata   json.RawMessage `json:"metadata"`
	Detail     json.RawMessage `json:"detail"`
}

// Object is the job as the route of its kind shows it: exactly what polling answers and what events carry.
// The result is placed byte for byte (json.Marshal would compact and escape it).
func (s *Snapshot) Object() []byte {
	switch s.Kind {
	case KindBatch:
		return s.batch()
	case KindTuning:
		return s.tuning()
	case KindResponse:
		return s.response()
	}
	return splice(encode(s.generation()), "result", s.Result)
}

// Wrapped is the job of any kind as GET /v1/jobs/{id} shows it, the kind's own object under detail.
func (s *Snapshot) Wrapped() []byte {
	return splice(encode(jobObject{
		ID: s.ID, Object: "job", Kind: s.Kind, Status: s.Status, Model: orNull(s.Model),
		CreatedAt: s.CreatedAt.Unix(), UpdatedAt: s.ChangedAt.Unix(),
		Progress: s.counts(), ETA: s.eta(), BlockedBy: s.blocked(), RunAt: s.RunAt.unix(), Priority: s.Priority,
		Usage: s.usage(), Webhook: s.Webhook, WebhookIDs: s.webhookIDs(),
		Metadata: s.Metadata,
	}), "detail", s.detail())
}

// detail is the kind's own object; none for a response whose answer is kept no longer: one without would look as if it had
// said nothing.
func (s *Snapshot) detail() []byte {
	if s.ResultsGone && s.Kind == KindResponse {
		return nil
	}
	return s.Object()
}

func (s *Snapshot) batch() []byte {
	j := &s.Job
	o := batchObject{
		ID: j.ID, Object: "batch", Endpoint: j.Path, Model: orNull(j.Model), InputFileID: j.InputFileID,
		CompletionWindow: j.CompletionWindow, Status: j.Status,
		OutputFileID: orNull(j.OutputFileID), ErrorFileID: orNull(j.ErrorFileID),
		CreatedAt: j.CreatedAt.Unix(), InProgressAt: j.StartedAt.unix(), ExpiresAt: j.ExpiresAt.unix(),
		FinalizingAt: j.FinalizingAt.unix(), CancellingAt: j.CancellingAt.unix(),
		CompletedAt: j.endedAs(Completed), FailedAt: j.endedAs(Failed),
		ExpiredAt: j.endedAs(Expired), CancelledAt: j.endedAs(Cancelled),
		RequestCounts: j.counts(), ETA: s.eta(), BlockedBy: s.blocked(), RunAt: j.RunAt.unix(), Priority: j.Priority,
		Usage: j.usage(), Metadata: j.Metadata, Webhook: j.Webhook,
		WebhookIDs: j.webhookIDs(), RetryOf: orNull(j.RetryOf),
	}
	if len(j.Errors) > 0 {
		o.Errors = &errorList{Object: "list", Data: j.Errors}
	}
	return encode(o)
}

func (s *Snapshot) generation() generationObject {
	return generationObject{
		ID: s.ID, Object: "generation", Status: s.Status, Model: s.Model,
		CreatedAt: s.CreatedAt.Unix(), StartedAt: s.StartedAt.unix(), CompletedAt: s.endedAs(Completed),
		FailedAt: s.endedAs(Failed), CancelledAt: s.endedAs(Cancelled), ModelOutput: s.ModelOutput(),
		ETA: s.eta(), BlockedBy: s.blocked(), RunAt: s.RunAt.unix(), Priority: s.Priority,
		Progress: callProgress{s.OutputTokens, s.percent()},
		Error:    s.Errors, Usage: s.usage(), Metadata: s.Metadata, Webhook: s.Webhook,
		WebhookIDs: s.webhookIDs(),
	}
}

// percent is nil where nobody tells one.
func (j *Job) percent() *int64 {
	if j.ProgressStep == 0 {
		return nil
	}
	return &j.ProgressStep
}

// outputs are where the answers of models have their text: chat, completions, responses, transcriptions.
var outputs = []string{"choices.0.message.content", "choices.0.text", `output.#(type=="message").content.#(type=="output_text").text`, "text"}

// ModelOutput is the answer's text: empty when there is none, or when it is not text.
func (s *Snapshot) ModelOutput() string {
	for _, path := range outputs {
		if text := gjson.GetBytes(s.Result, path); text.Type == gjson.String {
			return text.String()
		}
	}
	return ""
}

// webhookIDs is nil for none: the API says null, before the row was kept and after.
func (j *Job) webhookIDs() Texts {
	if len(j.WebhookIDs) == 0 {
		return nil
	}
	return j.WebhookIDs
}

func (j *Job) counts() requestCounts { return requestCounts{j.Total, j.Completed, j.Failed} }

func (j *Job) endedAs(s Status) *int64 {
	if j.Status != s {
		return nil
	}
	return j.EndedAt.unix()
}

func (j *Job) usage() *usageObject {
	if j.Usage == (providers.Usage{}) {
		return nil
	}
	return &usageObject{
		InputTokens: j.InputTokens, InputTokensDetails: inputDetails{j.CachedTokens},
		OutputTokens: j.OutputTokens, OutputDetails: outputDetails{j.ReasoningTokens}, TotalTokens: j.TotalTokens,
	}
}

// splice puts raw in the place of the null under a top-level key of an object of our own shape.
func splice(object []byte, key string, raw []byte) []byte {
	if len(raw) == 0 {
		return object
	}
	at := gjson.GetBytes(object, key).Index
	out := make([]byte, 0, len(object)+len(raw))
	out = append(append(out, object[:at]...), raw...)
	return append(out, strings.TrimPrefix(string(object[at:]), "null")...)
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
