package clients

import (
	"crypto/md5"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/stretchr/testify/require"
)

// begin declares an upload of a file of batch requests.
func begin(t *testing.T, client openai.Client, size int) *openai.Upload {
	t.Helper()
	created, err := client.Uploads.New(t.Context(), openai.UploadNewParams{
		Bytes: int64(size), Filename: "input.jsonl", MimeType: "application/jsonl", Purpose: openai.FilePurposeBatch,
		ExpiresAfter: openai.UploadNewParamsExpiresAfter{Seconds: 7200},
	})
	require.NoError(t, err)
	return created
}

func addPart(t *testing.T, client openai.Client, upload, text string) (*openai.UploadPart, error) {
	t.Helper()
	return client.Uploads.Parts.New(t.Context(), upload, openai.UploadPartNewParams{Data: strings.NewReader(text)})
}

// cut splits a text into n pieces, wherever that falls.
func cut(text string, n int) (pieces []string) {
	for i := range n {
		pieces = append(pieces, text[len(text)*i/n:len(text)*(i+1)/n])
	}
	return pieces
}

// TestOpenAIUploadsInParts: 20 parts side by side, in any order, make the file that a batch then runs.
func TestOpenAIUploadsInParts(t *testing.T) {
	t.Parallel()
	client, content := official(t), input(t, quick, refuse, quick)
	created := begin(t, client, len(content))
	require.Equal(t, openai.UploadStatusPending, created.Status)
	require.EqualValues(t, len(content), created.Bytes)
	require.Equal(t, "input.jsonl", created.Filename)
	require.Equal(t, created.CreatedAt+60*60, created.ExpiresAt)

	pieces := cut(content, 20)
	ids := make([]string, len(pieces))
	var sent sync.WaitGroup
	for _, i := range rand.Perm(len(pieces)) {
		sent.Go(func() {
			part, err := addPart(t, client, created.ID, pieces[i])
			if err != nil {
				t.Errorf("part %d: %v", i, err)
				return
			}
			ids[i] = part.ID
		})
	}
	sent.Wait()
	params := openai.UploadCompleteParams{PartIDs: ids, Md5: openai.String(fmt.Sprintf("%x", md5.Sum([]byte(content))))}
	done, err := client.Uploads.Complete(t.Context(), created.ID, params)
	require.NoError(t, err)
	require.Equal(t, openai.UploadStatusCompleted, done.Status)
	require.Equal(t, done.File.CreatedAt+7200, done.File.ExpiresAt)
	require.Equal(t, content, string(download(t, client, done.File.ID)))
	file, err := client.Files.Get(t.Context(), done.File.ID)
	require.NoError(t, err)
	require.JSONEq(t, file.RawJSON(), done.File.RawJSON())

	batch, err := client.Batches.New(t.Context(), openai.BatchNewParams{
		InputFileID: done.File.ID, Endpoint: openai.BatchNewParamsEndpointV1ChatCompletions,
		CompletionWindow: openai.BatchNewParamsCompletionWindow24h,
	})
	require.NoError(t, err)
	batch = ended(t, client, batch.ID)
	require.Equal(t, openai.BatchStatusCompleted, batch.Status)
	require.EqualValues(t, 2, batch.RequestCounts.Completed)
	require.EqualValues(t, 1, batch.RequestCounts.Failed)

	again, err := client.Uploads.Complete(t.Context(), created.ID, params)
	require.NoError(t, err, "the client repeats what it got no answer to")
	require.JSONEq(t, done.RawJSON(), again.RawJSON())
}

func TestOpenAICancelsAnUpload(t *testing.T) {
	t.Parallel()
	client := official(t)
	created := begin(t, client, 4)
	part, err := addPart(t, client, created.ID, "abcd")
	require.NoError(t, err)
	require.Equal(t, created.ID, part.UploadID)
	cancelled, err := client.Uploads.Cancel(t.Context(), created.ID)
	require.NoError(t, err)
	require.Equal(t, openai.UploadStatusCancelled, cancelled.Status)
	require.Empty(t, cancelled.File.ID)

	_, err = addPart(t, client, created.ID, "abcd")
	require.Contains(t, requireAPIError(t, err, http.StatusBadRequest).Message, "'cancelled'")
	_, err = client.Uploads.Complete(t.Context(), created.ID, openai.UploadCompleteParams{PartIDs: []string{part.ID}})
	requireAPIError(t, err, http.StatusBadRequest)
	_, err = client.Uploads.Cancel(t.Context(), created.ID)
	requireAPIError(t, err, http.StatusBadRequest)
}

// TestOpenAIIsToldWhyAnUploadIsRefused: in the envelope, with what is wrong.
func TestOpenAIIsToldWhyAnUploadIsRefused(t *testing.T) {
	t.Parallel()
	client := official(t)
	_, err := client.Uploads.New(t.Context(), openai.UploadNewParams{
		Bytes: 8_000_000_001, Filename: "a.bin", MimeType: "text/plain", Purpose: openai.FilePurposeUserData,
	})
	requireAPIError(t, err, http.StatusBadRequest)
	_, err = client.Uploads.Cancel(t.Context(), "upload_x")
	requireAPIError(t, err, http.StatusNotFound)

	created := begin(t, client, 10)
	part, err := addPart(t, client, created.ID, "{}\n")
	require.NoError(t, err)
	for _, row := range []struct {
		name, say string
		params    openai.UploadCompleteParams
	}{
		{"too few bytes", "3 bytes together, but the upload was created for 10", openai.UploadCompleteParams{PartIDs: []string{part.ID}}},
		{"twice", "stands twice", openai.UploadCompleteParams{PartIDs: []string{part.ID, part.ID}}},
		{"unknown part", "no part 'part_x'", openai.UploadCompleteParams{PartIDs: []string{"part_x"}}},
		{"no parts", "part_ids", openai.UploadCompleteParams{}},
	} {
		_, err := client.Uploads.Complete(t.Context(), created.ID, row.params)
		require.Contains(t, requireAPIError(t, err, http.StatusBadRequest).Message, row.say, row.name)
	}
}

// TestUploadsFollowTheDocument: what only GET shows, too, and that an upload of each state does.
func TestUploadsFollowTheDocument(t *testing.T) {
	t.Parallel()
	document := requireDocument(t)
	client := official(t)
	created := begin(t, client, 3)
	shown := func(status openai.UploadStatus) {
		t.Helper()
		var u openai.Upload
		require.NoError(t, client.Get(t.Context(), "uploads/"+created.ID, nil, &u))
		require.Equal(t, status, u.Status)
		require.NoError(t, document.component("Upload", []byte(u.RawJSON())))
	}
	shown(openai.UploadStatusPending)
	part, err := addPart(t, client, created.ID, "{}\n")
	require.NoError(t, err)
	require.NoError(t, document.component("UploadPart", []byte(part.RawJSON())))
	done, err := client.Uploads.Complete(t.Context(), created.ID, openai.UploadCompleteParams{PartIDs: []string{part.ID}})
	require.NoError(t, err)
	require.NoError(t, document.component("Upload", []byte(done.RawJSON())))
	shown(openai.UploadStatusCompleted)
}
