package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// bodyHeader is a header name of the operator's choice, that a receiver already checks.
const bodyHeader = "X-Body-Hmac"

// Receivers that exist already work unchanged. Each answers 401 to what it would not take, so only a delivery on the
// first attempt passes.
func TestExistingReceiversWorkUnchanged(t *testing.T) {
	t.Parallel()
	up := startUpstream(t, nil)
	s := startServer(t, append(openCallbacks(), up.provider(""), "callbacks.body_signature_header="+bodyHeader)...)
	secret := s.secret()
	for _, row := range []struct {
		name   string
		accept func(callback) error
	}{
		{"its own token, event_id and model_output", ownToken},
		{"hex HMAC of the body, type, created, data.object", bodyHMAC(secret)},
		{"the Standard Webhooks library", func(c callback) error { return c.verify(secret) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			hook := startReceiver(t)
			hook.handle = func(c callback) int {
				if err := row.accept(c); err != nil {
					t.Errorf("refused: %v\n%s", err, c.body)
					return http.StatusUnauthorized
				}
				return http.StatusOK
			}
			webhook := fmt.Sprintf(`,"webhook":{"url":"%s/in","method":"POST","headers":{"X-Custom-Token":"let-me-in"}}`, hook.server.URL)
			for _, job := range []string{s.generate("hello", webhook), s.batch(s.input(numbered(2, 0)), webhook)} {
				d := s.settled(job)
				require.Len(t, d, 1)
				require.Equal(t, "delivered", d[0].Get("status").String())
				require.Len(t, d[0].Get("attempts").Array(), 1)
			}
			require.Len(t, hook.all(), 2)
		})
	}
}

// ownToken knows nothing of signatures: it slices model_output where there is one, and drops events it has seen.
func ownToken(c callback) error {
	var event struct {
		EventID     string  `json:"event_id"`
		Type        string  `json:"type"`
		ModelOutput *string `json:"model_output"`
	}
	if c.header.Get("X-Custom-Token") != "let-me-in" {
		return fmt.Errorf("the token is %q", c.header.Get("X-Custom-Token"))
	}
	if err := json.Unmarshal(c.body, &event); err != nil || event.EventID == "" {
		return fmt.Errorf("no event_id: %w", err)
	}
	if event.Type == "generation.completed" && (event.ModelOutput == nil || (*event.ModelOutput)[:6] != "answer") {
		return fmt.Errorf("model_output is missing")
	}
	return nil
}

// bodyHMACOf compares a signature over the raw body alone, in a header of this name.
func bodyHMACOf(secret, header string) func(callback) error {
	return func(c callback) error {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(c.body)
		if got := c.header.Get(header); got != hex.EncodeToString(mac.Sum(nil)) {
			return fmt.Errorf("the signature %q does not fit", got)
		}
		return nil
	}
}

// bodyHMAC compares a signature over the raw body alone, keyed with the secret's own text.
func bodyHMAC(secret string) func(callback) error {
	return func(c callback) error {
		if err := bodyHMACOf(secret, bodyHeader)(c); err != nil {
			return err
		}
		var event struct {
			Type    string `json:"type"`
			Created int64  `json:"created"`
			Data    struct {
				Object struct {
					ID     string `json:"id"`
					Counts struct {
						Total, Completed, Failed *int64
					} `json:"request_counts"`
				} `json:"object"`
			} `json:"data"`
		}
		if err := json.Unmarshal(c.body, &event); err != nil {
			return err
		}
		o := event.Data.Object
		if event.Type == "" || event.Created < 1_700_000_000 || o.ID == "" {
			return fmt.Errorf("type, created or data.object.id is missing")
		}
		if event.Type == "batch.completed" && (o.Counts.Total == nil || *o.Counts.Total != 2 || *o.Counts.Completed != 2) {
			return fmt.Errorf("request_counts are missing")
		}
		return nil
	}
}
