// Package telemetry records spans and sends them to a collector: OpenTelemetry's SDK, and OTLP over HTTP.
//
// It is the Recorder behind package span. Whatever becomes of the collector, recording never waits: spans stand in a
// bounded queue, and what does not fit is lost.
package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/ringback/ringback/telemetry/span"
)

// Options say where spans go.
type Options struct {
	Endpoint string            // the collector's base URL, as http://127.0.0.1:4318; spans go to /v1/traces below it
	Headers  map[string]string // sent with each export; their values are secrets
	Sample   float64           // share of the traces that begin here and are recorded, 0 to 1
	Service  string            // service.name
	Version  string            // service.version
	Instance string            // service.instance.id: this process
	Log      *slog.Logger
}

// The queue between the work and the collector: spans that wait, spans in one export, how long a set is gathered.
const (
	queueSpans  = 8192
	exportSpans = 512
	gather      = time.Second
)

// Recorder keeps spans until they are exported. It is safe for use by many goroutines.
type Recorder struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	exporter *exporter
}

// New makes a Recorder and begins to export. Nothing is asked of the collector yet: it may be away.
func New(o Options) (*Recorder, error) {
	e, err := newExporter(o)
	if err != nil {
		return nil, err
	}
	r := &Recorder{exporter: e, provider: sdk.NewTracerProvider(
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(o.Sample))),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", o.Service), attribute.String("service.version", o.Version),
			attribute.String("service.instance.id", o.Instance),
		)),
		sdk.WithBatcher(e, sdk.WithMaxQueueSize(queueSpans), sdk.WithMaxExportBatchSize(exportSpans),
			sdk.WithBatchTimeout(gather), sdk.WithExportTimeout(exportTimeout)),
	)}
	r.tracer = r.provider.Tracer("github.com/ringback/ringback")
	return r, nil
}

// Close exports what is left until ctx ends, and stops. What then still waits is lost.
func (r *Recorder) Close(ctx context.Context) error {
	defer context.AfterFunc(ctx, r.exporter.cut)()
	err := r.provider.Shutdown(context.WithoutCancel(ctx))
	r.exporter.close()
	if err != nil {
		return fmt.Errorf("telemetry: %w", err)
	}
	return nil
}

var kinds = map[span.Kind]trace.SpanKind{
	span.Internal: trace.SpanKindInternal, span.Server: trace.SpanKindServer, span.Client: trace.SpanKindClient,
	span.Producer: trace.SpanKindProducer, span.Consumer: trace.SpanKindConsumer,
}

// Begin starts a span, as span.Recorder asks.
func (r *Recorder) Begin(parent span.Trace, kind span.Kind, name string, attrs []span.Attr) (span.Trace, span.Record) {
	ctx := context.Background()
	if parent != "" {
		ctx = trace.ContextWithSpanContext(ctx, contextOf(parent))
	}
	_, s := r.tracer.Start(ctx, shorten(name), trace.WithSpanKind(kinds[kind]), trace.WithAttributes(convert(attrs)...))
	if !s.IsRecording() {
		return placeOf(s.SpanContext()), nil
	}
	return placeOf(s.SpanContext()), record{s}
}

// contextOf reads a place; one that is malformed is none.
func contextOf(t span.Trace) trace.SpanContext {
	id, errID := trace.TraceIDFromHex(t.ID())
	spanID, errSpan := trace.SpanIDFromHex(t.SpanID())
	if errID != nil || errSpan != nil {
		return trace.SpanContext{}
	}
	state, _ := trace.ParseTraceState(t.State()) // one that OpenTelemetry does not take goes no further
	var flags trace.TraceFlags
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: id, SpanID: spanID, TraceFlags: flags.WithSampled(t.Sampled()), TraceState: state,
	})
}

func placeOf(c trace.SpanContext) span.Trace {
	h := http.Header{span.ParentHeader: {"00-" + c.TraceID().String() + "-" + c.SpanID().String() + "-" + c.TraceFlags().String()}}
	if state := c.TraceState().String(); state != "" {
		h.Set(span.StateHeader, state)
	}
	return span.Read(h)
}

// record is a span of the SDK's.
type record struct{ span trace.Span }

func (r record) Note(attrs []span.Attr) { r.span.SetAttributes(convert(attrs)...) }

func (r record) End(failed string) {
	if failed != "" {
		r.span.SetStatus(codes.Error, shorten(failed))
		r.span.SetAttributes(attribute.String("error.type", shorten(failed)))
	}
	r.span.End()
}

func convert(attrs []span.Attr) []attribute.KeyValue {
	converted := make([]attribute.KeyValue, 0, len(attrs))
	for _, a := range attrs {
		switch {
		case a.IsNumber:
			converted = append(converted, attribute.Int64(a.Key, a.Number))
		case a.Text != "":
			converted = append(converted, attribute.String(a.Key, shorten(a.Text)))
		}
	}
	return converted
}

// maxText bounds a text of a span, in bytes: clients name models and paths.
const maxText = 256

func shorten(s string) string {
	if len(s) <= maxText && utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s[:min(len(s), maxText)], "")
}
