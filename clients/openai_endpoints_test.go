package clients

import (
	"net/http"
	"slices"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/webhooks"
	"github.com/stretchr/testify/require"
)

// register makes an endpoint at the test's address that subscribes to nothing which other tests bring about.
func register(t *testing.T, client openai.Client, opts ...option.RequestOption) *webhooks.WebhookEndpointWithSecret {
	t.Helper()
	made, err := client.Webhooks.New(t.Context(), webhooks.WebhookNewParams{
		Name: t.Name(), URL: ring.receiver.url(t), EventTypes: []string{"endpoint.disabled"},
	}, opts...)
	require.NoError(t, err)
	return made
}

func TestOpenAIManagesEndpoints(t *testing.T) {
	t.Parallel()
	client := official(t)
	made := register(t, client, option.WithJSONSet("headers", map[string]string{"X-Custom-Token": token}))
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, made.ID)
	require.Equal(t, "webhook_endpoint", string(made.Object))
	require.NotEmpty(t, made.SigningSecret)
	require.NotContains(t, made.RawJSON(), token)

	got, err := client.Webhooks.Get(t.Context(), made.ID)
	require.NoError(t, err)
	require.Equal(t, []string{"endpoint.disabled"}, got.EventTypes)
	require.Equal(t, ring.receiver.url(t), got.URL)
	require.NotContains(t, got.RawJSON(), made.SigningSecret)

	changed, err := client.Webhooks.Update(t.Context(), made.ID, webhooks.WebhookUpdateParams{
		Name: openai.String("billing"), EventTypes: []string{"endpoint.disabled", "endpoint.recovered"},
	})
	require.NoError(t, err)
	require.Equal(t, "billing", changed.Name)
	require.Equal(t, got.URL, changed.URL, "what the update does not name stays")

	other := register(t, client)
	var listed []string
	pages := client.Webhooks.ListAutoPaging(t.Context(), webhooks.WebhookListParams{Limit: openai.Int(1)})
	for pages.Next() {
		listed = append(listed, pages.Current().ID)
	}
	require.NoError(t, pages.Err())
	require.Less(t, slices.Index(listed, other.ID), slices.Index(listed, made.ID), "newest first")
	require.GreaterOrEqual(t, slices.Index(listed, other.ID), 0)

	gone, err := client.Webhooks.Delete(t.Context(), made.ID)
	require.NoError(t, err)
	require.True(t, gone.Deleted)
	require.Equal(t, "webhook_endpoint.deleted", string(gone.Object))
	_, err = client.Webhooks.Get(t.Context(), made.ID)
	var failure *openai.Error
	require.ErrorAs(t, err, &failure)
	require.Equal(t, http.StatusNotFound, failure.StatusCode)
}

func TestOpenAIListsEventTypes(t *testing.T) {
	t.Parallel()
	client := official(t)
	types, err := client.Webhooks.EventTypes.List(t.Context())
	require.NoError(t, err)
	for _, typ := range []string{"batch.completed", "batch.failed", "batch.expired", "batch.cancelled"} {
		require.Contains(t, types.Data, typ)
	}
	_, err = client.Webhooks.New(t.Context(), webhooks.WebhookNewParams{Name: "all", URL: ring.receiver.url(t), EventTypes: []string{"batch.nothing"}})
	var failure *openai.Error
	require.ErrorAs(t, err, &failure)
	require.Equal(t, "event_types", failure.Param)
}

func TestOpenAITestsAnEndpoint(t *testing.T) {
	t.Parallel()
	client := official(t)
	made := register(t, client)
	result, err := client.Webhooks.Test(t.Context(), made.ID, webhooks.WebhookTestParams{EventType: "batch.completed"})
	require.NoError(t, err)
	require.EqualValues(t, http.StatusNoContent, result.StatusCode)
	require.Equal(t, made.ID, result.WebhookEndpointID)
	call := ring.receiver.await(t)
	event, err := client.Webhooks.Unwrap(call.body, call.header, option.WithWebhookSecret(made.SigningSecret))
	require.NoError(t, err)
	require.Equal(t, "batch.completed", event.Type)
}

func TestOpenAIRotatesAnEndpointsSecret(t *testing.T) {
	t.Parallel()
	client := official(t)
	made := register(t, client)
	rotated, err := client.Webhooks.RotateSecret(t.Context(), made.ID, webhooks.WebhookRotateSecretParams{KeepOldSecretActiveFor24Hours: openai.Bool(true)})
	require.NoError(t, err)
	require.NotEqual(t, made.SigningSecret, rotated.SigningSecret)
	verifies := func(call callback, secret string) bool {
		_, err := client.Webhooks.Unwrap(call.body, call.header, option.WithWebhookSecret(secret))
		return err == nil
	}
	batch := ended(t, client, submit(t, client, input(t, quick), option.WithJSONSet("webhook_ids", []string{made.ID})).ID)
	call := ring.receiver.await(t)
	require.Contains(t, string(call.body), batch.ID)
	require.True(t, verifies(call, made.SigningSecret), "the old secret signs in the overlap")
	require.True(t, verifies(call, rotated.SigningSecret))

	last, err := client.Webhooks.RotateSecret(t.Context(), made.ID, webhooks.WebhookRotateSecretParams{})
	require.NoError(t, err)
	submit(t, client, input(t, quick), option.WithJSONSet("webhook_ids", []string{made.ID}))
	call = ring.receiver.await(t)
	require.False(t, verifies(call, made.SigningSecret))
	require.False(t, verifies(call, rotated.SigningSecret))
	require.True(t, verifies(call, last.SigningSecret))
}

func TestOpenAINamesAnUnknownEndpoint(t *testing.T) {
	t.Parallel()
	client := official(t)
	file := upload(t, client, input(t, quick))
	_, err := client.Batches.New(t.Context(), openai.BatchNewParams{
		InputFileID: file.ID, Endpoint: openai.BatchNewParamsEndpointV1ChatCompletions, CompletionWindow: openai.BatchNewParamsCompletionWindow24h,
	}, option.WithJSONSet("webhook_ids", []string{"5f0c3c52-0000-4000-8000-000000000000"}))
	var failure *openai.Error
	require.ErrorAs(t, err, &failure)
	require.Equal(t, http.StatusBadRequest, failure.StatusCode)
	require.Equal(t, "webhook_ids", failure.Param)
	require.Contains(t, failure.Message, "5f0c3c52")
}
