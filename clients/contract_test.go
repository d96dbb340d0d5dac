package clients

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/stretchr/testify/require"
)

// Answers are checked as they pass (checkedClient); these tests see to it that each kind of answer does pass.

func TestABatchFollowsTheDocumentInEveryState(t *testing.T) {
	t.Parallel()
	document := requireDocument(t)
	client := official(t)
	for _, c := range []struct {
		status openai.BatchStatus
		batch  func(*testing.T) *openai.Batch
	}{
		{openai.BatchStatusValidating, func(t *testing.T) *openai.Batch { return submit(t, client, input(t, quick)) }},
		{openai.BatchStatusInProgress, func(t *testing.T) *openai.Batch { return running(t, client) }},
		{openai.BatchStatusFinalizing, func(t *testing.T) *openai.Batch { return finalizing(t, client) }},
		{openai.BatchStatusCompleted, func(t *testing.T) *openai.Batch {
			return ended(t, client, submit(t, client, input(t, quick, refuse)).ID)
		}},
		{openai.BatchStatusFailed, func(t *testing.T) *openai.Batch {
			return ended(t, client, submit(t, client, input(t, quick)+input(t, quick)+"[]\n{}\n").ID)
		}},
		{openai.BatchStatusCancelling, func(t *testing.T) *openai.Batch { return cancel(t, client, running(t, client)) }},
		{openai.BatchStatusCancelled, func(t *testing.T) *openai.Batch {
			return ended(t, client, cancel(t, client, running(t, client)).ID)
		}},
	} {
		t.Run(string(c.status), func(t *testing.T) {
			t.Parallel()
			batch := c.batch(t)
			require.Equal(t, c.status, batch.Status)
			require.NoError(t, document.component("Batch", []byte(batch.RawJSON())))
		})
	}
}

// running is a batch with one line answered and one under way.
func running(t *testing.T, client openai.Client) *openai.Batch {
	t.Helper()
	batch := halfDone(t, client, submit(t, client, input(t, quick, hang)).ID)
	t.Cleanup(func() {
		// It would be worked on until the server ends.
		_, _ = client.Batches.Cancel(context.WithoutCancel(t.Context()), batch.ID)
	})
	return batch
}

func cancel(t *testing.T, client openai.Client, batch *openai.Batch) *openai.Batch {
	t.Helper()
	batch, err := client.Batches.Cancel(t.Context(), batch.ID)
	require.NoError(t, err)
	return batch
}

// finalizing is a batch whose files are being written: long enough to be seen, or else it is tried again.
func finalizing(t *testing.T, client openai.Client) *openai.Batch {
	t.Helper()
	long := make([]string, 20)
	for i := range long {
		long[i] = fmt.Sprintf("[[sim:bytes=2000000]] %d", i)
	}
	for range 5 {
		id := submit(t, client, input(t, long...)).ID
		batch := until(t, client, id, waitTime, func(b *openai.Batch) bool {
			return b.Status == openai.BatchStatusFinalizing || terminal(b)
		})
		if batch.Status == openai.BatchStatusFinalizing {
			return batch
		}
	}
	require.Fail(t, "finalizing was never seen")
	return nil
}

// shortestWindow is the least completion_window that Ringback takes.
const shortestWindow = time.Minute

func TestAnExpiredBatchFollowsTheDocument(t *testing.T) {
	t.Parallel()
	document := requireDocument(t)
	client := signing(t)
	created := submit(t, client, input(t, quick, hang), toReceiver(t), option.WithJSONSet("completion_window", "1m"))
	require.EqualValues(t, shortestWindow.Seconds(), created.ExpiresAt-created.CreatedAt)
	batch := until(t, client, created.ID, shortestWindow+waitTime, terminal)
	require.Equal(t, openai.BatchStatusExpired, batch.Status)
	require.GreaterOrEqual(t, batch.ExpiredAt, batch.ExpiresAt)
	require.NoError(t, document.component("Batch", []byte(batch.RawJSON())))

	require.Len(t, outcomes(t, download(t, client, batch.OutputFileID)), 1)
	rest := outcomes(t, download(t, client, batch.ErrorFileID))
	require.Len(t, rest, 1)
	require.Equal(t, "batch_expired", rest[0].Error.Code)

	call := ring.receiver.await(t)
	event, err := client.Webhooks.Unwrap(call.body, call.header)
	require.NoError(t, err)
	require.Equal(t, batch.ID, event.AsBatchExpired().Data.ID)
	require.NoError(t, document.event("batch.expired", call.body))
	requireSameObject(t, batch, event)
}

func TestEmptyListsFollowTheDocument(t *testing.T) {
	t.Parallel()
	document := requireDocument(t)
	client := official(t)
	files, err := client.Files.List(t.Context(), openai.FileListParams{Purpose: openai.String("evals")})
	require.NoError(t, err)
	require.NoError(t, document.component("ListFilesResponse", []byte(files.RawJSON())))
	require.Empty(t, files.Data)
	require.True(t, files.JSON.HasMore.Valid())

	oldest := submit(t, client, input(t, quick)).ID
	for pager := client.Batches.ListAutoPaging(t.Context(), openai.BatchListParams{}); pager.Next(); {
		oldest = pager.Current().ID
	}
	batches, err := client.Batches.List(t.Context(), openai.BatchListParams{After: openai.String(oldest)})
	require.NoError(t, err)
	require.NoError(t, document.component("ListBatchesResponse", []byte(batches.RawJSON())))
	require.Empty(t, batches.Data)
	require.True(t, batches.JSON.HasMore.Valid())
}

func TestErrorsFollowTheDocument(t *testing.T) {
	t.Parallel()
	requireDocument(t)
	const batchBody = `{"input_file_id":"file-x","endpoint":"/v1/chat/completions","completion_window":"24h"}`
	for _, c := range []struct {
		name, method, path, body string
		header                   http.Header
		want                     int
	}{
		{name: "no JSON", method: "POST", path: "/v1/batches", body: "{", want: 400},
		{name: "empty body", method: "POST", path: "/v1/batches", want: 400},
		{name: "no object", method: "POST", path: "/v1/batches", body: "[]", want: 400},
		{name: "bad limit", method: "GET", path: "/v1/batches?limit=x", want: 400},
		{name: "bad order", method: "GET", path: "/v1/files?order=up", want: 400},
		{name: "no form", method: "POST", path: "/v1/files", body: "a", want: 400},
		{name: "web page of another origin", method: "GET", path: "/v1/batches", header: http.Header{"Origin": {"https://example.com"}}, want: 403},
		{name: "unknown file", method: "DELETE", path: "/v1/files/file-x", want: 404},
		{name: "unknown batch", method: "POST", path: "/v1/batches/batch_x/cancel", want: 404},
		{name: "unknown route", method: "GET", path: "/v1/poems", want: 404},
		{name: "unknown root", method: "GET", path: "/poems", want: 404},
		{name: "wrong method", method: "DELETE", path: "/v1/batches", want: 405},
		{name: "key used for another body", method: "POST", path: "/v1/batches", body: batchBody, header: http.Header{"Idempotency-Key": {usedKey(t)}}, want: 422},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, send(t, c.method, c.path, c.body, c.header))
		})
	}
}

// usedKey is an Idempotency-Key that has made a batch.
func usedKey(t *testing.T) string {
	t.Helper()
	client := official(t)
	key := upload(t, client, input(t, quick)).ID // unique, whatever the key means
	submit(t, client, input(t, quick), option.WithHeader("Idempotency-Key", key))
	return key
}

// send makes a request that no client would, and gives its status.
func send(t *testing.T, method, path, body string, header http.Header) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, ring.url+path, strings.NewReader(body))
	require.NoError(t, err)
	maps.Copy(request.Header, header)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := checkedClient(t).Do(request)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode
}
