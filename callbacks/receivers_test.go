package callbacks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

const generationBody = `{"id":"evt_1","object":"event","type":"generation.completed","created":1706140800,"created_at":1706140800,` +
	`"event_id":"evt_1","sequence":2,"cache_scope_to_invalidate":{"scope":"KEY","keys":["gen_1"]},"status":"completed",` +
	`"model":"sim-small","timestamp":1706140800,"model_output":"Forty-two, as always: 💩 & <b>","data":{"id":"gen_1","object":{}}}`

const batchBody = `{"id":"evt_1","object":"event","type":"batch.completed","created":1706140800,"created_at":1706140800,"event_id":"evt_1",` +
	`"sequence":7,"cache_scope_to_invalidate":{"scope":"KEY","keys":["batch_1"]},"data":{"id":"batch_1",` +
	`"object":{"id":"batch_1","request_counts":{"total":100,"completed":99,"failed":1}}}}`

// deliver sends a body with a Poster and gives what arrived.
func deliver(t *testing.T, p *Poster, change func(c *Claimed)) message {
	t.Helper()
	r := receive(t, nil)
	c := claim(r.URL)
	change(&c)
	require.Equal(t, 204, postOnce(t.Context(), p, c, 1).StatusCode)
	return r.messages()[0]
}

// A receiver that knows no signatures: it checks its own token, reads event_id and slices model_output.
func TestReceiverWithATokenOfItsOwn(t *testing.T) {
	t.Parallel()
	m := deliver(t, openPoster(t), func(c *Claimed) {
		c.Body = []byte(generationBody)
		c.Receiver.Headers = map[string]string{"X-Custom-Token": "their-token"}
	})
	require.Equal(t, "their-token", m.Header.Get("x-custom-token"))
	var body struct {
		EventID     string `json:"event_id"`
		ModelOutput string `json:"model_output"`
	}
	require.NoError(t, json.Unmarshal(m.Body, &body))
	require.Equal(t, "evt_1", body.EventID)
	require.Equal(t, "Forty-two", body.ModelOutput[:9])
}

// A receiver that compares a hex HMAC of the body under a header name of the operator's choice.
func TestReceiverOfABodySignature(t *testing.T) {
	t.Parallel()
	p := NewPoster(PosterOptions{Client: openPoster(t).Client, BodySignatureHeader: "x-their-signature", Now: time.Now})
	m := deliver(t, p, func(c *Claimed) { c.Body = []byte(batchBody) })
	mac := hmac.New(sha256.New, []byte(testSecret))
	mac.Write(m.Body)
	given, err := hex.DecodeString(m.Header.Get("X-Their-Signature"))
	require.NoError(t, err)
	require.True(t, hmac.Equal(given, mac.Sum(nil)))
	require.Empty(t, m.Header.Get("X-Ringback-Signature"))
	var body struct {
		Type    string
		Created int64
		Data    struct {
			Object struct {
				ID            string
				RequestCounts struct{ Total, Completed, Failed int } `json:"request_counts"`
			}
		}
	}
	require.NoError(t, json.Unmarshal(m.Body, &body))
	require.Equal(t, "batch.completed", body.Type)
	require.EqualValues(t, 1706140800, body.Created)
	require.Equal(t, "batch_1", body.Data.Object.ID)
	require.Equal(t, 99, body.Data.Object.RequestCounts.Completed)
}

// A receiver that uses the Standard Webhooks library (R28).
func TestReceiverWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	wh, err := standardwebhooks.NewWebhook(testSecret)
	require.NoError(t, err)
	m := deliver(t, openPoster(t), func(c *Claimed) { c.Body = []byte(generationBody) })
	require.NoError(t, wh.Verify(m.Body, m.Header))
	require.Equal(t, generationBody, string(m.Body), "the bytes that are signed are the bytes that are sent")
	m.Body[10] ^= 1
	require.Error(t, wh.Verify(m.Body, m.Header))
	require.Error(t, wh.Verify([]byte(generationBody), http.Header{}))
}
