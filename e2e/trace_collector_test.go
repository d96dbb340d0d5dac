package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// collector takes OpenTelemetry's exports.
type collector struct {
	server *httptest.Server
	hangs  chan struct{} // nil: it answers at once

	mu     sync.Mutex
	bodies []string
}

// toldSpan is a span as it was exported.
type toldSpan struct{ trace, id, parent, name string }

func startCollector(t *testing.T, hangs bool) *collector {
	t.Helper()
	c := &collector{}
	if hangs {
		c.hangs = make(chan struct{})
	}
	c.server = httptest.NewServer(c)
	t.Cleanup(func() {
		if hangs {
			close(c.hangs)
		}
		c.server.CloseClientConnections()
		c.server.Close()
	})
	return c
}

// setting makes a server export its spans here.
func (c *collector) setting() string { return "telemetry.otlp_endpoint=" + c.server.URL }

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if c.hangs != nil {
		select {
		case <-c.hangs:
		case <-r.Context().Done():
		}
		return
	}
	if err != nil || r.URL.Path != "/v1/traces" || !gjson.ValidBytes(body) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies = append(c.bodies, string(body))
}

// text is all that was exported.
func (c *collector) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.bodies, "\n")
}

// told are the spans of a trace, or of all traces for the empty ID.
func (c *collector) told(trace string) (spans []toldSpan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, body := range c.bodies {
		for _, s := range gjson.Get(body, "resourceSpans.#.scopeSpans.#.spans|@flatten|@flatten").Array() {
			told := toldSpan{s.Get("traceId").String(), s.Get("spanId").String(), s.Get("parentSpanId").String(), s.Get("name").String()}
			if trace == "" || told.trace == trace {
				spans = append(spans, told)
			}
		}
	}
	return spans
}

// tree wants the spans to hang together below one span of the client's, and gives the IDs of those that have a name.
func tree(t *testing.T, spans []toldSpan, root string) map[string][]string {
	t.Helper()
	parents, names := map[string]string{}, map[string][]string{}
	for _, s := range spans {
		require.NotContains(t, parents, s.id, "%s is told once", s.name)
		parents[s.id] = s.parent
		names[s.name] = append(names[s.name], s.id)
	}
	for _, s := range spans {
		at, steps := s.id, 0
		for ; at != root && steps < 10; steps++ {
			at = parents[at]
		}
		require.Equal(t, root, at, "%q hangs below the client's span: %v", s.name, spans)
	}
	return names
}

// hearing is an upstream that keeps the headers of its calls.
type hearing struct {
	*upstream
	mu      sync.Mutex
	headers []http.Header
}

func startHearing(t *testing.T, answer func(body string) reply) *hearing {
	t.Helper()
	h := &hearing{upstream: startUpstream(t, answer)}
	h.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			h.mu.Lock()
			h.headers = append(h.headers, r.Header.Clone())
			h.mu.Unlock()
		}
		h.ServeHTTP(w, r)
	})
	return h
}

// heard are the traceparents of the calls so far.
func (h *hearing) heard() (parents []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, header := range h.headers {
		parents = append(parents, header.Get("Traceparent"))
	}
	return parents
}

// exported waits until the spans of a trace with all of these names have come.
func (c *collector) exported(t *testing.T, trace string, names ...string) []toldSpan {
	t.Helper()
	var spans []toldSpan
	eventually(t, "the spans "+strings.Join(names, ", ")+" have come", func() bool {
		spans = c.told(trace)
		seen := map[string]bool{}
		for _, s := range spans {
			seen[s.name] = true
		}
		for _, name := range names {
			if !seen[name] {
				time.Sleep(20 * time.Millisecond)
				return false
			}
		}
		return true
	})
	return spans
}
