package web

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// The services that the program wires in.
var (
	_ Jobs      = (*jobs.Service)(nil)
	_ Callbacks = (*callbacks.Service)(nil)
)

// harness is the API over real HTTP, with jobs.Service over records and bytes in memory.
type harness struct {
	t         *testing.T
	web       *Server
	server    *httptest.Server
	records   *memory
	blobs     *blobs
	callbacks *fakeCallbacks
	watchers  *jobs.Watchers
	log       *lockedBuffer
	unreal    atomic.Bool // the answers are made up
}

func start(t *testing.T, tweaks ...func(*Options)) *harness {
	t.Helper()
	h := &harness{
		t: t, records: newMemory(), blobs: newBlobs(), callbacks: newFakeCallbacks(),
		watchers: jobs.NewWatchers(), log: &lockedBuffer{},
	}
	o := Options{
		Jobs: h.service(), Facts: h.records, Callbacks: h.callbacks, Version: "test",
		Log: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, tweak := range tweaks {
		tweak(&o)
	}
	h.web = New(o)
	h.server = httptest.NewUnstartedServer(nil)
	h.server.Config = HTTPServer(h.web)
	h.server.Config.Handler = checked(t, h.web, func() bool { return !h.unreal.Load() })
	h.server.Start()
	t.Cleanup(h.server.Close)
	return h
}

// madeUp says that the test makes answers up that no service gives: they are not held to the document.
func (h *harness) madeUp() *harness {
	h.unreal.Store(true)
	return h
}

func (h *harness) service() *jobs.Service {
	return jobs.NewService(jobs.ServiceOptions{
		Records: h.records, Blobs: h.blobs, Router: router{h.records}, Waker: deafWaker{}, Watchers: h.watchers,
		Limits: jobs.Limits{BatchLines: 100, BatchBytes: 1 << 20, FileBytes: 2 << 20},
		Now:    fixedNow,
	})
}

type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request; headers are name, value pairs.
func (h *harness) do(method, path, body string, headers ...string) answer {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.server.URL+path, strings.NewReader(body))
	require.NoError(h.t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	return h.send(r)
}

func (h *harness) send(r *http.Request) answer {
	h.t.Helper()
	response, err := h.server.Client().Do(r)
	require.NoError(h.t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(h.t, err)
	return answer{response.StatusCode, response.Header, string(body)}
}

func (h *harness) get(path string, headers ...string) answer {
	h.t.Helper()
	return h.do(http.MethodGet, path, "", headers...)
}

func (h *harness) post(path, body string, headers ...string) answer {
	h.t.Helper()
	return h.do(http.MethodPost, path, body, headers...)
}

// shown is the error of an answer.
type shown struct{ Message, Type, Param, Code string }

// failure reads an answer that must be in the envelope, with all of its keys and no other; null is "".
func failure(t *testing.T, a answer) shown {
	t.Helper()
	var v map[string]map[string]*string
	require.NoError(t, json.Unmarshal([]byte(a.body), &v), "not the envelope: %s", a.body)
	require.Len(t, v, 1, a.body)
	e := v["error"]
	require.Len(t, e, 4, a.body)
	text := func(key string) string {
		value, there := e[key]
		require.True(t, there, "no %s in %s", key, a.body)
		if value == nil {
			return ""
		}
		return *value
	}
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	require.Regexp(t, `^req_[0-9A-Z]{26}$`, a.header.Get("x-request-id"))
	return shown{text("message"), text("type"), text("param"), text("code")}
}

func object(t *testing.T, body string) map[string]any {
	t.Helper()
	var v map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &v), body)
	return v
}

// lockedBuffer is a log that many write and one reads.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
