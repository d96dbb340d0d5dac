package jobs

import (
	"context"

	"github.com/ringback/ringback/telemetry/span"
)

// accept starts the span of a submission's commit. From here on the job stands below it, whoever works on it and
// whenever.
func accept(ctx context.Context, j *Job) (context.Context, *span.Span) {
	ctx, accepted := span.Start(ctx, span.Producer, "accept",
		span.Text("ringback.job.id", j.ID), span.Text("ringback.job.kind", string(j.Kind)))
	j.Trace = string(span.From(ctx))
	return ctx, accepted
}

// attempt starts the span of one attempt at a job. A look at what a provider has of a job is none: there may be
// thousands, most of which find nothing new. Its calls stand below the submission.
func (r *Runner) attempt(ctx context.Context, j *Job) (context.Context, *span.Span) {
	trace := span.Parse(j.Trace)
	if trace == "" || j.Remote.Job != "" {
		return r.Tracer.Enter(ctx, trace), nil
	}
	return r.Tracer.Begin(ctx, trace, span.Consumer, string(j.Kind)+" "+string(j.Status),
		span.Text("ringback.job.id", j.ID), span.Number("ringback.attempt", j.Attempt))
}

// toldShard starts the span of one attempt at a shard. It stands for all of the shard's calls, which name it as their
// parent: a span for each line would be a million for a batch of a million lines.
func (r *Runner) toldShard(ctx context.Context, j *Job, s *Shard) (context.Context, *span.Span) {
	trace := span.Parse(j.Trace)
	if trace == "" {
		return ctx, nil
	}
	ctx, told := r.Tracer.Begin(ctx, trace, span.Consumer, "batch shard",
		span.Text("ringback.job.id", j.ID), span.Text("gen_ai.request.model", j.Model), span.Number("ringback.shard", int64(s.N)),
		span.Number("ringback.attempt", s.Attempt), span.Number("ringback.lines", s.Lines))
	return span.Fold(ctx), told
}

// tell ends a shard's span with what its calls have come to. One that called nothing, as it waited for a limit, is left
// out.
func (s *shardRun) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told == nil || s.begun == 0 {
		return
	}
	s.told.Note(span.Number("ringback.lines.called", int64(s.begun)), span.Number("ringback.lines.answered", int64(s.sent)),
		span.Number("ringback.lines.retried_later", int64(len(s.left))))
	s.told.End()
}
