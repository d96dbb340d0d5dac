package providers

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	jsonType   = "application/json"
	quotaBody  = `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`
	limitBody  = `{"error":{"message":"Slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}`
	badBody    = `{"error":{"message":"No such thing at http://10.0.0.1/","type":"invalid_request_error","param":"x","code":"invalid_value"}}`
	serverBody = `{"error":{"message":"Oops","type":"server_error","param":null,"code":null}}`
)

func TestDoClassifiesWhatTheUpstreamAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		handler http.HandlerFunc
		kind    Kind
		retry   bool
		after   time.Duration
		status  int
		body    string // of Error.Answer; empty: no Answer
	}{
		{"429 with Retry-After", answer(429, jsonType, limitBody, "Retry-After", "7"), RateLimited, true, 7 * time.Second, 429, limitBody},
		{"429 with retry-after-ms", answer(429, jsonType, limitBody, "Retry-After", "7", "Retry-After-Ms", "250"), RateLimited, true, 250 * time.Millisecond, 429, limitBody},
		{"429 without Retry-After", answer(429, jsonType, limitBody), RateLimited, true, 0, 429, limitBody},
		{"429 with garbage Retry-After", answer(429, jsonType, limitBody, "Retry-After", "soon"), RateLimited, true, 0, 429, limitBody},
		{"429 out of quota", answer(429, jsonType, quotaBody), QuotaExceeded, false, 0, 429, quotaBody},
		{"402", answer(402, jsonType, `{"error":{"message":"Insufficient Balance"}}`), QuotaExceeded, false, 0, 402, `{"error":{"message":"Insufficient Balance"}}`},
		{"500", answer(500, jsonType, serverBody), Overloaded, true, 0, 500, serverBody},
		{"502 with an HTML page", answer(502, "text/html", "<html>Bad Gateway</html>"), Overloaded, true, 0, 502, ""},
		{"503 with Retry-After", answer(503, jsonType, serverBody, "Retry-After", "2"), Overloaded, true, 2 * time.Second, 503, serverBody},
		{"529", answer(529, jsonType, serverBody), Overloaded, true, 0, 529, serverBody},
		{"500 that must not be retried", answer(500, jsonType, serverBody, "X-Should-Retry", "false"), Overloaded, false, 0, 500, serverBody},
		{"400", answer(400, jsonType, badBody), Rejected, false, 0, 400, badBody},
		{"400 that may be retried", answer(400, jsonType, badBody, "X-Should-Retry", "true"), Rejected, true, 0, 400, badBody},
		{"404 as plain text", answer(404, "text/plain", "404 page not found"), Rejected, false, 0, 404, ""},
		{"404 with an error string", answer(404, jsonType, `{"error":"model not found"}`), Rejected, false, 0, 404, `{"error":"model not found"}`},
		{"408", answer(408, jsonType, `{}`), Timeout, true, 0, 408, `{}`},
		{"409", answer(409, jsonType, badBody), Rejected, true, 0, 409, badBody},
		{"425", answer(425, jsonType, `{}`), Rejected, true, 0, 425, `{}`},
		{"401 shows no answer", answer(401, jsonType, `{"error":{"message":"Incorrect API key provided: sk-te***789"}}`), Unauthorized, false, 0, 401, ""},
		{"403", answer(403, jsonType, badBody), Unauthorized, false, 0, 403, badBody},
		{"400 that repeats the key", answer(400, jsonType, `{"error":{"message":"sk-test-0123456789"}}`), Rejected, false, 0, 400, ""},
		{"302 is not followed", answer(302, jsonType, `{}`, "Location", "http://127.0.0.1:1/"), Rejected, false, 0, 302, `{}`},
		{"truncated JSON", answer(200, jsonType, `{"choices":[{"mess`), InvalidAnswer, true, 0, 200, ""},
		{"HTML page", answer(200, "text/html; charset=utf-8", "<html></html>"), InvalidAnswer, true, 0, 200, ""},
		{"JSON as text", answer(200, "text/plain", `{"a":1}`), InvalidAnswer, true, 0, 200, ""},
		{"empty answer", answer(200, jsonType, ""), InvalidAnswer, true, 0, 200, ""},
		{"JSON array", answer(200, jsonType, `[1]`), InvalidAnswer, true, 0, 200, ""},
		{"200 with an error", answer(200, jsonType, serverBody), InvalidAnswer, true, 0, 200, serverBody},
		{"200 with a settled error", answer(200, jsonType, badBody), Rejected, false, 0, 200, badBody},
		{"200 out of quota", answer(200, jsonType, quotaBody), QuotaExceeded, false, 0, 200, quotaBody},
		{"failed response that may pass", answer(200, jsonType, `{"object":"response","status":"failed","error":{"code":"server_error","message":"x"}}`), InvalidAnswer, true, 0, 200, `{"object":"response","status":"failed","error":{"code":"server_error","message":"x"}}`},
		{"failed response that is settled", answer(200, jsonType, `{"object":"response","status":"failed","error":{"code":"invalid_prompt","message":"x"}}`), Rejected, false, 0, 200, `{"object":"response","status":"failed","error":{"code":"invalid_prompt","message":"x"}}`},
		{"answer over the limit, length given", answer(200, jsonType, `{"a":"`+strings.Repeat("x", 1000)+`"}`), AnswerTooLarge, false, 0, 200, ""},
		{"answer over the limit, chunked", chunked(strings.Repeat("x", 5000)), AnswerTooLarge, false, 0, 200, ""},
		{"error over the limit", answer(500, jsonType, `{"a":"`+strings.Repeat("x", 5000)+`"}`), Overloaded, true, 0, 500, ""},
		{"reset before an answer", reset(""), Connection, true, 0, 0, ""},
		{"reset in mid-body", reset("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"a\":"), Connection, true, 0, 0, ""},
		{"reset in mid-chunk", reset("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{\"a\":"), Connection, true, 0, 0, ""},
		{"no HTTP", reset("SSH-2.0-OpenSSH\r\n\r\n"), Connection, true, 0, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := upstream(t, tt.handler, func(o *Options, _ *Config) { o.AnswerBytes = 600 })
			_, err := p.Do(t.Context(), chat(`{}`))
			e := AsError(err)
			require.NotNil(t, e)
			require.Equal(t, tt.kind, e.Kind, "%v", e.LogValue())
			require.Equal(t, tt.retry, e.Retry)
			require.False(t, e.Unreached())
			require.Equal(t, tt.after, e.After)
			require.Equal(t, tt.status, e.Status)
			require.NotContains(t, e.Error(), "127.0.0.1")
			require.NotContains(t, e.Error(), "10.0.0.1")
			if tt.body == "" {
				require.Nil(t, e.Answer)
				return
			}
			require.NotNil(t, e.Answer)
			require.Equal(t, tt.body, string(e.Answer.Body))
			require.Equal(t, tt.status, e.Answer.Status)
		})
	}
}

func chunked(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", jsonType)
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, body)
	}
}

// reset sends raw bytes, then cuts the connection.
func reset(raw string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, raw)
		_ = conn.(*net.TCPConn).CloseWrite()
		_ = conn.Close()
	}
}

func TestDoTimesOut(t *testing.T) {
	t.Parallel()
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	drip := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", jsonType)
		for r.Context().Err() == nil {
			_, _ = fmt.Fprint(w, " ")
			w.(http.Flusher).Flush()
		}
	}
	for name, handler := range map[string]http.HandlerFunc{"hang": hang, "slow drip": drip} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := upstream(t, handler, func(_ *Options, c *Config) { c.Timeout = 50 * time.Millisecond })
			_, err := p.Do(t.Context(), chat(`{}`))
			require.Equal(t, Timeout, AsError(err).Kind, "%v", AsError(err).LogValue())
			require.True(t, AsError(err).Retry)
		})
	}
}

// TestJ4DeepAnswerEndsNothing gets an answer that would overflow a parser's stack, and one such error body.
func TestJ4DeepAnswerEndsNothing(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusOK, http.StatusBadRequest} {
		upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write(bytes.Repeat([]byte("["), 8<<20))
		}))
		t.Cleanup(upstream.Close)
		registry, err := New(Options{Providers: []Config{{Name: "up", BaseURL: upstream.URL + "/v1", Models: []string{"*"}}}})
		require.NoError(t, err)
		t.Cleanup(registry.Close)
		p, err := registry.Route("m")
		require.NoError(t, err)
		_, err = p.Do(t.Context(), Request{Path: "/v1/chat/completions", Model: "m", Body: []byte(`{}`)})
		require.NotNil(t, AsError(err))
		require.Nil(t, AsError(err).Answer)
	}
}
