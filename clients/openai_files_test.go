package clients

import (
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/stretchr/testify/require"
)

func TestOpenAIKeepsFiles(t *testing.T) {
	t.Parallel()
	client, content := official(t), input(t, quick)
	file := upload(t, client, content)
	require.EqualValues(t, len(content), file.Bytes)
	require.Equal(t, "input.jsonl", file.Filename)
	require.Equal(t, openai.FileObjectPurposeBatch, file.Purpose)
	require.Equal(t, openai.FileObjectStatusProcessed, file.Status) //nolint:staticcheck // deprecated, and clients still wait for it
	require.Equal(t, file.CreatedAt+30*24*60*60, file.ExpiresAt, "batch files are kept for 30 days")

	got, err := client.Files.Get(t.Context(), file.ID)
	require.NoError(t, err)
	require.JSONEq(t, file.RawJSON(), got.RawJSON())
	require.Equal(t, content, string(download(t, client, file.ID)))

	deleted, err := client.Files.Delete(t.Context(), file.ID)
	require.NoError(t, err)
	require.Equal(t, file.ID, deleted.ID)
	require.True(t, deleted.Deleted)
	_, err = client.Files.Get(t.Context(), file.ID)
	requireAPIError(t, err, http.StatusNotFound)
}

func TestOpenAIGivesFilesATimeToLive(t *testing.T) {
	t.Parallel()
	client := official(t)
	file, err := client.Files.New(t.Context(), openai.FileNewParams{
		File: openai.File(http.NoBody, "notes.txt", "text/plain"), Purpose: openai.FilePurposeUserData,
		ExpiresAfter: openai.FileNewParamsExpiresAfter{Seconds: 3600},
	})
	require.NoError(t, err)
	require.Equal(t, file.CreatedAt+3600, file.ExpiresAt)
}

func TestOpenAIPagesThroughFiles(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	client := official(t, counted(&requests))
	var uploaded []string
	for range 5 {
		uploaded = append(uploaded, upload(t, client, input(t, quick)).ID)
	}
	for _, order := range []openai.FileListParamsOrder{openai.FileListParamsOrderDesc, openai.FileListParamsOrderAsc} {
		requests.Store(0)
		pager := client.Files.ListAutoPaging(t.Context(), openai.FileListParams{
			Limit: openai.Int(2), Purpose: openai.String("batch"), Order: order,
		})
		var listed []string
		for pager.Next() {
			listed = append(listed, pager.Current().ID)
		}
		require.NoError(t, pager.Err())
		require.GreaterOrEqual(t, requests.Load(), int64(3), "five files in pages of two")
		if order == openai.FileListParamsOrderDesc {
			slices.Reverse(listed)
		}
		require.Equal(t, uploaded, only(uploaded, listed), "each once, in the order %s", order)
	}
}

// only keeps those of the listed that are ours: other tests make theirs meanwhile.
func only(ours, listed []string) []string {
	return slices.DeleteFunc(listed, func(id string) bool { return !slices.Contains(ours, id) })
}
