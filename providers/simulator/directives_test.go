package simulator_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers/simulator"
)

func TestStatusDirective(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	got := u.refused("POST", chatPath, chat("Go [[sim:status=429 retry_after=2]] on", ""), 429)
	require.Equal(t, "2", got.header.Get("Retry-After"))
	require.Equal(t, "rate_limit_error", got.Get("error.type").Str)
	got = u.refused("POST", chatPath, chat("[[sim:status=500]]", ""), 500)
	require.Equal(t, "server_error", got.Get("error.type").Str)
	require.Empty(t, got.header.Get("Retry-After"))
	require.Equal(t, "invalid_request_error", u.refused("POST", chatPath, chat("[[sim:status=422]]", ""), 422).Get("error.type").Str)
}

func TestDirectivesHoldOnEveryRoute(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	for path, body := range map[string]string{
		chatPath:                 `{"model":"sim-small","messages":[{"role":"user","content":"[[sim:status=503]]"},{"role":"assistant","content":"a"}]}`,
		"/v1/completions":        `{"model":"sim-small","prompt":"[[sim:status=503]]"}`,
		"/v1/responses":          `{"model":"sim-small","input":"[[sim:status=503]]"}`,
		"/v1/embeddings":         `{"model":"sim-embed","input":["a","[[sim:status=503]]"]}`,
		"/v1/moderations":        `{"model":"sim-small","input":"[[sim:status=503]]"}`,
		"/v1/images/generations": `{"model":"sim-small","prompt":"[[sim:status=503]]"}`,
	} {
		u.refused("POST", path, body, 503)
	}
}

func TestTimesEndsADirectiveForItsPromptAlone(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	once := chat("[[sim:status=500 times=2]] A", "")
	other := chat("[[sim:status=500 times=2]] B", "")
	require.Equal(t, 500, u.post(chatPath, once).status)
	require.Equal(t, 500, u.post(chatPath, other).status)
	require.Equal(t, 500, u.post(chatPath, once).status)
	first := content(u.ok(chatPath, once))
	require.Equal(t, first, content(u.ok(chatPath, once)))
	require.Equal(t, 500, u.post(chatPath, other).status)

	staged := chat("[[sim:status=500 times=2]] [[sim:status=429 times=1]]", "")
	require.Equal(t, 429, u.post(chatPath, staged).status)
	require.Equal(t, 500, u.post(chatPath, staged).status)
	require.Equal(t, 200, u.post(chatPath, staged).status)
}

func TestDirectivesThatBendTheAnswer(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})

	got := u.post(chatPath, chat("[[sim:html]]", ""))
	require.Equal(t, http.StatusBadGateway, got.status)
	require.Contains(t, got.header.Get("Content-Type"), "text/html")
	require.True(t, strings.HasPrefix(got.raw, "<!DOCTYPE html>"))

	got = u.ok(chatPath, chat("[[sim:error200]]", ""))
	require.Equal(t, "server_error", got.Get("error.type").Str)

	got = u.post(chatPath, chat("[[sim:type=text/plain]]", ""))
	require.Equal(t, "text/plain", got.header.Get("Content-Type"))
	require.NotEmpty(t, content(got))

	slow := serve(t, simulator.Options{TPOT: time.Hour})
	got = slow.ok(chatPath, chat("[[sim:bytes=3000000]]", `,"max_tokens":1`))
	require.Len(t, content(got), 3_000_000)
	require.EqualValues(t, simulator.CountTokens(content(got)), got.Get("usage.completion_tokens").Int())
	require.Equal(t, "stop", got.Get("choices.0.finish_reason").Str)
}

func TestDirectivesThatTakeTime(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	for _, words := range []string{"wait=120ms", "drip=120ms", "wait=60ms drip=60ms"} {
		start := time.Now()
		got := u.ok(chatPath, chat("[[sim:"+words+"]]", ""))
		require.NotEmpty(t, content(got))
		require.GreaterOrEqual(t, time.Since(start), 115*time.Millisecond, words)
	}
}

// A drip begins at once: the headers and first bytes are there long before the end.
func TestDripSendsItsFirstBytesAtOnce(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	req, err := http.NewRequestWithContext(t.Context(), "POST", u.url+chatPath, strings.NewReader(chat("[[sim:drip=1h]]", "")))
	require.NoError(t, err)
	resp, err := u.client.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	first := make([]byte, 1)
	_, err = resp.Body.Read(first)
	require.NoError(t, err)
	require.Equal(t, "{", string(first))
}
