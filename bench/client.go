package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
)

// client calls Ringback as a customer's program would.
type client struct {
	base string
	http *http.Client
}

func newClient(base string) *client {
	return &client{base: base, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}
}

var errUploadEnded = errors.New("the upload has ended")

// batch is what the bench reads of a batch.
type batch struct {
	ID           string `json:"id"`
	Status       string `json:"status"`
	OutputFileID string `json:"output_file_id"`
	ErrorFileID  string `json:"error_file_id"`
	Counts       struct {
		Total, Completed, Failed int
	} `json:"request_counts"`
}

// upload streams a batch input file and gives its ID.
func (c *client) upload(ctx context.Context, path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	reader, writer := io.Pipe()
	form := multipart.NewWriter(writer)
	written := make(chan error, 1)
	go func() {
		err := writeForm(form, file)
		_ = writer.CloseWithError(err) // always nil
		written <- err
	}()
	var created struct{ ID string }
	err = c.do(ctx, http.MethodPost, "/v1/files", form.FormDataContentType(), reader, &created)
	// A server that refuses early leaves the rest unread, and the writer waiting.
	_ = reader.CloseWithError(errUploadEnded)
	if failed := <-written; err == nil && !errors.Is(failed, errUploadEnded) {
		err = failed
	}
	return created.ID, err
}

func writeForm(form *multipart.Writer, file *os.File) error {
	if err := form.WriteField("purpose", "batch"); err != nil {
		return err
	}
	part, err := form.CreateFormFile("file", filepath.Base(file.Name()))
	if err != nil {
		return err
	}
	if _, err := io.Copy(part, file); err != nil {
		return err
	}
	return form.Close()
}

// createBatch returns once the batch is accepted.
func (c *client) createBatch(ctx context.Context, fileID string, hook webhook) (batch, error) {
	var created batch
	err := c.post(ctx, "/v1/batches", map[string]any{
		"input_file_id": fileID, "endpoint": "/v1/chat/completions", "completion_window": "24h", "webhook": hook,
	}, &created)
	return created, err
}

func (c *client) batch(ctx context.Context, id string) (batch, error) {
	var found batch
	err := c.get(ctx, "/v1/batches/"+id, &found)
	return found, err
}

// generate returns the ID of a generation once it is accepted. Without a hook
// nobody is called back.
func (c *client) generate(ctx context.Context, prompt string, hook *webhook) (string, error) {
	submission := map[string]any{"model": "sim-small", "input": prompt, "max_tokens": 64}
	if hook != nil {
		submission["webhook"] = hook
	}
	var created struct{ ID string }
	err := c.post(ctx, "/v1/generate", submission, &created)
	return created.ID, err
}

func (c *client) get(ctx context.Context, path string, into any) error {
	return c.do(ctx, http.MethodGet, path, "", nil, into)
}

func (c *client) post(ctx context.Context, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPost, path, "application/json", bytes.NewReader(text), into)
}

func (c *client) do(ctx context.Context, method, path, contentType string, body io.Reader, into any) error {
	answer, err := c.open(ctx, method, path, contentType, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	text, err := io.ReadAll(answer)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return json.Unmarshal(text, into)
}

// open gives the body of a 2xx answer; the caller closes it.
func (c *client) open(ctx context.Context, method, path, contentType string, body io.Reader) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, because(ctx, err)
	}
	if answer.StatusCode >= 300 {
		defer answer.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 2000))
		return nil, fmt.Errorf("%s %s answered %s: %s", method, path, answer.Status, text)
	}
	return answer.Body, nil
}
