package clients

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/webhooks"
	"github.com/stretchr/testify/require"
)

// token is what a receiver may ask for in a header of its own.
const token = "only-ours-knows"

// toReceiver adds the webhook field that OpenAI's API does not have.
func toReceiver(t *testing.T) option.RequestOption {
	t.Helper()
	return option.WithJSONSet("webhook", map[string]any{
		"url": ring.receiver.url(t), "method": "PUT", "headers": map[string]string{"X-Custom-Token": token},
	})
}

// signing is the client with the secret that signs callbacks which bring none of their own.
func signing(t *testing.T) openai.Client {
	t.Helper()
	client := official(t)
	var secret struct{ Key string }
	require.NoError(t, client.Get(t.Context(), "webhooks/default/secret", nil, &secret))
	return official(t, option.WithWebhookSecret(secret.Key))
}

func TestOpenAIUnwrapsCallbacks(t *testing.T) {
	t.Parallel()
	client := signing(t)
	for _, c := range []struct {
		name  string
		batch func(*testing.T) *openai.Batch // as polling shows it once it has ended
		id    func(any) (id, object string)  // of the typed event; empty for another type
	}{
		{"completed", func(t *testing.T) *openai.Batch {
			return ended(t, client, submit(t, client, input(t, quick), toReceiver(t)).ID)
		}, func(e any) (string, string) {
			typed, _ := e.(webhooks.BatchCompletedWebhookEvent)
			return typed.Data.ID, string(typed.Object)
		}},
		{"failed", func(t *testing.T) *openai.Batch {
			return ended(t, client, submit(t, client, "{}\n", toReceiver(t)).ID)
		}, func(e any) (string, string) {
			typed, _ := e.(webhooks.BatchFailedWebhookEvent)
			return typed.Data.ID, string(typed.Object)
		}},
		{"cancelled", func(t *testing.T) *openai.Batch {
			created := submit(t, client, input(t, quick, hang), toReceiver(t))
			halfDone(t, client, created.ID)
			_, err := client.Batches.Cancel(t.Context(), created.ID)
			require.NoError(t, err)
			return ended(t, client, created.ID)
		}, func(e any) (string, string) {
			typed, _ := e.(webhooks.BatchCancelledWebhookEvent)
			return typed.Data.ID, string(typed.Object)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			batch := c.batch(t)
			require.Equal(t, c.name, string(batch.Status))
			call := ring.receiver.await(t)
			require.Equal(t, http.MethodPut, call.method)
			require.Equal(t, token, call.header.Get("X-Custom-Token"))

			event, err := client.Webhooks.Unwrap(call.body, call.header)
			require.NoError(t, err)
			require.Equal(t, call.header.Get("webhook-id"), event.ID)
			require.InDelta(t, time.Now().Unix(), event.CreatedAt, 60)
			id, object := c.id(event.AsAny())
			require.Equal(t, batch.ID, id)
			require.Equal(t, "event", object)
			requireSameObject(t, batch, event)
			requireForgeriesRefused(t, client, call)
			requireByDocument(t, event.Type, call.body)
		})
	}
}

// requireSameObject expects under data.object what polling answers.
func requireSameObject(t *testing.T, batch *openai.Batch, event *webhooks.UnwrapWebhookEventUnion) {
	t.Helper()
	var body struct {
		Data struct{ Object json.RawMessage }
	}
	require.NoError(t, json.Unmarshal([]byte(event.RawJSON()), &body))
	require.JSONEq(t, batch.RawJSON(), string(body.Data.Object))
}

func requireForgeriesRefused(t *testing.T, client openai.Client, call callback) {
	t.Helper()
	refused := func(why string, body []byte, header http.Header, opts ...option.RequestOption) {
		_, err := client.Webhooks.Unwrap(body, header, opts...)
		require.Error(t, err, why)
	}
	changed := slices.Clone(call.body)
	changed[len(changed)/2] ^= 1
	refused("changed body", changed, call.header)
	refused("body with a line break more", append(slices.Clone(call.body), '\n'), call.header)
	refused("another secret", call.body, call.header, option.WithWebhookSecret(ownSecret))
	for name, value := range map[string]string{
		"webhook-id": "evt_other", "webhook-timestamp": strconv.FormatInt(time.Now().Unix()-7, 10), "webhook-signature": "v1,AAAA",
	} {
		header := call.header.Clone()
		header.Set(name, value)
		refused("changed "+name, call.body, header)
	}
	_, err := client.Webhooks.UnwrapWithToleranceAndTime(call.body, call.header, 5*time.Minute, time.Now().Add(6*time.Minute))
	require.Error(t, err, "too old")
}

// ownSecret is one that a client brings with its submission.
const ownSecret = "whsec_YSBzZWNyZXQgb2YgdGhlIGNsaWVudCdzIG93bg=="

func TestOpenAIUnwrapsWithTheSubmissionsOwnSecret(t *testing.T) {
	t.Parallel()
	client := signing(t)
	batch := submit(t, client, input(t, quick), option.WithJSONSet("webhook", map[string]any{
		"url": ring.receiver.url(t), "secret": ownSecret,
	}))
	require.NotContains(t, batch.RawJSON(), ownSecret)
	call := ring.receiver.await(t)
	event, err := client.Webhooks.Unwrap(call.body, call.header, option.WithWebhookSecret(ownSecret))
	require.NoError(t, err)
	require.Equal(t, batch.ID, event.AsBatchCompleted().Data.ID)
	_, err = client.Webhooks.Unwrap(call.body, call.header)
	require.Error(t, err, "the project's secret did not sign it")
}
