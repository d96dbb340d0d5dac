package main

import "encoding/json"

// Webhook is the callback that a submission names; the field of the
// same name.
type Webhook struct {
	URL     string            `json:"url"`
	Method  string            `json:"method,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
}

// File is an uploaded or produced file.
type File struct {
	raw
	ID       string `json:"id"`
	Bytes    int64  `json:"bytes"`
	Filename string `json:"filename"`
}

// Batch is a batch as OpenAI shows it; file IDs are "" until there is a file.
type Batch struct {
	raw
	ID            string  `json:"id"`
	Status        string  `json:"status"`
	Endpoint      string  `json:"endpoint"`
	OutputFileID  string  `json:"output_file_id"`
	ErrorFileID   string  `json:"error_file_id"`
	RequestCounts Counts  `json:"request_counts"`
	Errors        *Errors `json:"errors"`
}

// Counts are a job's lines or calls; Total is 0 until the input is checked.
type Counts struct {
	Total     int `json:"total"`
	Completed int `json:"completed"`
	Failed    int `json:"failed"`
}

// Errors says why a batch's input was refused.
type Errors struct {
	Data []struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Line    int    `json:"line"`
	} `json:"data"`
}

// Generation is one model call that is answered later.
type Generation struct {
	raw
	ID          string `json:"id"`
	Status      string `json:"status"`
	Model       string `json:"model"`
	ModelOutput string `json:"model_output"`
}

// Job is what batches and generations have in common.
type Job struct {
	raw
	ID       string `json:"id"`
	Kind     string `json:"kind"` // batch or generation
	Status   string `json:"status"`
	Progress Counts `json:"progress"`
}

// Ended tells whether the status is terminal.
func (j Job) Ended() bool {
	switch j.Status {
	case "completed", "failed", "expired", "cancelled", "incomplete", "succeeded":
		return true
	}
	return false
}

// Delivery is one callback owed to one receiver.
type Delivery struct {
	EventType string `json:"event_type"`
	Status    string `json:"status"`
	Reason    string `json:"reason"`
	Attempts  []struct {
		StatusCode int     `json:"status_code"`
		DurationMS float64 `json:"duration_ms"`
	} `json:"attempts"`
}

// raw keeps an object's bytes as the server wrote them, for --json.
type raw struct {
	text json.RawMessage
}

func (r *raw) keep(text []byte) { r.text = append(r.text[:0:0], text...) }
