package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Upload is the content of a file to send; Open is called once for each try.
// With an ID the server has it already.
type Upload struct {
	ID   string
	Name string
	Size int64
	Open func() (io.ReadCloser, error)
}

// UploadFile streams a file to POST /v1/files: nothing of it is held in memory.
// fields go before it.
func (c *Client) UploadFile(ctx context.Context, upload Upload, purpose string, fields ...[2]string) (File, error) {
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	// Writing to a buffer does not fail.
	_ = form.WriteField("purpose", purpose)
	for _, field := range fields {
		_ = form.WriteField(field[0], field[1])
	}
	_, _ = form.CreateFormFile("file", upload.Name)
	tail := "\r\n--" + form.Boundary() + "--\r\n"
	var file File
	err := c.decode(ctx, call{
		method:      http.MethodPost,
		path:        "/v1/files",
		contentType: form.FormDataContentType(),
		idempotency: uuid.NewString(),
		length:      int64(head.Len()) + upload.Size + int64(len(tail)),
		body: func() (io.ReadCloser, error) {
			content, err := upload.Open()
			if err != nil {
				return nil, err
			}
			body := io.MultiReader(bytes.NewReader(head.Bytes()), content, strings.NewReader(tail))
			return readCloser{body, content}, nil
		},
	}, &file)
	return file, err
}

// readCloser reads from one and closes another.
type readCloser struct {
	io.Reader
	io.Closer
}

// Submission is what a body may say of a job of any kind.
type Submission struct {
	Metadata   map[string]string `json:"metadata,omitempty"`
	Webhook    *Webhook          `json:"webhook,omitempty"`
	WebhookIDs []string          `json:"webhook_ids,omitempty"`
	RunAt      string            `json:"run_at,omitempty"`
	Priority   string            `json:"priority,omitempty"`
}

// NewBatch is the body of POST /v1/batches.
type NewBatch struct {
	InputFileID      string `json:"input_file_id"`
	Endpoint         string `json:"endpoint"`
	CompletionWindow string `json:"completion_window"`
	Submission
}

// CreateBatch submits a batch.
func (c *Client) CreateBatch(ctx context.Context, batch NewBatch) (Batch, error) {
	var created Batch
	err := c.create(ctx, "/v1/batches", batch, &created)
	return created, err
}

// Generate submits one model call. The body's keys beside model, input,
// webhook and metadata go to the provider as they are.
func (c *Client) Generate(ctx context.Context, body map[string]any) (Generation, error) {
	var created Generation
	err := c.create(ctx, "/v1/generate", body, &created)
	return created, err
}

// Batch reads one batch.
func (c *Client) Batch(ctx context.Context, id string) (Batch, error) {
	var batch Batch
	err := c.get(ctx, "/v1/batches/"+url.PathEscape(id), &batch)
	return batch, err
}

// Generation reads one generation.
func (c *Client) Generation(ctx context.Context, id string) (Generation, error) {
	var generation Generation
	err := c.get(ctx, "/v1/generate/"+url.PathEscape(id), &generation)
	return generation, err
}

// WaitJob reads one job, once it has changed or ended, or the wait is over.
func (c *Client) WaitJob(ctx context.Context, id string, wait time.Duration) (Job, error) {
	var job Job
	err := c.get(ctx, fmt.Sprintf("/v1/jobs/%s?wait=%s", url.PathEscape(id), wait), &job)
	return job, err
}

// Deliveries lists the callbacks of a job.
func (c *Client) Deliveries(ctx context.Context, jobID string) ([]Delivery, error) {
	var list struct {
		Data []Delivery `json:"data"`
	}
	err := c.get(ctx, "/v1/jobs/"+url.PathEscape(jobID)+"/deliveries", &list)
	return list.Data, err
}

// Object reads anything that has a path, as the server wrote it.
func (c *Client) Object(ctx context.Context, path string) (json.RawMessage, error) {
	var object json.RawMessage
	err := c.get(ctx, path, &object)
	return object, err
}

// Content opens a file's bytes. The caller closes them.
func (c *Client) Content(ctx context.Context, fileID string) (io.ReadCloser, error) {
	answer, err := c.send(ctx, call{method: http.MethodGet, path: "/v1/files/" + url.PathEscape(fileID) + "/content"})
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

// SigningSecret is the default project's secret, whsec_ and base64.
func (c *Client) SigningSecret(ctx context.Context) (Secret, error) {
	var secret struct {
		Key Secret `json:"key"`
	}
	err := c.get(ctx, "/v1/webhooks/default/secret", &secret)
	return secret.Key, err
}
