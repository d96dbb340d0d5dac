package clients

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	goopenai "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"
)

// goOpenAI is the client with its base URL changed, and any key.
func goOpenAI(t *testing.T) *goopenai.Client {
	t.Helper()
	config := goopenai.DefaultConfig("any")
	config.BaseURL = ring.url + "/v1"
	config.HTTPClient = checkedClient(t)
	return goopenai.NewClientWithConfig(config)
}

// lines are a batch of chat requests as this client writes them: "stream": false in each, no line break at the end.
func lines(prompts ...string) goopenai.UploadBatchFileRequest {
	request := goopenai.UploadBatchFileRequest{FileName: "lines.jsonl"}
	for i, prompt := range prompts {
		request.AddChatCompletion(lineID(i), goopenai.ChatCompletionRequest{
			Model:    "sim-small",
			Messages: []goopenai.ChatCompletionMessage{{Role: goopenai.ChatMessageRoleUser, Content: prompt}},
		})
	}
	return request
}

// create uploads a batch and starts it.
func create(t *testing.T, client *goopenai.Client, prompts ...string) goopenai.BatchResponse {
	t.Helper()
	file, err := client.UploadBatchFile(t.Context(), lines(prompts...))
	require.NoError(t, err)
	batch, err := client.CreateBatch(t.Context(), goopenai.CreateBatchRequest{
		InputFileID: file.ID, Endpoint: goopenai.BatchEndpointChatCompletions, Metadata: map[string]any{"owner": "nightly"},
	})
	require.NoError(t, err)
	require.Equal(t, file.ID, batch.InputFileID)
	return batch
}

// poll reads a batch until it is as wanted.
func poll(t *testing.T, client *goopenai.Client, id string, wanted func(goopenai.BatchResponse) bool) (batch goopenai.BatchResponse) {
	t.Helper()
	for deadline := time.Now().Add(waitTime); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		var err error
		batch, err = client.RetrieveBatch(t.Context(), id)
		require.NoError(t, err)
		if wanted(batch) {
			return batch
		}
	}
	require.Fail(t, "the batch never was as wanted", "within %s; last: %+v", waitTime, batch)
	return batch
}

func inStatus(status string) func(goopenai.BatchResponse) bool {
	return func(b goopenai.BatchResponse) bool { return b.Status == status }
}

// content reads a file whole.
func content(t *testing.T, client *goopenai.Client, id string) []byte {
	t.Helper()
	answer, err := client.GetFileContent(t.Context(), id)
	require.NoError(t, err)
	defer answer.Close()
	bytes, err := io.ReadAll(answer)
	require.NoError(t, err)
	return bytes
}

func TestGoOpenAIKeepsFiles(t *testing.T) {
	t.Parallel()
	client, text := goOpenAI(t), input(t, quick)
	name := filepath.Join(t.TempDir(), "from disk.jsonl")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	file, err := client.CreateFile(t.Context(), goopenai.FileRequest{FilePath: name, Purpose: string(goopenai.PurposeBatch)})
	require.NoError(t, err)
	require.Equal(t, "from disk.jsonl", file.FileName)
	require.Equal(t, len(text), file.Bytes)
	require.Equal(t, "batch", file.Purpose)

	got, err := client.GetFile(t.Context(), file.ID)
	require.NoError(t, err)
	require.Equal(t, file.CreatedAt, got.CreatedAt)
	require.Equal(t, text, string(content(t, client, file.ID)))
	listed, err := client.ListFiles(t.Context())
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(listed.Files, func(f goopenai.File) bool { return f.ID == file.ID }))

	require.NoError(t, client.DeleteFile(t.Context(), file.ID))
	_, err = client.GetFile(t.Context(), file.ID)
	var e *goopenai.APIError
	require.ErrorAs(t, err, &e)
	require.Equal(t, http.StatusNotFound, e.HTTPStatusCode)
	require.Equal(t, "No such File object: "+file.ID, e.Message)
	require.Equal(t, "invalid_request_error", e.Type)
	require.Equal(t, "id", *e.Param)
}

func TestGoOpenAIRunsABatch(t *testing.T) {
	t.Parallel()
	client := goOpenAI(t)
	created := create(t, client, quick, refuse)
	require.Equal(t, "validating", created.Status)
	batch := poll(t, client, created.ID, inStatus("completed"))
	require.Equal(t, goopenai.BatchRequestCounts{Total: 2, Completed: 1, Failed: 1}, batch.RequestCounts)
	require.Equal(t, map[string]any{"owner": "nightly"}, batch.Metadata)
	require.Equal(t, "24h", batch.CompletionWindow)
	require.GreaterOrEqual(t, *batch.CompletedAt, *batch.InProgressAt)
	require.Nil(t, batch.FailedAt)
	require.Nil(t, batch.Errors)

	output := outcomes(t, content(t, client, *batch.OutputFileID))
	require.Len(t, output, 1)
	require.Equal(t, lineID(0), output[0].CustomID)
	failed := outcomes(t, content(t, client, *batch.ErrorFileID))
	require.Len(t, failed, 1)
	require.Equal(t, lineID(1), failed[0].CustomID)
}

func TestGoOpenAIIsToldWhyABatchFailed(t *testing.T) {
	t.Parallel()
	client := goOpenAI(t)
	request := lines(quick)
	request.AddEmbedding("other", goopenai.EmbeddingRequest{Model: "sim-small", Input: "eggs"})
	created, err := client.CreateBatchWithUploadFile(t.Context(), goopenai.CreateBatchWithUploadFileRequest{
		Endpoint: goopenai.BatchEndpointChatCompletions, UploadBatchFileRequest: request,
	})
	require.NoError(t, err)
	batch := poll(t, client, created.ID, inStatus("failed"))
	require.NotNil(t, batch.FailedAt)
	require.Len(t, batch.Errors.Data, 1)
	require.Equal(t, "invalid_url", batch.Errors.Data[0].Code)
	require.Equal(t, 2, *batch.Errors.Data[0].Line)
}

func TestGoOpenAICancelsABatch(t *testing.T) {
	t.Parallel()
	client := goOpenAI(t)
	created := create(t, client, quick, hang)
	poll(t, client, created.ID, func(b goopenai.BatchResponse) bool { return b.RequestCounts.Completed == 1 })
	cancelling, err := client.CancelBatch(t.Context(), created.ID)
	require.NoError(t, err)
	require.Equal(t, "cancelling", cancelling.Status)
	batch := poll(t, client, created.ID, inStatus("cancelled"))
	require.NotNil(t, batch.OutputFileID)

	_, err = client.CancelBatch(t.Context(), created.ID+"x")
	var e *goopenai.APIError
	require.ErrorAs(t, err, &e)
	require.Equal(t, http.StatusNotFound, e.HTTPStatusCode)
}

func TestGoOpenAIListsBatches(t *testing.T) {
	t.Parallel()
	client := goOpenAI(t)
	older := create(t, client, quick).ID
	newer := create(t, client, quick).ID
	limit, after := 1, newer
	page, err := client.ListBatch(t.Context(), nil, &limit)
	require.NoError(t, err)
	require.Len(t, page.Data, 1)
	require.True(t, page.HasMore)
	require.Equal(t, page.Data[0].ID, page.FirstID)

	limit = 100
	rest, err := client.ListBatch(t.Context(), &after, &limit)
	require.NoError(t, err)
	listed := make([]string, len(rest.Data))
	for i := range rest.Data {
		listed[i] = rest.Data[i].ID
	}
	require.Contains(t, listed, older)
	require.NotContains(t, listed, newer)
	require.Equal(t, listed[len(listed)-1], rest.LastID)
}
