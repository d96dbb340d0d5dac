package simulator_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers/simulator"
)

const chatPath = "/v1/chat/completions"

// upstream is a simulator behind a real server with a client of its own.
type upstream struct {
	*simulator.Simulator
	t      *testing.T
	url    string
	client *http.Client
}

func serve(t *testing.T, opts simulator.Options) *upstream {
	t.Helper()
	sim := simulator.New(opts)
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	return &upstream{sim, t, server.URL, &http.Client{Transport: transport, Timeout: 15 * time.Second}}
}

type answer struct {
	status int
	header http.Header
	raw    string
	gjson.Result
}

func (u *upstream) do(method, path, body string) answer {
	u.t.Helper()
	got, err := u.try(method, path, body)
	require.NoError(u.t, err)
	return got
}

func (u *upstream) try(method, path, body string) (answer, error) {
	req, err := http.NewRequestWithContext(u.t.Context(), method, u.url+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	return u.send(req)
}

func (u *upstream) send(req *http.Request) (answer, error) {
	resp, err := u.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(raw), gjson.ParseBytes(raw)}, err
}

func (u *upstream) post(path, body string) answer {
	u.t.Helper()
	return u.do(http.MethodPost, path, body)
}

// ok posts and expects a whole JSON answer with the headers that all have.
func (u *upstream) ok(path, body string) answer {
	u.t.Helper()
	got := u.post(path, body)
	require.Equal(u.t, http.StatusOK, got.status, got.raw)
	requireWhole(u.t, got)
	return got
}

func (u *upstream) refused(method, path, body string, status int) answer {
	u.t.Helper()
	got := u.do(method, path, body)
	require.Equal(u.t, status, got.status, got.raw)
	requireWhole(u.t, got)
	for _, key := range []string{"message", "type", "param", "code"} {
		require.True(u.t, got.Get("error."+key).Exists(), "%s in %s", key, got.raw)
	}
	return got
}

func requireWhole(t *testing.T, got answer) {
	t.Helper()
	require.True(t, json.Valid([]byte(got.raw)), got.raw)
	require.Equal(t, "application/json", got.header.Get("Content-Type"))
	require.Regexp(t, `^req_[0-9a-f]{16}$`, got.header.Get("X-Request-Id"))
	require.Regexp(t, `^\d+$`, got.header.Get("Openai-Processing-Ms"))
}

// chat is the body of a chat completion with one user message.
func chat(prompt, more string) string {
	content, _ := json.Marshal(prompt)
	return `{"model":"sim-small","messages":[{"role":"user","content":` + string(content) + `}]` + more + `}`
}

func content(got answer) string { return got.Get("choices.0.message.content").Str }
