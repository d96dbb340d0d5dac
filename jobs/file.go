package jobs

import (
	"encoding/json"
	"time"
)

// File is an uploaded or produced file. Its bytes are in the file store under Blob.
type File struct {
	ProjectID string
	ID        string // file-…
	Filename  string
	Purpose   string
	Bytes     int64
	Blob      string // key in the file store
	CreatedAt Time
	ExpiresAt Time // zero: kept until deleted
	DeletedAt Time
	Sequence  int64 // events so far
}

// The purposes that Ringback itself gives meaning to.
const (
	PurposeBatch       = "batch"
	PurposeBatchOutput = "batch_output"
)

// BatchFileTTL is how long batch input and output files are kept unless the client says otherwise (OpenAI: 30 days).
const BatchFileTTL = 30 * 24 * time.Hour

type fileObject struct {
	ID            string  `json:"id"`
	Object        string  `json:"object"`
	Bytes         int64   `json:"bytes"`
	CreatedAt     int64   `json:"created_at"`
	ExpiresAt     *int64  `json:"expires_at"`
	Filename      string  `json:"filename"`
	Purpose       string  `json:"purpose"`
	Status        string  `json:"status"`
	StatusDetails *string `json:"status_details"`
}

// Object is the file as the API shows it.
func (f *File) Object() []byte {
	return encode(fileObject{
		ID: f.ID, Object: "file", Bytes: f.Bytes, CreatedAt: f.CreatedAt.Unix(), ExpiresAt: f.ExpiresAt.unix(),
		Filename: f.Filename, Purpose: f.Purpose, Status: "processed",
	})
}

// encode renders a value of this package's own shapes; they always encode.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("jobs: cannot encode: " + err.Error())
	}
	return b
}
