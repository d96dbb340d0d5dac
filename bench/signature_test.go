package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The vector of the Standard Webhooks libraries' own tests.
const (
	vectorSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	vectorTime      = 1614265330
)

func vectorHeader() http.Header {
	return http.Header{
		"Webhook-Id":        {"msg_p5jXN8AQM9LWM0D4loKWxJek"},
		"Webhook-Timestamp": {"1614265330"},
		"Webhook-Signature": {vectorSignature},
	}
}

func TestVerifySignature(t *testing.T) {
	t.Parallel()
	at := time.Unix(vectorTime, 0)
	tests := []struct {
		name   string
		secret string
		change func(http.Header)
		body   string
		now    time.Time
		wrong  string
	}{
		{name: "verifies"},
		{name: "verifies among others", change: func(h http.Header) { h.Set("webhook-signature", "v1a,x v1,AAAA "+vectorSignature) }},
		{name: "another body", body: `{"test": 2432232315}`, wrong: "no signature"},
		{name: "another id", change: func(h http.Header) { h.Set("webhook-id", "msg_2") }, wrong: "no signature"},
		{name: "another time", change: func(h http.Header) { h.Set("webhook-timestamp", "1614265331") }, wrong: "no signature"},
		{name: "another secret", secret: "whsec_AAAA9r8GKYqrTwjUPD8ILPZIo2LaLaSw", wrong: "no signature"},
		{name: "another version", change: func(h http.Header) { h.Set("webhook-signature", "v2"+vectorSignature[2:]) }, wrong: "no signature"},
		{name: "no signature", change: func(h http.Header) { h.Del("webhook-signature") }, wrong: "no signature"},
		{name: "no id", change: func(h http.Header) { h.Del("webhook-id") }, wrong: "lacks"},
		{name: "no time", change: func(h http.Header) { h.Del("webhook-timestamp") }, wrong: "lacks"},
		{name: "too old", now: at.Add(signatureTolerance + time.Second), wrong: "away"},
		{name: "too new", now: at.Add(-signatureTolerance - time.Second), wrong: "away"},
		{name: "no whsec_", secret: vectorSecret[6:], wrong: "not whsec_"},
		{name: "empty secret", secret: "whsec_", wrong: "not whsec_"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			header, secret, body, now := vectorHeader(), vectorSecret, vectorBody, at
			if tt.change != nil {
				tt.change(header)
			}
			if tt.secret != "" {
				secret = tt.secret
			}
			if tt.body != "" {
				body = tt.body
			}
			if !tt.now.IsZero() {
				now = tt.now
			}
			err := verifySignature(secret, header, []byte(body), now)
			if tt.wrong == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.wrong)
		})
	}
}
