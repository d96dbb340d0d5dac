package clients

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/shared"
	"github.com/stretchr/testify/require"
)

func TestOpenAIRunsABatch(t *testing.T) {
	t.Parallel()
	client := official(t)
	file := upload(t, client, input(t, quick, refuse, quick))
	created, err := client.Batches.New(t.Context(), openai.BatchNewParams{
		InputFileID: file.ID, Endpoint: openai.BatchNewParamsEndpointV1ChatCompletions,
		CompletionWindow:   openai.BatchNewParamsCompletionWindow24h,
		Metadata:           shared.Metadata{"owner": "nightly"},
		OutputExpiresAfter: openai.BatchNewParamsOutputExpiresAfter{Seconds: 7200},
	})
	require.NoError(t, err)
	require.Equal(t, created.CreatedAt+24*60*60, created.ExpiresAt)

	batch := ended(t, client, created.ID)
	require.Equal(t, openai.BatchStatusCompleted, batch.Status)
	require.Equal(t, shared.Metadata{"owner": "nightly"}, batch.Metadata)
	require.Equal(t, "sim-small", batch.Model)
	require.Equal(t, chatPath, batch.Endpoint)
	require.EqualValues(t, 3, batch.RequestCounts.Total)
	require.EqualValues(t, 2, batch.RequestCounts.Completed)
	require.EqualValues(t, 1, batch.RequestCounts.Failed)
	require.Positive(t, batch.Usage.InputTokens)
	require.Equal(t, batch.Usage.InputTokens+batch.Usage.OutputTokens, batch.Usage.TotalTokens)
	times := []int64{batch.CreatedAt, batch.InProgressAt, batch.FinalizingAt, batch.CompletedAt}
	require.Positive(t, times[0])
	require.True(t, slices.IsSorted(times), "%v", times)
	requireOutput(t, client, batch)
	requireErrors(t, client, batch)
}

// requireOutput expects the answers to the quick lines, and output_expires_after on their file.
func requireOutput(t *testing.T, client openai.Client, batch *openai.Batch) {
	t.Helper()
	file, err := client.Files.Get(t.Context(), batch.OutputFileID)
	require.NoError(t, err)
	require.Equal(t, openai.FileObjectPurposeBatchOutput, file.Purpose)
	require.Equal(t, file.CreatedAt+7200, file.ExpiresAt)
	lines := outcomes(t, download(t, client, batch.OutputFileID))
	require.Len(t, lines, 2)
	for i, id := range []string{lineID(0), lineID(2)} {
		require.Equal(t, id, lines[i].CustomID)
		require.Nil(t, lines[i].Error)
		require.Equal(t, http.StatusOK, lines[i].Response.StatusCode)
		require.NotEmpty(t, lines[i].Response.RequestID)
		var completion openai.ChatCompletion
		require.NoError(t, json.Unmarshal(lines[i].Response.Body, &completion))
		require.NotEmpty(t, completion.Choices[0].Message.Content)
	}
	require.NotEqual(t, lines[0].ID, lines[1].ID)
}

// requireErrors expects the refused line with the provider's own answer.
func requireErrors(t *testing.T, client openai.Client, batch *openai.Batch) {
	t.Helper()
	lines := outcomes(t, download(t, client, batch.ErrorFileID))
	require.Len(t, lines, 1)
	require.Equal(t, lineID(1), lines[0].CustomID)
	require.Nil(t, lines[0].Error)
	require.Equal(t, http.StatusBadRequest, lines[0].Response.StatusCode)
	var body struct{ Error openai.ErrorObject }
	require.NoError(t, json.Unmarshal(lines[0].Response.Body, &body))
	require.NotEmpty(t, body.Error.Message)
}

func TestOpenAIIsToldWhyABatchFailed(t *testing.T) {
	t.Parallel()
	client := official(t)
	batch := ended(t, client, submit(t, client, input(t, quick)+"no JSON\n"+`{"custom_id":"x"}`+"\n").ID)
	require.Equal(t, openai.BatchStatusFailed, batch.Status)
	require.Positive(t, batch.FailedAt)
	require.Empty(t, batch.OutputFileID)
	require.Equal(t, "list", batch.Errors.Object)
	first := batch.Errors.Data[0]
	require.Equal(t, "invalid_json_line", first.Code)
	require.EqualValues(t, 2, first.Line)
	second := batch.Errors.Data[1]
	require.Equal(t, "missing_required_parameter", second.Code)
	require.Equal(t, "method", second.Param)
	require.EqualValues(t, 3, second.Line)
}

func TestOpenAICancelsABatch(t *testing.T) {
	t.Parallel()
	client := official(t)
	created := submit(t, client, input(t, quick, hang))
	running := halfDone(t, client, created.ID)
	require.Equal(t, openai.BatchStatusInProgress, running.Status)

	cancelling, err := client.Batches.Cancel(t.Context(), created.ID)
	require.NoError(t, err)
	require.Equal(t, openai.BatchStatusCancelling, cancelling.Status)
	require.Positive(t, cancelling.CancellingAt)
	batch := ended(t, client, created.ID)
	require.Equal(t, openai.BatchStatusCancelled, batch.Status)
	require.GreaterOrEqual(t, batch.CancelledAt, batch.CancellingAt)

	done := outcomes(t, download(t, client, batch.OutputFileID))
	require.Len(t, done, 1)
	require.Equal(t, lineID(0), done[0].CustomID)
	rest := outcomes(t, download(t, client, batch.ErrorFileID))
	require.Len(t, rest, 1)
	require.Equal(t, lineID(1), rest[0].CustomID)
	require.Nil(t, rest[0].Response)
	require.Equal(t, "batch_cancelled", rest[0].Error.Code)

	again, err := client.Batches.Cancel(t.Context(), created.ID)
	require.NoError(t, err, "to cancel twice is no error")
	require.Equal(t, openai.BatchStatusCancelled, again.Status)
}

func TestOpenAIPagesThroughBatches(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	client := official(t, counted(&requests))
	var created []string
	for range 5 {
		created = append(created, submit(t, client, input(t, quick)).ID)
	}
	requests.Store(0)
	pager := client.Batches.ListAutoPaging(t.Context(), openai.BatchListParams{Limit: openai.Int(2)})
	var listed []string
	for pager.Next() {
		listed = append(listed, pager.Current().ID)
	}
	require.NoError(t, pager.Err())
	require.GreaterOrEqual(t, requests.Load(), int64(3), "five batches in pages of two")
	slices.Reverse(listed)
	require.Equal(t, created, only(created, listed), "each once, newest first")
}
