package providers

import (
	"context"
	"net/http"
	"strings"

	"github.com/ringback/ringback/telemetry/span"
)

// pathAttr is where an OpenAI path stands in a span.
const pathAttr = "ringback.path"

// begin starts the span of one call, where the caller's work is in a trace. Its
// attributes name the provider as it is configured, never its address: a base
// URL may hold a key.
func (p *Provider) begin(ctx context.Context, path, model string) (context.Context, *span.Span) {
	return span.Start(ctx, span.Client, "provider call",
		span.Text("ringback.provider", p.config.Name), span.Text(pathAttr, path), span.Text("gen_ai.request.model", model))
}

// tell adds to a call's span how it went.
func tell(s *span.Span, a Answer, failure *Error) {
	if s == nil {
		return
	}
	status := a.Status
	if failure != nil {
		s.Fail(string(failure.Kind))
		status = failure.Status
	}
	for key, n := range map[string]int64{
		"http.response.status_code": int64(status), "gen_ai.usage.input_tokens": a.Usage.InputTokens,
		"gen_ai.usage.output_tokens": a.Usage.OutputTokens,
	} {
		if n > 0 {
			s.Note(span.Number(key, n))
		}
	}
}

// traced adds the trace of ctx to a call's header.
func (p *Provider) traced(ctx context.Context, h http.Header) http.Header {
	trace := span.From(ctx)
	if trace == "" || p.untraced {
		return h
	}
	h = h.Clone()
	trace.Put(h)
	return h
}

// tracedByOperator tells whether a configured header stands where a trace would.
func tracedByOperator(h http.Header) bool {
	return h.Values(span.ParentHeader) != nil || h.Values(span.StateHeader) != nil
}

// below is a path without that of the base URL.
func (p *Provider) below(path string) string { return strings.TrimPrefix(path, p.base.Path) }
