package telemetry

import (
	"encoding/json"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// The types below are an ExportTraceServiceRequest in OTLP's JSON encoding: IDs in hex, 64-bit integers as texts, enums
// as numbers (opentelemetry.io/docs/specs/otlp, "JSON Protobuf Encoding"). What Ringback never sets is left out.
type (
	export struct {
		ResourceSpans []resourceSpans `json:"resourceSpans"`
	}
	resourceSpans struct {
		Resource   resourceAttrs `json:"resource"`
		ScopeSpans []scopeSpans  `json:"scopeSpans"`
	}
	resourceAttrs struct {
		Attributes []keyValue `json:"attributes"`
	}
	scopeSpans struct {
		Scope scope      `json:"scope"`
		Spans []spanJSON `json:"spans"`
	}
	scope struct {
		Name string `json:"name"`
	}
	spanJSON struct {
		TraceID      string     `json:"traceId"`
		SpanID       string     `json:"spanId"`
		TraceState   string     `json:"traceState,omitempty"`
		ParentSpanID string     `json:"parentSpanId,omitempty"`
		Flags        uint32     `json:"flags"`
		Name         string     `json:"name"`
		Kind         int        `json:"kind"`
		Start        string     `json:"startTimeUnixNano"`
		End          string     `json:"endTimeUnixNano"`
		Attributes   []keyValue `json:"attributes,omitempty"`
		Status       *status    `json:"status,omitempty"`
	}
	status struct {
		Code    int    `json:"code"`
		Message string `json:"message,omitempty"`
	}
	keyValue struct {
		Key   string   `json:"key"`
		Value anyValue `json:"value"`
	}
	anyValue struct {
		Text   *string `json:"stringValue,omitempty"`
		Number string  `json:"intValue,omitempty"`
	}
)

// statusError is STATUS_CODE_ERROR, which the SDK numbers otherwise.
const statusError = 2

// encode writes spans of one process as one request. All of them have its resource.
func encode(spans []sdk.ReadOnlySpan) []byte {
	if len(spans) == 0 {
		return []byte(`{"resourceSpans":[]}`)
	}
	told := scopeSpans{Scope: scope{spans[0].InstrumentationScope().Name}, Spans: make([]spanJSON, len(spans))}
	for i, s := range spans {
		told.Spans[i] = encodeSpan(s)
	}
	text, _ := json.Marshal(export{[]resourceSpans{{ // texts and numbers alone: it cannot fail
		Resource:   resourceAttrs{encodeAttrs(spans[0].Resource().Attributes())},
		ScopeSpans: []scopeSpans{told},
	}}})
	return text
}

func encodeSpan(s sdk.ReadOnlySpan) spanJSON {
	c := s.SpanContext()
	encoded := spanJSON{
		TraceID: c.TraceID().String(), SpanID: c.SpanID().String(), TraceState: c.TraceState().String(),
		Flags: uint32(c.TraceFlags()), Name: s.Name(), Kind: int(s.SpanKind()),
		Start: nanoseconds(s.StartTime()), End: nanoseconds(s.EndTime()), Attributes: encodeAttrs(s.Attributes()),
	}
	if s.Parent().HasSpanID() {
		encoded.ParentSpanID = s.Parent().SpanID().String()
	}
	if s.Status().Code == codes.Error {
		encoded.Status = &status{statusError, s.Status().Description}
	}
	return encoded
}

func nanoseconds(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func encodeAttrs(attrs []attribute.KeyValue) []keyValue {
	encoded := make([]keyValue, len(attrs))
	for i, a := range attrs {
		encoded[i].Key = string(a.Key)
		if a.Value.Type() == attribute.INT64 {
			encoded[i].Value.Number = strconv.FormatInt(a.Value.AsInt64(), 10)
			continue
		}
		text := a.Value.String() // texts, and whatever OTEL_RESOURCE_ATTRIBUTES brings, which are texts
		encoded[i].Value.Text = &text
	}
	return encoded
}
