package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

// streamServer plays one script for each connection; then it calls done and
// holds further ones until their client goes.
type streamServer struct {
	*httptest.Server
	done context.CancelFunc

	mu      sync.Mutex
	scripts []func(w http.ResponseWriter, r *http.Request)
	asked   []string // Last-Event-ID and query of each connection
}

func newStreamServer(t *testing.T, scripts ...func(http.ResponseWriter, *http.Request)) (*streamServer, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	s := &streamServer{done: cancel, scripts: scripts}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/webhooks/default/secret", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, 200, map[string]string{"key": testSigningKey})
	})
	mux.HandleFunc("GET /v1/events/stream", s.stream)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s, ctx
}

func (s *streamServer) stream(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.Header.Get("Last-Event-ID")+"?"+r.URL.Query().Get("types"))
	if len(s.scripts) == 0 {
		s.mu.Unlock()
		s.done()
		<-r.Context().Done()
		return
	}
	script := s.scripts[0]
	s.scripts = s.scripts[1:]
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	script(w, r)
}

// sends writes a text and ends the connection.
func sends(text string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func streamed(id, kind string) string {
	return fmt.Sprintf("id: %s\nevent: %s\ndata: {\"id\":%q,\"type\":%q,\"data\":{\"id\":\"batch_1\"}}\n\n", id, kind, id, kind)
}

// developer is the program that events are forwarded to.
type developer struct {
	*httptest.Server
	mu    sync.Mutex
	calls []Callback
}

// newDeveloper answers with each status in turn, then 204; a request that does
// not verify by the Standard Webhooks library is a failure of the test.
func newDeveloper(t *testing.T, statuses ...int) *developer {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(testSigningKey)
	require.NoError(t, err)
	d := &developer{}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verifier.Verify(body, r.Header)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.calls = append(d.calls, Callback{Method: r.Method, Path: r.URL.Path, Header: r.Header, Body: body, Err: err})
		status := 204
		if n := len(d.calls); n <= len(statuses) {
			status = statuses[n-1]
		}
		if status/100 == 3 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(d.Close)
	return d
}

// ids are the events that came, in order, with the attempt's number.
func (d *developer) ids(t *testing.T) []string {
	t.Helper()
	var ids []string
	for _, call := range d.calls {
		require.NoError(t, call.Err)
		ids = append(ids, call.Header.Get("webhook-id")+"/"+call.Header.Get("X-Ringback-Attempt"))
	}
	return ids
}

// listened is a session that does not wait long.
func listened(t *testing.T, ctx context.Context, s *streamServer, d *developer, change func(*listenSession)) (out, notes string, err error) {
	t.Helper()
	client := NewClient(s.URL, "")
	client.delay = time.Millisecond
	defer client.Close()
	var shown, said bytes.Buffer
	session := &listenSession{
		client: client, types: "*", pause: time.Millisecond, idle: 10 * time.Second,
		show: &listenPrinter{out: &shown, notes: &said},
	}
	if d != nil {
		session.forward = &forwarder{url: d.URL + "/hook", http: receiverClient(5 * time.Second), pause: time.Millisecond}
		defer session.forward.http.CloseIdleConnections()
	}
	if change != nil {
		change(session)
	}
	err = session.run(ctx)
	session.show.(*listenPrinter).count(session.last, session.forward != nil)
	return shown.String(), said.String(), err
}

func TestListenForwardsWhatVerifies(t *testing.T) {
	t.Parallel()
	body := `{"id":"evt_1","type":"batch.completed","data":{"id":"batch_1","object":{"text":"Grüße \u00e9","n":12345678901234567890}}}`
	server, ctx := newStreamServer(t, sends(": ping\r\n\r\nid: evt_1\r\nevent: batch.completed\r\ndata: "+body+"\r\n\r\n"+streamed("evt_2", "batch.failed")))
	dev := newDeveloper(t)
	out, notes, err := listened(t, ctx, server, dev, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"evt_1/1", "evt_2/1"}, dev.ids(t))
	got := dev.calls[0]
	require.Equal(t, body, string(got.Body))
	require.Equal(t, "POST /hook", got.Method+" "+got.Path)
	require.Equal(t, "application/json", got.Header.Get("Content-Type"))
	require.Equal(t, "Ringback/1.0", got.Header.Get("User-Agent"))
	require.Len(t, got.Header.Get("X-Ringback-Signature"), 64)
	require.Regexp(t, `(?m)^\d\d:\d\d:\d\d  batch\.completed +batch_1 +204  \d+ ms$`, out)
	require.Contains(t, notes, "2 events, 2 delivered, 0 failed; go on from here with --since evt_2")
	require.NotContains(t, out+notes, testSigningKey)
}

func TestListenComesBack(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		scripts []func(http.ResponseWriter, *http.Request)
		asked   []string
		ids     []string
	}{
		{
			"after the last event",
			[]func(http.ResponseWriter, *http.Request){
				sends(streamed("evt_1", "a.b") + streamed("evt_2", "a.b") + "id: evt_3\ndata: {"), sends(streamed("evt_3", "a.b")),
			},
			[]string{"?", "evt_2?", "evt_3?"},
			[]string{"evt_1/1", "evt_2/1", "evt_3/1"},
		},
		{
			"where the stream began",
			[]func(http.ResponseWriter, *http.Request){sends("id: 41\n\n: ping\n\n"), sends(streamed("evt_1", "a.b"))},
			[]string{"?", "41?", "evt_1?"},
			[]string{"evt_1/1"},
		},
		{
			"not behind an event that was cut off",
			[]func(http.ResponseWriter, *http.Request){sends("id: evt_1\ndata: {"), sends(streamed("evt_1", "a.b"))},
			[]string{"?", "?", "evt_1?"},
			[]string{"evt_1/1"},
		},
		{
			"after a server's failure",
			[]func(http.ResponseWriter, *http.Request){
				func(w http.ResponseWriter, _ *http.Request) { refuse(w, 503, "server_error", "Stopping.") },
				func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
				sends(streamed("evt_1", "a.b")),
			},
			[]string{"?", "?", "?", "evt_1?"},
			[]string{"evt_1/1"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server, ctx := newStreamServer(t, test.scripts...)
			dev := newDeveloper(t)
			_, notes, err := listened(t, ctx, server, dev, nil)
			require.NoError(t, err)
			require.Equal(t, test.asked, server.asked, "%s", notes)
			require.Equal(t, test.ids, dev.ids(t))
		})
	}
}

func TestListenLeavesASilentConnection(t *testing.T) {
	t.Parallel()
	silent := func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	server, ctx := newStreamServer(t, silent, sends(streamed("evt_1", "a.b")))
	dev := newDeveloper(t)
	_, notes, err := listened(t, ctx, server, dev, func(s *listenSession) { s.idle = 50 * time.Millisecond })
	require.NoError(t, err)
	require.Equal(t, []string{"evt_1/1"}, dev.ids(t))
	require.Contains(t, notes, "nothing was heard for too long; connecting again in 1ms")
	require.Contains(t, notes, "connected again")
}

func TestListenAForwardIsNoSilence(t *testing.T) {
	t.Parallel()
	server, ctx := newStreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, streamed("evt_1", "a.b"))
		w.(http.Flusher).Flush()
	})
	const idle = 300 * time.Millisecond
	slow := receiverWith(t, flaws{before: func(_ http.ResponseWriter, _ *http.Request) bool {
		<-time.After(2 * idle)
		return true
	}})
	out, notes, err := listened(t, ctx, server, &developer{Server: slow}, func(s *listenSession) { s.idle = idle })
	require.NoError(t, err)
	require.Contains(t, out, "  200  ")
	require.NotContains(t, notes, "nothing was heard")
}

func TestListenEndsWhenRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		script func(http.ResponseWriter, *http.Request)
		want   string
	}{
		{"a wrong key", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 401, "invalid_api_key", "No.") }, "the server refused (401 invalid_api_key, id): No."},
		{"a place that is lost", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 400, "invalid_value", "Lost.") }, "Lost."},
		{"something else", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, 200, "hello") }, "not an event stream"},
		{"an event without end", sends("data: " + strings.Repeat("x", longestSSELine)), "an event is longer than 16 MiB"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server, ctx := newStreamServer(t, test.script)
			_, _, err := listened(t, ctx, server, nil, nil)
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestListenFailedForwards(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		statuses []int
		retries  int
		ids      []string
		want     string
	}{
		{"is not tried again", []int{500}, 0, []string{"evt_1/1", "evt_2/1"}, "evt_1 was not delivered: your program failed: look in its log\n"},
		{"tries again if asked", []int{500, 400}, 3, []string{"evt_1/1", "evt_1/2", "evt_1/3", "evt_2/1"}, "204  "},
		{"says how to see it again", []int{204, 503}, 0, []string{"evt_1/1", "evt_2/1"}, "evt_2 was not delivered: your program failed: look in its log; send it once more with --since evt_1\n"},
		{"tries end", []int{401, 401}, 1, []string{"evt_1/1", "evt_1/2", "evt_2/1"}, "(try 2)\n          evt_1 was not delivered: your program refused the signature"},
		{"gone ends the tries", []int{410}, 5, []string{"evt_1/1", "evt_2/1"}, "wants no more callbacks"},
		{"redirects are not followed", []int{307}, 0, []string{"evt_1/1", "evt_2/1"}, "a redirect is never followed: name /elsewhere itself"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server, ctx := newStreamServer(t, sends(streamed("evt_1", "a.b")+streamed("evt_2", "a.b")))
			dev := newDeveloper(t, test.statuses...)
			out, _, err := listened(t, ctx, server, dev, func(s *listenSession) { s.forward.retries = test.retries })
			require.NoError(t, err)
			require.Equal(t, test.ids, dev.ids(t))
			require.Contains(t, out, test.want)
		})
	}
}

func TestListenWhereNobodyListens(t *testing.T) {
	t.Parallel()
	server, ctx := newStreamServer(t, sends(streamed("evt_1", "a.b")))
	dev := newDeveloper(t)
	dev.Close()
	out, notes, err := listened(t, ctx, server, dev, nil)
	require.NoError(t, err)
	require.Contains(t, out, "---")
	require.Contains(t, out, "nothing listens there: start your program")
	require.Contains(t, notes, "1 event, 0 delivered, 1 failed")
}

func TestListenCommand(t *testing.T) {
	t.Parallel()
	server, ctx := newStreamServer(t, sends(streamed("evt_1", "batch.completed")))
	dev := newDeveloper(t)
	var out, errs bytes.Buffer
	code := run(ctx, []string{
		"listen", "--server", server.URL, "--forward-to", dev.URL, "--types", "batch.*,generation.failed", "--since", "evt_0",
		"--header", "X-Token: a", "--header", "webhook-id: forged", "--json",
	}, strings.NewReader(""), &out, &errs)
	require.Equal(t, exitOK, code, errs.String())
	require.Equal(t, "evt_0?batch.*,generation.failed", server.asked[0])
	require.Equal(t, []string{"evt_1/1"}, dev.ids(t))
	require.Equal(t, "a", dev.calls[0].Header.Get("X-Token"))
	var line struct {
		Type, Subject string
		Attempts      int
		Status        int
		Delivered     bool
		Event         json.RawMessage
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	require.Equal(t, "batch.completed batch_1 1 204 true", fmt.Sprint(line.Type, " ", line.Subject, " ", line.Attempts, " ", line.Status, " ", line.Delivered))
	require.JSONEq(t, `{"id":"evt_1","type":"batch.completed","data":{"id":"batch_1"}}`, string(line.Event))
}

func TestListenOnlyPrints(t *testing.T) {
	t.Parallel()
	server, ctx := newStreamServer(t, sends(streamed("evt_1", "batch.completed")))
	var out, errs bytes.Buffer
	code := run(ctx, []string{"listen", "--server", server.URL, "--print", "body"}, strings.NewReader(""), &out, &errs)
	require.Equal(t, exitOK, code, errs.String())
	require.Contains(t, out.String(), "batch_1")
	require.Contains(t, out.String(), "\n  \"type\": \"batch.completed\"")
	require.Contains(t, errs.String(), "1 event; go on from here with --since evt_1\n")
}

func TestAdvice(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		204: "", 302: "redirect", 400: "another secret", 401: "signature", 403: "signature", 404: "path", 405: "POST",
		410: "no more", 413: "256 KiB", 415: "application/json", 422: "only a 2xx", 429: "rate", 502: "log",
	} {
		text := advice(forwarded{Status: status, Attempt: 1})
		require.Contains(t, text, want, status)
		require.Equal(t, want == "", text == "", status)
	}
	require.Contains(t, advice(forwarded{Err: context.DeadlineExceeded}), "answer 2xx first")
	require.Contains(t, advice(forwarded{Err: io.EOF}), "closed the connection")
}

func TestListenAgainstTLS(t *testing.T) {
	t.Parallel()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	call := signedCallback(testSigningKey, "evt_1", time.Now(), []byte("{}"))
	client := receiverClient(5 * time.Second)
	defer client.CloseIdleConnections()
	require.Contains(t, advice(call.send(t.Context(), client, secure.URL)), "SSL_CERT_FILE")
	plain := newDeveloper(t)
	require.Contains(t, advice(call.send(t.Context(), client, strings.Replace(plain.URL, "http:", "https:", 1))), "use http://")
}
