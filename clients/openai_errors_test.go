package clients

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/stretchr/testify/require"
)

// requireAPIError expects the client's own error type.
func requireAPIError(t *testing.T, err error, status int) *openai.Error {
	t.Helper()
	var e *openai.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, status, e.StatusCode, "%s", e.RawJSON())
	require.NotEmpty(t, e.Response.Header.Get("x-request-id"))
	return e
}

func TestOpenAISeesTypedErrors(t *testing.T) {
	t.Parallel()
	const request = "invalid_request_error"
	batch := openai.BatchNewParams{
		InputFileID: "file-x", Endpoint: openai.BatchNewParamsEndpointV1ChatCompletions,
		CompletionWindow: openai.BatchNewParamsCompletionWindow24h,
	}
	newBatch := func(opts ...option.RequestOption) func(context.Context, openai.Client) error {
		return func(ctx context.Context, client openai.Client) error {
			_, err := client.Batches.New(ctx, batch, opts...)
			return err
		}
	}
	for _, c := range []struct {
		name   string
		call   func(context.Context, openai.Client) error
		status int
		want   openai.Error
	}{
		{"unknown file", func(ctx context.Context, client openai.Client) error {
			_, err := client.Files.Get(ctx, "file-x")
			return err
		}, 404, openai.Error{Type: request, Param: "id", Message: "No such File object: file-x"}},
		{"content of an unknown file", func(ctx context.Context, client openai.Client) error {
			_, err := client.Files.Content(ctx, "file-x")
			return err
		}, 404, openai.Error{Type: request, Param: "id", Message: "No such File object: file-x"}},
		{"unknown batch", func(ctx context.Context, client openai.Client) error {
			_, err := client.Batches.Get(ctx, "batch_x")
			return err
		}, 404, openai.Error{Type: request, Param: "id", Message: "No batch found with id 'batch_x'."}},
		{
			"missing parameter", newBatch(option.WithJSONDel("input_file_id")), 400,
			openai.Error{Type: request, Code: "missing_required_parameter", Param: "input_file_id", Message: "Missing required parameter: 'input_file_id'."},
		},
		{
			"wrong type", newBatch(option.WithJSONSet("endpoint", 1)), 400,
			openai.Error{Type: request, Code: "invalid_type", Param: "endpoint"},
		},
		{
			"wrong value", newBatch(option.WithJSONSet("endpoint", "/v1/poems")), 400,
			openai.Error{Type: request, Code: "invalid_value", Param: "endpoint"},
		},
		{
			"wrong window", newBatch(option.WithJSONSet("completion_window", "1h30")), 400,
			openai.Error{Type: request, Code: "invalid_value", Param: "completion_window"},
		},
		{
			"unknown parameter", newBatch(option.WithJSONSet("colour", "red")), 400,
			openai.Error{Type: request, Code: "unknown_parameter", Param: "colour"},
		},
		{
			"nested wrong type", newBatch(option.WithJSONSet("metadata", map[string]any{"tags": []int{1}})), 400,
			openai.Error{Type: request, Code: "invalid_type", Param: "metadata.tags"},
		},
		{
			"webhook that leads nowhere", newBatch(option.WithJSONSet("webhook", "http://169.254.169.254/x")), 400,
			openai.Error{Type: request, Code: "invalid_value", Param: "webhook.url"},
		},
		{"list after an unknown batch", func(ctx context.Context, client openai.Client) error {
			_, err := client.Batches.List(ctx, openai.BatchListParams{After: openai.String("batch_x")})
			return err
		}, 400, openai.Error{Type: request, Code: "invalid_value", Param: "after"}},
		{"list too long", func(ctx context.Context, client openai.Client) error {
			_, err := client.Batches.List(ctx, openai.BatchListParams{Limit: openai.Int(101)})
			return err
		}, 400, openai.Error{Type: request, Code: "integer_above_max_value", Param: "limit"}},
		{"batch file that is none", func(ctx context.Context, client openai.Client) error {
			_, err := client.Files.New(ctx, openai.FileNewParams{
				File: openai.File(strings.NewReader("{}"), "a.txt", "text/plain"), Purpose: openai.FilePurposeBatch,
			})
			return err
		}, 400, openai.Error{Type: request, Param: "file", Message: "Invalid file format for Batch API. Must be .jsonl"}},
		{"route that is not there", func(ctx context.Context, client openai.Client) error {
			_, err := client.VectorStores.List(ctx, openai.VectorStoreListParams{})
			return err
		}, 404, openai.Error{Type: request, Code: "unknown_url", Message: "Invalid URL (GET /v1/vector_stores)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var sent atomic.Int64
			got := requireAPIError(t, c.call(t.Context(), official(t, counted(&sent))), c.status)
			require.Equal(t, [3]string{c.want.Type, c.want.Code, c.want.Param}, [3]string{got.Type, got.Code, got.Param})
			require.NotEmpty(t, got.Message)
			if c.want.Message != "" {
				require.Equal(t, c.want.Message, got.Message)
			}
			require.EqualValues(t, 1, sent.Load())
		})
	}
}

func TestOpenAISendsASettledConflictOnce(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	client := official(t, counted(&sent))
	batch := ended(t, client, submit(t, client, input(t, quick)).ID)
	sent.Store(0)
	_, err := client.Batches.Cancel(t.Context(), batch.ID)
	e := requireAPIError(t, err, http.StatusConflict)
	require.Equal(t, "invalid_request_error", e.Type)
	require.Equal(t, "Cannot cancel a batch with status 'completed'.", e.Message)
	require.Empty(t, e.Code+e.Param)
	require.EqualValues(t, 1, sent.Load())
}

// The other half of the test above: this client does repeat a conflict that does not say that it is settled.
func TestOpenAIRepeatsOtherConflicts(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"error":{"message":"Busy.","type":"invalid_request_error","param":null,"code":null}}`)
	}))
	t.Cleanup(other.Close)
	client := official(t, counted(&sent), option.WithBaseURL(other.URL), option.WithMaxRetryDelay(time.Millisecond))
	_, err := client.Batches.Cancel(t.Context(), "batch_x")
	var e *openai.Error
	require.ErrorAs(t, err, &e)
	require.EqualValues(t, 3, sent.Load())
}

func TestOpenAINeedsAKeyWhereKeysAreSet(t *testing.T) {
	t.Parallel()
	closed, err := startServer(ring.binary, filepath.Join(t.TempDir(), "serve"), ring.receiver.port(), "auth.keys=[right]")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, closed.stop()) })

	client := official(t, option.WithBaseURL(closed.url+"/v1"))
	_, err = client.Batches.List(t.Context(), openai.BatchListParams{}, option.WithAPIKey("wrong"))
	e := requireAPIError(t, err, http.StatusUnauthorized)
	require.Equal(t, "invalid_api_key", e.Code)
	_, err = client.Batches.List(t.Context(), openai.BatchListParams{}, option.WithAPIKey("right"))
	require.NoError(t, err)
}
