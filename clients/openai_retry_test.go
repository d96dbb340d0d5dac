package clients

import (
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/stretchr/testify/require"
)

// TestOpenAISubmitsAnErrorFileAgain: what it downloads is uploaded as it is, and what failed for a while gets through.
func TestOpenAISubmitsAnErrorFileAgain(t *testing.T) {
	t.Parallel()
	client := official(t)
	once := "[[sim:status=400 times=1]] refused at the first try of " + t.Name()
	first := ended(t, client, submit(t, client, input(t, quick, once, refuse)).ID)
	require.EqualValues(t, 2, first.RequestCounts.Failed)
	failed := download(t, client, first.ErrorFileID)
	require.Len(t, outcomes(t, failed), 2)

	second := ended(t, client, submit(t, client, string(failed)).ID)
	require.Equal(t, openai.BatchStatusCompleted, second.Status)
	require.EqualValues(t, 2, second.RequestCounts.Total)
	done := outcomes(t, download(t, client, second.OutputFileID))
	require.Len(t, done, 1)
	require.Equal(t, lineID(1), done[0].CustomID)

	third, err := client.Batches.New(t.Context(), openai.BatchNewParams{
		InputFileID: second.ErrorFileID, Endpoint: openai.BatchNewParamsEndpointV1ChatCompletions,
		CompletionWindow: openai.BatchNewParamsCompletionWindow24h,
	})
	require.NoError(t, err)
	again := outcomes(t, download(t, client, ended(t, client, third.ID).ErrorFileID))
	require.Len(t, again, 1)
	require.Equal(t, lineID(2), again[0].CustomID)
}

// TestOpenAISeesABatchRetried: the answer to a call that it does not know is a batch that it does.
func TestOpenAISeesABatchRetried(t *testing.T) {
	t.Parallel()
	client := official(t)
	once := "[[sim:status=400 times=1]] refused at the first try of " + t.Name()
	first := ended(t, client, submit(t, client, input(t, quick, once, quick)).ID)
	var retried openai.Batch
	require.NoError(t, client.Post(t.Context(), "batches/"+first.ID+"/retry", map[string]string{"model": "sim-large"}, &retried))
	require.Equal(t, first.InputFileID, retried.InputFileID)
	second := ended(t, client, retried.ID)
	require.Equal(t, openai.BatchStatusCompleted, second.Status)
	require.EqualValues(t, 3, second.RequestCounts.Completed)
	done := outcomes(t, download(t, client, second.OutputFileID))
	require.Len(t, done, 3)
	for i, line := range done {
		require.Equal(t, lineID(i), line.CustomID)
	}
	require.Equal(t, "sim-large", second.Model)
}

// TestOpenAISubmitsRequestsInline through the parameter that takes what a client does not know.
func TestOpenAISubmitsRequestsInline(t *testing.T) {
	t.Parallel()
	client := official(t)
	created, err := client.Batches.New(t.Context(), openai.BatchNewParams{
		Endpoint: openai.BatchNewParamsEndpointV1ChatCompletions, CompletionWindow: openai.BatchNewParamsCompletionWindow24h,
	}, option.WithJSONDel("input_file_id"), option.WithJSONSet("requests", []any{
		map[string]any{"body": map[string]any{"model": "sim-small", "messages": []any{map[string]string{"role": "user", "content": quick}}}},
	}))
	require.NoError(t, err)
	batch := ended(t, client, created.ID)
	require.Equal(t, openai.BatchStatusCompleted, batch.Status)
	file, err := client.Files.Get(t.Context(), batch.InputFileID)
	require.NoError(t, err)
	require.Equal(t, openai.FileObjectPurposeBatch, file.Purpose)
	require.Equal(t, "request-1", outcomes(t, download(t, client, batch.OutputFileID))[0].CustomID)
}
