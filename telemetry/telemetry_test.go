package telemetry_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/ringback/ringback/telemetry"
	"github.com/ringback/ringback/telemetry/span"
)

const (
	clients = span.Trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 vendor=1")
	canary  = "canary-token-1f2e3d"
)

// lines is a log that is read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func open(t *testing.T, endpoint string, change func(*telemetry.Options)) (*telemetry.Recorder, *lines) {
	t.Helper()
	log := &lines{}
	o := telemetry.Options{
		Endpoint: endpoint, Sample: 1, Service: "ringback", Version: "v9", Instance: "own_1",
		Headers: map[string]string{"Authorization": "Bearer " + canary}, Log: slog.New(slog.NewTextHandler(log, nil)),
	}
	if change != nil {
		change(&o)
	}
	r, err := telemetry.New(o)
	require.NoError(t, err)
	return r, log
}

// closing closes a Recorder, with so much time for its last spans, and gives how long that took.
func closing(t *testing.T, r *telemetry.Recorder, grace time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), grace)
	defer cancel()
	require.NoError(t, r.Close(ctx))
	return time.Since(began)
}

func TestExportsAreOTLP(t *testing.T) {
	t.Parallel()
	c := startCollector(t)
	r, log := open(t, c.server.URL+"/", nil)
	ctx, outer := span.NewTracer(r).Begin(t.Context(), clients, span.Server, "POST /v1/batches", span.Text("http.route", "/v1/batches"), span.Text("empty", ""))
	_, inner := span.Start(ctx, span.Client, "provider call", span.Number("ringback.attempt", 1<<40), span.Text("long", strings.Repeat("é", 500)))
	inner.Fail("timeout")
	inner.End()
	outer.End()
	closing(t, r, time.Minute)

	require.Equal(t, "/v1/traces", c.path)
	require.Equal(t, "application/json", c.header.Get("Content-Type"))
	require.Equal(t, "Bearer "+canary, c.header.Get("Authorization"))
	require.Equal(t, map[string]string{"service.name": "ringback", "service.version": "v9", "service.instance.id": "own_1"}, c.from)
	require.Len(t, c.kept(), 2)
	call, request := c.kept()[0], c.kept()[1]
	require.Equal(t, clients.ID(), fmt.Sprintf("%x", request.GetTraceId()))
	require.Equal(t, clients.SpanID(), fmt.Sprintf("%x", request.GetParentSpanId()))
	require.Equal(t, "vendor=1", request.GetTraceState())
	require.Equal(t, request.GetSpanId(), call.GetParentSpanId())
	require.Equal(t, "POST /v1/batches", request.GetName())
	require.Equal(t, tracepb.Span_SPAN_KIND_SERVER, request.GetKind())
	require.Equal(t, tracepb.Span_SPAN_KIND_CLIENT, call.GetKind())
	require.Equal(t, map[string]any{"http.route": "/v1/batches"}, attrsOf(t, request))
	require.Equal(t, map[string]any{"ringback.attempt": int64(1 << 40), "long": strings.Repeat("é", 128), "error.type": "timeout"}, attrsOf(t, call))
	require.Equal(t, tracepb.Status_STATUS_CODE_ERROR, call.GetStatus().GetCode())
	require.Equal(t, tracepb.Status_STATUS_CODE_UNSET, request.GetStatus().GetCode())
	require.GreaterOrEqual(t, request.GetEndTimeUnixNano(), call.GetEndTimeUnixNano())
	require.InDelta(t, time.Now().UnixNano(), float64(call.GetStartTimeUnixNano()), float64(time.Minute))
	require.Empty(t, log.String())
}

func TestEveryKindIsNamed(t *testing.T) {
	t.Parallel()
	c := startCollector(t)
	r, _ := open(t, c.server.URL, nil)
	kinds := map[span.Kind]tracepb.Span_SpanKind{
		span.Internal: tracepb.Span_SPAN_KIND_INTERNAL, span.Server: tracepb.Span_SPAN_KIND_SERVER, span.Client: tracepb.Span_SPAN_KIND_CLIENT,
		span.Producer: tracepb.Span_SPAN_KIND_PRODUCER, span.Consumer: tracepb.Span_SPAN_KIND_CONSUMER,
	}
	for kind, want := range kinds {
		_, s := span.NewTracer(r).Begin(t.Context(), clients, kind, want.String())
		s.End()
	}
	closing(t, r, time.Minute)
	for _, s := range c.kept() {
		require.Equal(t, s.GetName(), s.GetKind().String())
	}
	require.Len(t, c.kept(), len(kinds))
}

func TestSampling(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name     string
		share    float64
		parent   span.Trace
		least    int
		most     int
		reported bool // the sampled flag that others see
	}{
		{"all new ones", 1, "", 200, 200, true},
		{"no new one", 0, "", 0, 0, false},
		{"half of them", 0.5, "", 50, 150, false},
		{"a client's, although none is ours to begin", 0, clients, 200, 200, true},
		{"not a client's that says no", 1, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", 0, 0, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := startCollector(t)
			r, _ := open(t, c.server.URL, func(o *telemetry.Options) { o.Sample = row.share })
			for range 200 {
				ctx, s := span.NewTracer(r).Begin(t.Context(), row.parent, span.Server, "request")
				require.NotEmpty(t, span.From(ctx), "it has a place in any case")
				require.Equal(t, s != nil, span.From(ctx).Sampled(), "what is told to others is what is kept")
				s.End()
			}
			closing(t, r, time.Minute)
			require.GreaterOrEqual(t, len(c.kept()), row.least)
			require.LessOrEqual(t, len(c.kept()), row.most)
		})
	}
}

func TestDroppedSpansAreNotExported(t *testing.T) {
	t.Parallel()
	c := startCollector(t)
	r, _ := open(t, c.server.URL, nil)
	ctx, s := span.NewTracer(r).Begin(t.Context(), clients, span.Consumer, "wait")
	span.Drop(ctx)
	s.End()
	closing(t, r, time.Minute)
	require.Empty(t, c.kept())
}

// Whatever the collector does, work goes on at once, the stop is bounded, and the log says so once, without the key.
func TestCollectorInTroubleDelaysNothing(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	hangs := startCollector(t)
	hangs.answers(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	refuses := startCollector(t)
	refuses.answers(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, canary, http.StatusUnauthorized) })
	busy := startCollector(t)
	busy.answers(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, canary, http.StatusServiceUnavailable) })
	elsewhere, moved := startCollector(t), startCollector(t)
	moved.answers(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.server.URL+"/"+canary, http.StatusTemporaryRedirect)
	})
	partly := startCollector(t)
	partly.answers(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"partialSuccess":{"rejectedSpans":"7","errorMessage":"` + canary + `"}}`))
	})
	for name, endpoint := range map[string]string{
		"hanging": hangs.server.URL, "refusing": refuses.server.URL, "busy": busy.server.URL, "redirecting": moved.server.URL,
		"taking a part": partly.server.URL, "away": "http://127.0.0.1:1/" + canary,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, log := open(t, endpoint, nil)
			const spans = 10_000 // more than wait for the collector at the same time
			began := time.Now()
			for range spans {
				_, s := span.NewTracer(r).Begin(t.Context(), clients, span.Client, "call", span.Number("n", 1))
				s.End()
			}
			took := time.Since(began)
			t.Logf("%d spans in %s: %s each", spans, took, took/spans)
			require.Less(t, took, 20*time.Second, "a full queue makes nobody wait")
			require.Less(t, closing(t, r, 200*time.Millisecond), 10*time.Second)
			require.LessOrEqual(t, strings.Count(log.String(), "\n"), 1)
			require.Contains(t, log.String(), "spans could not be exported")
			require.NotContains(t, log.String(), canary)
			require.Zero(t, elsewhere.exports(), "the key goes to one place")
		})
	}
}

func TestExportIsTriedAgain(t *testing.T) {
	t.Parallel()
	c := startCollector(t)
	c.answers(func(w http.ResponseWriter, _ *http.Request) {
		c.answers(nil)
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	r, log := open(t, c.server.URL, nil)
	_, s := span.NewTracer(r).Begin(t.Context(), clients, span.Client, "call")
	s.End()
	closing(t, r, time.Minute)
	require.Len(t, c.kept(), 1)
	require.Equal(t, 2, c.exports())
	require.Empty(t, log.String())
}

func TestAddressMustBeAnHTTPURL(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"", "localhost:4318", "grpc://x:4317", "http://", "://" + canary} {
		_, err := telemetry.New(telemetry.Options{Endpoint: endpoint})
		require.ErrorContains(t, err, "http://127.0.0.1:4318")
		require.NotContains(t, err.Error(), canary)
	}
}

func BenchmarkRecordedSpan(b *testing.B) {
	r, err := telemetry.New(telemetry.Options{Endpoint: "http://127.0.0.1:1", Sample: 1})
	require.NoError(b, err)
	tracer := span.NewTracer(r)
	b.ReportAllocs()
	for b.Loop() {
		_, s := tracer.Begin(b.Context(), clients, span.Client, "call", span.Number("n", 1), span.Text("a", "b"))
		s.End()
	}
	ctx, cancel := context.WithCancel(b.Context())
	cancel()
	_ = r.Close(ctx)
}
