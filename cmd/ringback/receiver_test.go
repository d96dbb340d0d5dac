package main

import (
	"bytes"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestVerifySignature(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_706_140_800, 0)
	body := []byte(`{"type":"batch.completed"}`)
	good := func() http.Header { return signed(testSigningKey, "evt_1", now, body) }
	for _, test := range []struct {
		name   string
		secret string
		header func(http.Header)
		body   string
		at     time.Duration
		want   string // part of the error; "" = verifies
	}{
		{name: "good"},
		{name: "nearly stale", at: 300 * time.Second},
		{name: "nearly early", at: -300 * time.Second},
		{name: "stale", at: 301 * time.Second, want: "5m1s away"},
		{name: "early", at: -301 * time.Second, want: "5m1s away"},
		{name: "tampered body", body: `{"type":"batch.failed"}`, want: "no signature"},
		{name: "another id", header: func(h http.Header) { h.Set("webhook-id", "evt_2") }, want: "no signature"},
		{name: "another time", header: func(h http.Header) { h.Set("webhook-timestamp", "1706140801") }, want: "no signature"},
		{name: "no id", header: func(h http.Header) { h.Del("webhook-id") }, want: "missing"},
		{name: "no time", header: func(h http.Header) { h.Del("webhook-timestamp") }, want: "missing"},
		{name: "time in words", header: func(h http.Header) { h.Set("webhook-timestamp", "now") }, want: "not a number"},
		{name: "no signature", header: func(h http.Header) { h.Del("webhook-signature") }, want: "no signature"},
		{name: "another version", header: func(h http.Header) {
			h.Set("webhook-signature", strings.Replace(h.Get("webhook-signature"), "v1,", "v1a,", 1))
		}, want: "no signature"},
		{name: "one of several, in a rotation", header: func(h http.Header) {
			h.Set("webhook-signature", "v1,AAAA v1a,xyz "+h.Get("webhook-signature"))
		}},
		{name: "another secret", secret: "whsec_" + strings.Repeat("A", 32), want: "no signature"},
		{name: "no secret at all", secret: "hunter2", want: "the secret is not"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			header := good()
			if test.header != nil {
				test.header(header)
			}
			err := verifySignature(firstSet(test.secret, testSigningKey), header, []byte(firstSet(test.body, string(body))), now.Add(test.at))
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestReceiverAnswersByTheVerdict(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	hooks := startReceiver(listener, testSigningKey)
	defer hooks.close()
	body := []byte(`{"n": 12345678901234567890}`)
	for _, test := range []struct {
		signedAs []byte
		want     int
	}{{body, http.StatusNoContent}, {[]byte("{}"), http.StatusUnauthorized}} {
		request, err := http.NewRequest(http.MethodPut, "http://"+listener.Addr().String()+"/hooks/x", bytes.NewReader(body))
		require.NoError(t, err)
		request.Header = signed(testSigningKey, "evt_1", time.Now(), test.signedAs)
		answer, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, test.want, answer.StatusCode)
		arrived := <-hooks.calls
		require.Equal(t, body, arrived.Body, "the bytes as they were sent")
		require.Equal(t, "PUT /hooks/x", arrived.Method+" "+arrived.Path)
		require.Equal(t, test.want == http.StatusNoContent, arrived.Err == nil)
	}
}
