// Package span carries a place in a trace (W3C Trace Context) through the program, and tells work as spans.
//
// It knows plain texts only. Who keeps the spans stands behind Recorder; without one, places are passed on all the same:
// a client's trace reaches the providers and the receivers, under span IDs of our own that nobody records.
//
// What a span says is for an operator's eyes: names, IDs, counts, states. Never a prompt, a body, a URL, a header's value or
// a key.
package span

import (
	"context"
	"slices"
)

// Kind says which side of a call a span is, in OpenTelemetry's words.
type Kind int

// The kinds of spans.
const (
	Internal Kind = iota
	Server        // answers a request
	Client        // makes a request and waits for its answer
	Producer      // hands work on that somebody begins later
	Consumer      // does work that was handed on
)

// Attr is one thing that a span says: a text, or a number.
type Attr struct {
	Key      string
	Text     string
	Number   int64
	IsNumber bool
}

// Text is an attribute with a text. An empty text is left out.
func Text(key, value string) Attr { return Attr{Key: key, Text: value} }

// Number is an attribute with a number.
func Number(key string, n int64) Attr { return Attr{Key: key, Number: n, IsNumber: true} }

// Recorder keeps spans. It never makes its caller wait.
type Recorder interface {
	// Begin starts a span below parent, or a new trace for none, and gives the span's own place. A nil Record means that
	// the trace is not to be recorded.
	Begin(parent Trace, kind Kind, name string, attrs []Attr) (Trace, Record)
}

// Record is a span as its Recorder sees it. One that is never ended is never kept.
type Record interface {
	Note(attrs []Attr)
	// End keeps the span. failed says in a word or two why the work failed; empty where it did not.
	End(failed string)
}

// Tracer begins spans where work enters the program. A nil Tracer passes places on and records nothing.
type Tracer struct{ recorder Recorder }

// NewTracer makes a Tracer; a nil Recorder records nothing.
func NewTracer(r Recorder) *Tracer { return &Tracer{r} }

// Records tells whether spans are kept, so that work without a trace may begin one.
func (t *Tracer) Records() bool { return t != nil && t.recorder != nil }

// Begin starts a span below parent. Without a parent it begins a trace if spans are kept, and does nothing otherwise.
func (t *Tracer) Begin(ctx context.Context, parent Trace, kind Kind, name string, attrs ...Attr) (context.Context, *Span) {
	if parent == "" && !t.Records() {
		return ctx, nil
	}
	trace, s := t.begin(parent, kind, name, attrs)
	return within(ctx, &place{tracer: t, trace: trace, span: s}), s
}

// Enter puts work into a trace without a span of its own. No trace changes nothing.
func (t *Tracer) Enter(ctx context.Context, trace Trace) context.Context {
	if trace == "" {
		return ctx
	}
	return within(ctx, &place{tracer: t, trace: trace, folded: true})
}

func (t *Tracer) begin(parent Trace, kind Kind, name string, attrs []Attr) (Trace, *Span) {
	if !t.Records() || parent != "" && !parent.Sampled() {
		return parent.child(), nil
	}
	// A copy, so that the callers' attributes stay on their stacks where nothing is recorded.
	trace, record := t.recorder.Begin(parent, kind, name, slices.Clone(attrs))
	if record == nil {
		return trace, nil
	}
	return trace, &Span{record: record}
}

// place is where in a trace the work of a context stands.
type place struct {
	tracer *Tracer
	trace  Trace
	span   *Span
	folded bool // no spans are begun below it
}

type placeKey struct{}

func within(ctx context.Context, p *place) context.Context {
	return context.WithValue(ctx, placeKey{}, p)
}

func at(ctx context.Context) *place {
	p, _ := ctx.Value(placeKey{}).(*place)
	return p
}

// From is the place of a context: what the next program is told as its parent.
func From(ctx context.Context) Trace {
	if p := at(ctx); p != nil {
		return p.trace
	}
	return ""
}

// Start begins a span below that of ctx. Outside of a trace it does nothing.
func Start(ctx context.Context, kind Kind, name string, attrs ...Attr) (context.Context, *Span) {
	p := at(ctx)
	if p == nil || p.folded {
		return ctx, nil
	}
	trace, s := p.tracer.begin(p.trace, kind, name, attrs)
	return within(ctx, &place{tracer: p.tracer, trace: trace, span: s}), s
}

// Fold makes all work below ctx part of ctx's own span: it begins no spans, and names that one as the parent to others.
// That bounds the spans of work in a million pieces.
func Fold(ctx context.Context) context.Context {
	p := at(ctx)
	if p == nil || p.folded {
		return ctx
	}
	return within(ctx, &place{tracer: p.tracer, trace: p.trace, folded: true})
}

// Drop leaves the span of ctx out: there was nothing to do after all. It must have no children.
func Drop(ctx context.Context) {
	if p := at(ctx); p != nil {
		p.span.Drop()
	}
}

// Span is one piece of work. A nil Span does nothing. It is not for use by several goroutines at once.
type Span struct {
	record Record
	failed string
	ended  bool
}

// Note adds what is known by now.
func (s *Span) Note(attrs ...Attr) {
	if s != nil {
		s.record.Note(slices.Clone(attrs))
	}
}

// Fail says why the work failed: a class or a code, never a message from outside. Empty is no failure.
func (s *Span) Fail(why string) {
	if s != nil {
		s.failed = why
	}
}

// End ends the span, once.
func (s *Span) End() {
	if s == nil || s.ended {
		return
	}
	s.ended = true
	s.record.End(s.failed)
}

// Drop leaves the span out.
func (s *Span) Drop() {
	if s != nil {
		s.ended = true
	}
}
