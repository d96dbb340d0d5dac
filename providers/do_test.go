package providers

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDoGivesTheWholeAnswer(t *testing.T) {
	t.Parallel()
	const body = "{ \"id\" : 12345678901234567890,\n\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3,\"total_tokens\":12},\"error\":null}\n"
	p := upstream(t, answer(200, "application/json; charset=utf-8", body, "X-Request-Id", "req_7"))
	got, err := p.Do(t.Context(), chat(`{}`))
	require.NoError(t, err)
	require.Equal(t, Answer{
		Status: 200, RequestID: "req_7", ContentType: "application/json; charset=utf-8", Body: []byte(body),
		Usage: Usage{InputTokens: 9, OutputTokens: 3, TotalTokens: 12},
	}, got)
}

func TestDoSendsHeadersOfTheConfiguration(t *testing.T) {
	t.Parallel()
	var got *http.Request
	p := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		answer(200, "application/vnd.up+json", `{}`)(w, r)
	}, func(o *Options, c *Config) {
		o.UserAgent = "ringback/1.2"
		c.Headers = map[string]string{"OpenAI-Project": "proj_1", "accept": "application/json;v=2"}
		c.BaseURL += "beta/?api-version=3"
	})
	_, err := p.Do(t.Context(), chat(`{"n":1}`))
	require.NoError(t, err)
	require.Equal(t, "/v1beta/chat/completions?api-version=3", got.URL.RequestURI())
	require.Equal(t, int64(7), got.ContentLength)
	require.Equal(t, http.Header{
		"Accept": {"application/json;v=2"}, "Authorization": {"Bearer sk-test-0123456789"}, "Content-Length": {"7"},
		"Content-Type": {"application/json"}, "Openai-Project": {"proj_1"}, "User-Agent": {"ringback/1.2"},
	}, got.Header)
}

func TestDoKeepsThePathBelowTheBaseURL(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	p := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		answer(200, jsonType, `{"path":"`+r.URL.Path+`"}`)(w, r)
	})
	got, err := p.Do(t.Context(), Request{Path: "/v1/audio/speech", Body: []byte(`{}`)})
	require.NoError(t, err)
	require.JSONEq(t, `{"path":"/v1/audio/speech"}`, string(got.Body))
	for _, path := range []string{"", "/v1", "/admin", "/v1/../admin", "/v1//x", "/v1/x?y=1", "/v1/%2e%2e/x", "/v1/x#y", "/v1/x y"} {
		_, err := p.Do(t.Context(), Request{Path: path, Body: []byte(`{}`)})
		require.Equal(t, Rejected, AsError(err).Kind, path)
	}
	require.Equal(t, int32(1), calls.Load())
}

func TestDoStopsWithItsCaller(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	p := upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	_, err := p.Do(ctx, chat(`{}`))
	require.Equal(t, Canceled, AsError(err).Kind)
	require.False(t, AsError(err).Retry)
	require.ErrorIs(t, err, context.Canceled)
}

func TestDoReportsARefusedConnection(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	p := providerAt(t, "http://"+listener.Addr().String()+"/v1")
	_, err = p.Do(t.Context(), chat(`{}`))
	require.Equal(t, Connection, AsError(err).Kind)
	require.True(t, AsError(err).Unreached())
	require.NotContains(t, err.Error(), listener.Addr().String())
}

func TestAForeignCertificateIsNoConnection(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	_, err := providerAt(t, server.URL+"/v1").Do(t.Context(), chat(`{}`))
	require.Equal(t, Connection, AsError(err).Kind)
	require.True(t, AsError(err).Unreached())
}

// A kept-alive connection that dies after the second request went out must not
// make net/http send that request again: it may have been carried out.
func TestDoNeverRepeatsABodyByItself(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var requests atomic.Int32
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			served.Go(func() { serveOnce(conn, &requests) })
		}
	})
	t.Cleanup(served.Wait)
	t.Cleanup(func() { _ = listener.Close() })
	p := providerAt(t, "http://"+listener.Addr().String()+"/v1")
	_, err = p.Do(t.Context(), chat(`{}`))
	require.NoError(t, err)
	_, err = p.Do(t.Context(), chat(`{}`))
	require.Equal(t, Connection, AsError(err).Kind)
	require.Equal(t, int32(2), requests.Load())
}

// serveOnce answers the first request of all, and drops a connection at any other.
func serveOnce(conn net.Conn, requests *atomic.Int32) {
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	for range 2 {
		req, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		if requests.Add(1) > 1 {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
	}
}

func TestDoReusesItsConnections(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	from := make(map[string]bool)
	p := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		from[r.RemoteAddr] = true
		mu.Unlock()
		answer(map[bool]int{true: 200, false: 429}[r.ContentLength%2 == 0], jsonType, `{}`)(w, r)
	})
	for i := range 20 {
		_, err := p.Do(t.Context(), chat(strings.Repeat("x", i+1)))
		require.Equal(t, i%2 == 0, err != nil)
	}
	require.Len(t, from, 1)
}

func TestDoLogsNoSecretAndNoBody(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := upstream(t, answer(500, jsonType, `{"error":{"message":"the-answer"}}`), logTo(&log), func(_ *Options, c *Config) {
		c.Headers = map[string]string{"X-Secret": "header-value"}
	})
	_, err := p.Do(t.Context(), chat(`{"prompt":"the-prompt"}`))
	require.Error(t, err)
	require.Contains(t, log.String(), "kind=overloaded")
	for _, secret := range []string{"sk-test", "header-value", "the-prompt", "the-answer"} {
		require.NotContains(t, log.String(), secret)
	}
}
