package span

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// kept is a Recorder that keeps what it is told. It samples as it is told.
type kept struct {
	refuses bool
	spans   []*told
}

type told struct {
	parent, place Trace
	kind          Kind
	name          string
	attrs         []Attr
	ended         int
	failed        string
}

func (k *kept) Begin(parent Trace, kind Kind, name string, attrs []Attr) (Trace, Record) {
	place := Trace(unasked)
	if !k.refuses {
		place = Trace(parent0).child()
	}
	if parent != "" {
		place = parent.child()
	}
	if k.refuses {
		return place, nil
	}
	k.spans = append(k.spans, &told{parent: parent, place: place, kind: kind, name: name, attrs: attrs})
	return place, k.spans[len(k.spans)-1]
}

const parent0 = "00-11111111111111111111111111111111-2222222222222222-01"

func (s *told) Note(attrs []Attr) { s.attrs = append(s.attrs, attrs...) }
func (s *told) End(failed string) { s.ended++; s.failed = failed }

func TestSpansFormATree(t *testing.T) {
	t.Parallel()
	var k kept
	ctx, outer := NewTracer(&k).Begin(t.Context(), Trace(parent), Server, "request")
	inner, call := Start(ctx, Client, "call", Text("a", "1"), Number("b", 2))
	call.Note(Number("c", 3))
	call.Fail("timeout")
	call.End()
	call.End()
	outer.End()
	require.Len(t, k.spans, 2)
	require.Equal(t, Trace(parent), k.spans[0].parent)
	require.Equal(t, k.spans[0].place, k.spans[1].parent)
	require.Equal(t, k.spans[1].place, From(inner))
	require.Equal(t, k.spans[0].place, From(ctx))
	require.Equal(t, []Attr{{Key: "a", Text: "1"}, {Key: "b", Number: 2, IsNumber: true}, {Key: "c", Number: 3, IsNumber: true}}, k.spans[1].attrs)
	require.Equal(t, 1, k.spans[1].ended, "once")
	require.Equal(t, "timeout", k.spans[1].failed)
	require.Empty(t, k.spans[0].failed)
}

func TestFoldedWorkIsPartOfItsSpan(t *testing.T) {
	t.Parallel()
	var k kept
	ctx, _ := NewTracer(&k).Begin(t.Context(), Trace(parent), Consumer, "shard")
	folded := Fold(ctx)
	below, s := Start(folded, Client, "call")
	require.Nil(t, s)
	require.Equal(t, From(ctx), From(below), "others name the shard as their parent")
	require.Len(t, k.spans, 1)
	require.Equal(t, t.Context(), Fold(t.Context()))

	entered := NewTracer(&k).Enter(t.Context(), Trace(parent))
	_, s = Start(entered, Client, "call")
	require.Nil(t, s)
	require.Equal(t, Trace(parent), From(entered))
}

func TestDroppedSpanIsNeverKept(t *testing.T) {
	t.Parallel()
	var k kept
	ctx, s := NewTracer(&k).Begin(t.Context(), "", Consumer, "wait")
	Drop(ctx)
	s.End()
	require.Zero(t, k.spans[0].ended)
	Drop(t.Context())
}

func TestWithoutARecorderPlacesAreStillPassedOn(t *testing.T) {
	t.Parallel()
	for name, tracer := range map[string]*Tracer{"none": nil, "no recorder": NewTracer(nil)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.False(t, tracer.Records())
			ctx, s := tracer.Begin(t.Context(), Trace(parent), Server, "request")
			s.Note(Number("a", 1))
			s.Fail("x")
			s.End()
			s.Drop()
			require.Nil(t, s)
			below, _ := Start(ctx, Client, "call")
			ids := map[string]bool{Trace(parent).SpanID(): true, From(ctx).SpanID(): true, From(below).SpanID(): true}
			require.Len(t, ids, 3, "each has an ID of its own")
			require.Equal(t, Trace(parent).ID(), From(below).ID())
			require.True(t, From(below).Sampled(), "as the client said")

			none, s := tracer.Begin(t.Context(), "", Server, "request")
			require.Nil(t, s)
			require.Equal(t, t.Context(), none, "no trace begins")
			require.Equal(t, t.Context(), tracer.Enter(t.Context(), ""))
		})
	}
}

func TestClientsUnsampledTraceIsPassedOnUnrecorded(t *testing.T) {
	t.Parallel()
	var k kept
	ctx, s := NewTracer(&k).Begin(t.Context(), Trace(unasked), Server, "request")
	require.Nil(t, s)
	require.Empty(t, k.spans)
	require.Equal(t, Trace(unasked).ID(), From(ctx).ID())
	require.NotEqual(t, Trace(unasked).SpanID(), From(ctx).SpanID())
	require.False(t, From(ctx).Sampled())

	k.refuses = true
	ctx, s = NewTracer(&k).Begin(t.Context(), "", Server, "request")
	require.Nil(t, s)
	require.Equal(t, Trace(unasked), From(ctx), "a trace that is not sampled is a trace")
}

// Outside of a trace the calls cost a look into the context, and nothing of the heap.
func TestNothingIsAllocatedOutsideOfATrace(t *testing.T) {
	tracer, ctx := NewTracer(nil), t.Context()
	require.Zero(t, testing.AllocsPerRun(100, func() { untraced(ctx, tracer) }))
}

func BenchmarkOutsideOfATrace(b *testing.B) {
	tracer := NewTracer(nil)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		untraced(ctx, tracer)
	}
}

func BenchmarkPassedOnUnrecorded(b *testing.B) {
	tracer := NewTracer(nil)
	b.ReportAllocs()
	for b.Loop() {
		ctx, s := tracer.Begin(b.Context(), Trace(parent), Consumer, "attempt")
		untraced(ctx, tracer)
		s.End()
	}
}

// untraced is what an attempt does with spans.
func untraced(ctx context.Context, tracer *Tracer) {
	ctx, s := tracer.Begin(ctx, "", Consumer, "attempt", Text("ringback.job.id", "gen_1"), Number("ringback.attempt", 1))
	ctx, call := Start(ctx, Client, "provider call", Text("ringback.provider", "p"), Text("gen_ai.request.model", "m"))
	_ = From(ctx)
	call.Note(Number("http.response.status_code", 200))
	call.End()
	s.End()
}
