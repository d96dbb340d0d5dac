package simulator

import (
	"encoding/json"
	"time"
)

// The states of a batch.
const (
	batchValidating = "validating"
	batchInProgress = "in_progress"
	batchFinalizing = "finalizing"
	batchCompleted  = "completed"
	batchFailed     = "failed"
	batchExpired    = "expired"
	batchCancelling = "cancelling"
	batchCancelled  = "cancelled"
)

const (
	batchPrefix = "batch_"
	batchWindow = 24 * time.Hour
)

// A batch is the record of one. Its lines are answered while the simulator
// runs; one that was not done when it closed begins again at the next start.
type batch struct {
	ID       string          `json:"id"`
	Created  time.Time       `json:"created"`
	Input    string          `json:"input"`
	Path     string          `json:"path"`
	Model    string          `json:"model,omitempty"`
	Metadata json.RawMessage `json:"metadata"`

	Status string `json:"status"`
	// Times are when each state but the first was reached.
	Times  map[string]time.Time `json:"times"`
	Errors []lineError          `json:"errors,omitempty"`
	Counts batchCounts          `json:"counts"`
	Usage  batchUsage           `json:"usage"`
	Output string               `json:"output,omitempty"`
	Failed string               `json:"failed,omitempty"`
}

type batchCounts struct {
	Total     int64 `json:"total"`
	Completed int64 `json:"completed"`
	Failed    int64 `json:"failed"`
}

type batchUsage struct {
	Input  int64 `json:"input"`
	Output int64 `json:"output"`
}

// A lineError is why a batch failed its validation.
type lineError struct {
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Param   *string `json:"param"`
	Line    *int    `json:"line"`
}

func (b batch) ended() bool {
	switch b.Status {
	case batchCompleted, batchFailed, batchExpired, batchCancelled:
		return true
	}
	return false
}

func (b batch) expires() time.Time { return b.Created.Add(batchWindow) }

// moved is the batch in its next state.
func (b batch) moved(status string, now time.Time) batch {
	times := map[string]time.Time{status: now}
	for s, at := range b.Times {
		times[s] = at
	}
	b.Status, b.Times = status, times
	return b
}

// A batchObject is a batch as the API shows it.
type batchObject struct {
	ID               string          `json:"id"`
	Object           string          `json:"object"`
	Endpoint         string          `json:"endpoint"`
	Model            *string         `json:"model"`
	Errors           *batchErrors    `json:"errors"`
	InputFileID      string          `json:"input_file_id"`
	CompletionWindow string          `json:"completion_window"`
	Status           string          `json:"status"`
	OutputFileID     *string         `json:"output_file_id"`
	ErrorFileID      *string         `json:"error_file_id"`
	CreatedAt        int64           `json:"created_at"`
	InProgressAt     *int64          `json:"in_progress_at"`
	ExpiresAt        int64           `json:"expires_at"`
	FinalizingAt     *int64          `json:"finalizing_at"`
	CompletedAt      *int64          `json:"completed_at"`
	FailedAt         *int64          `json:"failed_at"`
	ExpiredAt        *int64          `json:"expired_at"`
	CancellingAt     *int64          `json:"cancelling_at"`
	CancelledAt      *int64          `json:"cancelled_at"`
	RequestCounts    batchCounts     `json:"request_counts"`
	Usage            usageObject     `json:"usage"`
	Metadata         json.RawMessage `json:"metadata"`
}

type batchErrors struct {
	Object string      `json:"object"`
	Data   []lineError `json:"data"`
}

type usageObject struct {
	InputTokens  int64 `json:"input_tokens"`
	InputDetails struct {
		Cached int64 `json:"cached_tokens"`
	} `json:"input_tokens_details"`
	OutputTokens  int64 `json:"output_tokens"`
	OutputDetails struct {
		Reasoning int64 `json:"reasoning_tokens"`
	} `json:"output_tokens_details"`
	TotalTokens int64 `json:"total_tokens"`
}

func (b batch) object() batchObject {
	at := func(status string) *int64 { return unixOrNil(b.Times[status]) }
	o := batchObject{
		ID: b.ID, Object: "batch", Endpoint: b.Path, Model: stringOrNil(b.Model), InputFileID: b.Input,
		CompletionWindow: "24h", Status: b.Status, OutputFileID: stringOrNil(b.Output), ErrorFileID: stringOrNil(b.Failed),
		CreatedAt: b.Created.Unix(), ExpiresAt: b.expires().Unix(), InProgressAt: at(batchInProgress),
		FinalizingAt: at(batchFinalizing), CompletedAt: at(batchCompleted), FailedAt: at(batchFailed),
		ExpiredAt: at(batchExpired), CancellingAt: at(batchCancelling), CancelledAt: at(batchCancelled),
		RequestCounts: b.Counts, Metadata: b.Metadata,
	}
	o.Usage.InputTokens, o.Usage.OutputTokens = b.Usage.Input, b.Usage.Output
	o.Usage.TotalTokens = b.Usage.Input + b.Usage.Output
	if len(b.Errors) > 0 {
		o.Errors = &batchErrors{"list", b.Errors}
	}
	return o
}
