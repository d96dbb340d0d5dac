package callbacks

import (
	"context"
	"net/http"
	"strconv"

	"github.com/ringback/ringback/telemetry/span"
)

// follow starts the span of one attempt: below what the event came of, however long ago that ended. A test fire, which
// comes of no job, stands below the request that asked for it.
func (p *Poster) follow(ctx context.Context, c *Claimed, number int) (context.Context, *span.Span) {
	const name = "callback"
	id, event := span.Text("ringback.delivery.id", c.ID), span.Text("ringback.event.id", c.EventID)
	typ, job := span.Text("ringback.event.type", string(c.EventType)), span.Text("ringback.job.id", c.JobID)
	endpoint, attempt := span.Text("ringback.endpoint.id", c.EndpointID), span.Number("ringback.attempt", int64(number))
	if trace := span.Parse(c.Trace); trace != "" {
		return p.Tracer.Begin(ctx, trace, span.Client, name, id, event, typ, job, endpoint, attempt)
	}
	return span.Start(ctx, span.Client, name, id, event, typ, job, endpoint, attempt)
}

// tell adds to an attempt's span how it went.
func tell(s *span.Span, r *Result) {
	if r.StatusCode != 0 {
		s.Note(span.Number("http.response.status_code", int64(r.StatusCode)))
	}
	switch {
	case r.ErrorClass != "":
		s.Fail(string(r.ErrorClass))
	case r.StatusCode >= http.StatusMultipleChoices:
		s.Fail(strconv.Itoa(r.StatusCode))
	}
}
