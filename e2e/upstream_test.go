package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// reply is what the upstream answers one call.
type reply struct {
	status int // zero is 200
	body   string
	wait   time.Duration // before the answer; broken off when the caller goes away
}

// upstream is a model provider: a real HTTP server that records every request body byte for byte.
type upstream struct {
	server *httptest.Server
	answer func(body string) reply
	behind http.Handler // answers in place of answer, if set

	mu    sync.Mutex
	calls []call
	open  int
}

// call is one request as it came and went.
type call struct {
	path, body string
	member     string // of a fleet, as whoamI tells
	at         time.Time
	ended      time.Time // zero while it is in flight
	status     int       // of its answer
	cut        bool      // the caller went away before its answer
}

// whoamI is a key of provider's: each member of a fleet then says its name with each call.
const whoamI = `, headers: {X-Member: MEMBER}`

// startUpstream answers each call as told, or with fixed chat completions for nil.
func startUpstream(t *testing.T, answer func(body string) reply) *upstream {
	t.Helper()
	u := &upstream{answer: answer}
	if answer == nil {
		u.answer = func(body string) reply { return reply{body: completion("answer to " + prompt(body))} }
	}
	u.server = httptest.NewServer(u)
	t.Cleanup(func() {
		u.server.CloseClientConnections()
		u.server.Close()
	})
	return u
}

// prompt is the last message of a chat request.
func prompt(body string) string { return gjson.Get(body, "messages.@reverse.0.content").String() }

// completion is an ordinary answer: 3 tokens in, 4 out.
func completion(text string) string {
	return fmt.Sprintf(`{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":%q},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}`, text)
}

// provider is the setting that routes all models here. more are further keys, as `, retries: 0`.
func (u *upstream) provider(more string) string {
	_, port, _ := net.SplitHostPort(u.server.Listener.Addr().String())
	return fmt.Sprintf(`providers=[{name: up, type: openai, base_url: "http://127.0.0.1:%s/v1", models: ["*"], concurrency: %d%s}]`, port, slots, more)
}

// slots is the upstream's concurrency in the server's configuration.
const slots = 32

// ServeHTTP records and answers.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && u.behind != nil {
		u.behind.ServeHTTP(w, r)
		return
	}
	if r.Method == http.MethodGet { // the look at its models when a server starts is no call
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"object":"list","data":[{"id":"m","object":"model"}]}`)
		return
	}
	body, err := io.ReadAll(r.Body)
	n := u.begin(call{path: r.URL.Path, body: string(body), member: r.Header.Get("X-Member")})
	if u.behind != nil {
		u.pass(w, r, n, body)
		return
	}
	status := 0
	defer func() { u.end(n, status) }()
	answer := u.answer(string(body))
	if err == nil && answer.wait > 0 {
		select {
		case <-time.After(answer.wait):
		case <-r.Context().Done():
			err = r.Context().Err()
		}
	}
	if err != nil {
		u.cut(n)
		return
	}
	status = max(answer.status, http.StatusOK)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.Copy(w, strings.NewReader(answer.body)) // a caller that was killed reads no more
}

// pass has what stands behind answer.
func (u *upstream) pass(w http.ResponseWriter, r *http.Request, n int, body []byte) {
	answer := &noted{ResponseWriter: w}
	defer func() {
		if r.Context().Err() != nil {
			u.cut(n)
		}
		u.end(n, answer.status)
	}()
	r.Body = io.NopCloser(bytes.NewReader(body))
	u.behind.ServeHTTP(answer, r)
}

// noted remembers an answer's status.
type noted struct {
	http.ResponseWriter
	status int
}

func (n *noted) Unwrap() http.ResponseWriter { return n.ResponseWriter }

func (n *noted) WriteHeader(status int) {
	n.status = status
	n.ResponseWriter.WriteHeader(status)
}

func (n *noted) Write(b []byte) (int, error) {
	if n.status == 0 {
		n.status = http.StatusOK
	}
	return n.ResponseWriter.Write(b)
}

func (u *upstream) begin(c call) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.open++
	c.at = time.Now()
	u.calls = append(u.calls, c)
	return len(u.calls) - 1
}

func (u *upstream) end(n, status int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.open--
	u.calls[n].ended, u.calls[n].status = time.Now(), status
}

func (u *upstream) cut(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls[n].cut = true
}

// seen are the calls so far.
func (u *upstream) seen() []call {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]call(nil), u.calls...)
}

// count is the number of calls so far.
func (u *upstream) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.calls)
}

// busy is the number of calls in flight.
func (u *upstream) busy() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.open
}

// bodies are the recorded requests.
func (u *upstream) bodies() []string {
	calls := u.seen()
	texts := make([]string, len(calls))
	for i, c := range calls {
		texts[i] = c.body
	}
	return texts
}

// first is the first call after the n first ones; zero where none has come.
func (u *upstream) first(n int) time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.calls) <= n {
		return time.Time{}
	}
	return u.calls[n].at
}
