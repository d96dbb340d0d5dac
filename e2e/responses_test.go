package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// storyteller is a provider that streams chat completions word by word. Its first call stops after some words and waits
// for its caller to go away.
type storyteller struct {
	words []string
	calls atomic.Int64
	bound string // the setting that routes all models here
}

func startStoryteller(t *testing.T, words int) *storyteller {
	t.Helper()
	s := &storyteller{}
	for i := range words {
		s.words = append(s.words, fmt.Sprintf("word%d ", i))
	}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	s.bound = fmt.Sprintf(`providers=[{name: up, type: openai, base_url: "%s/v1", models: ["*"], responses: chat}]`, server.URL)
	return s
}

// ServeHTTP tells the story.
func (s *storyteller) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"object":"list","data":[]}`)
		return
	}
	first := s.calls.Add(1) == 1
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "text/event-stream")
	for i, word := range s.words {
		if first && i == len(s.words)/2 {
			<-r.Context().Done()
			return
		}
		fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":%q},\"finish_reason\":null}]}\n\n", word)
		_ = http.NewResponseController(w).Flush()
	}
	_, _ = io.WriteString(w, `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}`+"\n\ndata: [DONE]\n\n")
}

// watched is a response's stream as a client sees it: the data of its events, each in its order, until it ends, breaks
// off or has given enough of them.
func (c *client) watched(method, path, body string, enough int) (events []gjson.Result) {
	c.t.Helper()
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	require.NoError(c.t, err)
	answer, err := c.http.Do(request)
	require.NoError(c.t, err)
	defer answer.Body.Close()
	require.Equal(c.t, http.StatusOK, answer.StatusCode)
	for lines := bufio.NewScanner(answer.Body); len(events) < enough && lines.Scan(); {
		if data, found := strings.CutPrefix(lines.Text(), "data: "); found {
			events = append(events, gjson.Parse(strings.Clone(data)))
		}
	}
	return events
}

// A server that is killed in the middle of a stream goes on with it by itself: whoever comes back finds every number once,
// and at the end the whole answer, which the callback shows too.
func TestKilledInMidStream(t *testing.T) {
	t.Parallel()
	const words = 40
	up := startStoryteller(t, words)
	hook := startReceiver(t)
	s := startServer(t, append(openCallbacks(), up.bound)...)
	secret := s.secret()

	// created, queued, in_progress, item and part added, and half of the words
	const half = 5 + words/2
	seen := s.watched("POST", "/v1/responses", `{"model":"m","input":"tell","background":true,"stream":true`+hook.field()+`}`, half)
	require.Len(t, seen, half)
	id := seen[0].Get("response.id").String()
	s.kill9()
	s.restart()
	last := seen[half-1].Get("sequence_number").Int()
	began := time.Now()
	seen = append(seen, s.watched("GET", fmt.Sprintf("/v1/responses/%s?stream=true&starting_after=%d", id, last), "", 1000)...)
	t.Logf("the rest came %s after the restart", time.Since(began))

	for i, e := range seen {
		require.Equal(t, int64(i), e.Get("sequence_number").Int(), "gapless over the kill: %s", e.Raw)
	}
	end := seen[len(seen)-1]
	require.Equal(t, "response.completed", end.Get("type").String())
	require.Equal(t, strings.Join(up.words, ""), end.Get("response.output.0.content.0.text").String())
	require.Equal(t, int64(2), up.calls.Load())
	require.Equal(t, string(s.read("/v1/responses/"+id).body), end.Get("response").Raw, "polling shows the same")
	all := s.watched("GET", "/v1/responses/"+id+"?stream=true", "", 1000)
	require.Equal(t, seen, all, "and so does a stream from the beginning")

	told := hook.wait(id, "response.completed")
	require.NoError(t, told.verify(secret))
	require.Equal(t, end.Get("response").Raw, told.get("data.object").Raw)
	hook.onlyOnce(id, secret)
	s.stop()
	integrity(t, s.dir)
}

// A deleted response is nowhere: not on its routes, not among the jobs, not in the database.
func TestDeletedResponseIsNowhere(t *testing.T) {
	t.Parallel()
	up := startUpstream(t, nil)
	s := startServer(t, up.provider(", responses: chat"))
	const canary = "canary-in-a-prompt"
	id := s.call(http.StatusOK, "POST", "/v1/responses", `{"model":"m","input":"`+canary+`","background":true}`).get("id").String()
	s.eventually("the response has ended", func() bool { return s.read("/v1/responses/"+id).get("status").String() == "completed" })
	deleted := s.call(http.StatusOK, "DELETE", "/v1/responses/"+id, "")
	require.JSONEq(t, `{"id":"`+id+`","object":"response","deleted":true}`, string(deleted.body))
	for _, route := range [][2]string{{"GET", ""}, {"POST", "/cancel"}, {"DELETE", ""}, {"GET", "/input_items"}} {
		refused(t, s.call(http.StatusNotFound, route[0], "/v1/responses/"+id+route[1], ""))
	}
	refused(t, s.call(http.StatusNotFound, "GET", "/v1/jobs/"+id, ""))
	require.Empty(t, s.read("/v1/jobs").get("data").Array())
}
