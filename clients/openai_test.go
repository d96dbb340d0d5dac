package clients

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/stretchr/testify/require"
)

// waitTime bounds the wait for anything that is not due at a later time.
const waitTime = 30 * time.Second

// official is OpenAI's client with its base URL changed, and any key.
func official(t *testing.T, opts ...option.RequestOption) openai.Client {
	t.Helper()
	return openai.NewClient(append([]option.RequestOption{
		option.WithBaseURL(ring.url + "/v1"), option.WithAPIKey("any"), option.WithHTTPClient(checkedClient(t)),
	}, opts...)...)
}

// counted counts requests as they are sent, repeats of the client's own included.
func counted(n *atomic.Int64) option.RequestOption {
	return option.WithMiddleware(func(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
		n.Add(1)
		return next(r)
	})
}

// upload keeps a batch file.
func upload(t *testing.T, client openai.Client, content string) *openai.FileObject {
	t.Helper()
	file, err := client.Files.New(t.Context(), openai.FileNewParams{
		File: openai.File(strings.NewReader(content), "input.jsonl", "application/jsonl"), Purpose: openai.FilePurposeBatch,
	})
	require.NoError(t, err)
	return file
}

// submit uploads a file and makes a batch of it, which is being validated when the call returns.
func submit(t *testing.T, client openai.Client, content string, opts ...option.RequestOption) *openai.Batch {
	t.Helper()
	file := upload(t, client, content)
	batch, err := client.Batches.New(t.Context(), openai.BatchNewParams{
		InputFileID: file.ID, Endpoint: openai.BatchNewParamsEndpointV1ChatCompletions,
		CompletionWindow: openai.BatchNewParamsCompletionWindow24h,
	}, opts...)
	require.NoError(t, err)
	require.Equal(t, file.ID, batch.InputFileID)
	require.Equal(t, openai.BatchStatusValidating, batch.Status)
	return batch
}

// until polls a batch until it is as wanted.
func until(t *testing.T, client openai.Client, id string, within time.Duration, wanted func(*openai.Batch) bool) *openai.Batch {
	t.Helper()
	var last string
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		batch, err := client.Batches.Get(t.Context(), id)
		require.NoError(t, err)
		if wanted(batch) {
			return batch
		}
		last = batch.RawJSON()
	}
	require.Fail(t, "the batch never was as wanted", "within %s; last: %s", within, last)
	return nil
}

// ended polls a batch until nothing can follow.
func ended(t *testing.T, client openai.Client, id string) *openai.Batch {
	t.Helper()
	return until(t, client, id, waitTime, terminal)
}

func terminal(b *openai.Batch) bool {
	return slices.Contains([]openai.BatchStatus{
		openai.BatchStatusCompleted, openai.BatchStatusFailed, openai.BatchStatusExpired, openai.BatchStatusCancelled,
	}, b.Status)
}

// halfDone waits until one of a batch's lines is answered; its others hang.
func halfDone(t *testing.T, client openai.Client, id string) *openai.Batch {
	t.Helper()
	return until(t, client, id, waitTime, func(b *openai.Batch) bool { return b.RequestCounts.Completed == 1 })
}

// download reads a file whole.
func download(t *testing.T, client openai.Client, id string) []byte {
	t.Helper()
	answer, err := client.Files.Content(t.Context(), id)
	require.NoError(t, err)
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return content
}
