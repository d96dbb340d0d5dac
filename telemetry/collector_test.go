package telemetry_test

import (
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// collector takes exports over real HTTP, and reads them by OpenTelemetry's own message types: an unknown field or a
// wrong type is an error.
type collector struct {
	t      *testing.T
	server *httptest.Server

	mu     sync.Mutex
	answer http.HandlerFunc // nil: 200
	header http.Header      // of the last export
	path   string
	asked  int
	spans  []*tracepb.Span
	from   map[string]string // the resource
}

func startCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{t: t, from: map[string]string{}}
	c.server = httptest.NewServer(c)
	t.Cleanup(func() {
		c.server.CloseClientConnections()
		c.server.Close()
	})
	return c
}

// answers sets what exports are answered with from now on; what is so answered is not kept.
func (c *collector) answers(h http.HandlerFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = h
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	c.mu.Lock()
	c.asked++
	answer := c.answer
	c.header, c.path = r.Header.Clone(), r.URL.Path
	c.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	if err != nil {
		return
	}
	if err := c.take(body); err != nil {
		c.t.Errorf("an export is not OTLP: %v\n%s", err, body)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"partialSuccess":{}}`)
}

var hexID = regexp.MustCompile(`"(traceId|spanId|parentSpanId)":"([0-9a-f]*)"`)

// take reads an export. OTLP's JSON has IDs in hex where protobuf's has base64; that is all that differs.
func (c *collector) take(body []byte) error {
	body = hexID.ReplaceAllFunc(body, func(found []byte) []byte {
		parts := hexID.FindSubmatch(found)
		id, _ := hex.DecodeString(string(parts[2])) // an odd one is too short for its span
		return []byte(`"` + string(parts[1]) + `":"` + base64.StdEncoding.EncodeToString(id) + `"`)
	})
	var data tracepb.TracesData
	if err := protojson.Unmarshal(body, &data); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range data.GetResourceSpans() {
		for _, a := range r.GetResource().GetAttributes() {
			c.from[a.GetKey()] = a.GetValue().GetStringValue()
		}
		for _, s := range r.GetScopeSpans() {
			c.spans = append(c.spans, s.GetSpans()...)
		}
	}
	return nil
}

func (c *collector) kept() []*tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*tracepb.Span(nil), c.spans...)
}

func (c *collector) exports() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

func attrsOf(t *testing.T, s *tracepb.Span) map[string]any {
	t.Helper()
	attrs := map[string]any{}
	for _, a := range s.GetAttributes() {
		require.NotContains(t, attrs, a.GetKey(), "once")
		attrs[a.GetKey()] = a.GetValue().GetStringValue()
		if a.GetValue().GetStringValue() == "" {
			attrs[a.GetKey()] = a.GetValue().GetIntValue()
		}
	}
	return attrs
}
