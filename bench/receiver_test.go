package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// post sends a callback that is signed as the vector's secret signs.
func post(t *testing.T, hook webhook, body string, change func(http.Header)) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, hook.URL, strings.NewReader(body))
	require.NoError(t, err)
	key, err := base64.StdEncoding.DecodeString(vectorSecret[6:])
	require.NoError(t, err)
	stamp := fmt.Sprint(time.Now().Unix())
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "evt_1.%s.%s", stamp, body)
	request.Header.Set("webhook-id", "evt_1")
	request.Header.Set("webhook-timestamp", stamp)
	request.Header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	request.Header.Set(tokenHeader, hook.Headers[tokenHeader])
	if change != nil {
		change(request.Header)
	}
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode
}

func TestReceiver(t *testing.T) {
	t.Parallel()
	const body = `{"type":"batch.completed","data":{"id":"batch_1"}}`
	tests := []struct {
		name   string
		change func(http.Header)
		body   string
		status int
		wrong  string
	}{
		{name: "right", body: body, status: 204},
		{name: "forged", body: body, change: func(h http.Header) { h.Set("webhook-signature", "v1,AAAA") }, status: 401, wrong: "no signature"},
		{name: "without its header", body: body, change: func(h http.Header) { h.Del(tokenHeader) }, status: 401, wrong: tokenHeader},
		{name: "no JSON", body: `{`, status: 401, wrong: "JSON"},
		{name: "of another job", body: `{"type":"batch.completed","data":{"id":"batch_2"}}`, status: 204, wrong: "batch_2 instead of"},
		{name: "of another event", body: `{"type":"batch.failed","data":{"id":"batch_1"}}`, status: 204, wrong: "batch.failed of"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := startReceiver()
			require.NoError(t, err)
			defer r.close()
			r.secret = vectorSecret
			hook, came := r.expect()
			require.Equal(t, tt.status, post(t, hook, tt.body, tt.change))
			at, err := await(t.Context(), came, "batch.completed", "batch_1")
			if tt.wrong != "" {
				require.ErrorContains(t, err, tt.wrong)
				return
			}
			require.NoError(t, err)
			require.WithinDuration(t, time.Now(), at, time.Minute)
			require.Equal(t, tally{Expected: 1, Verified: 1}, r.tally())
		})
	}
}

func TestReceiverCountsWhatNobodyAwaits(t *testing.T) {
	t.Parallel()
	const body = `{"type":"batch.completed","data":{"id":"batch_1"}}`
	r, err := startReceiver()
	require.NoError(t, err)
	defer r.close()
	r.secret = vectorSecret
	hook, _ := r.expect()
	post(t, hook, body, nil)
	post(t, hook, body, nil)
	require.Equal(t, tally{Expected: 1, Verified: 1, Repeated: 1}, r.tally())
	hook.URL = r.base + "/elsewhere"
	post(t, hook, body, nil)
	require.Len(t, r.tally().Refused, 1)

	_, came := r.expect()
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, context.DeadlineExceeded)
	defer cancel()
	_, err = await(ctx, came, "batch.completed", "batch_3")
	require.ErrorContains(t, err, "no callback for batch_3")
}
