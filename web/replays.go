package web

import (
	"context"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// ReplayService sends events of the past to an endpoint again.
type ReplayService interface {
	// Replay sends one event, whatever the endpoint subscribes to.
	Replay(ctx context.Context, endpoint jobs.Ref, eventID string) (callbacks.DeliveryObject, error)
	// ReplaySince sends a span's events and tells how many.
	ReplaySince(ctx context.Context, endpoint jobs.Ref, q callbacks.ReplayQuery) (replayed int, err error)
}

type replays struct {
	*core
	callbacks ReplayService
}

// replay sends one event or a span of them again.
func (r *replays) replay(c *gin.Context) error {
	f, err := r.bodyFields(c, "event_id", "since", "until", "missing")
	if err != nil {
		return err
	}
	ref := r.ref(c)
	if !storable(ref.ID) {
		return noEndpoint(jobs.NotFound(""), ref.ID)
	}
	one, span := f.given("event_id"), f.given("since", "until", "missing")
	switch {
	case one && span:
		return jobs.Errorf(jobs.CodeInvalid, "event_id", "Give either 'event_id' or 'since' with 'until' and 'missing', not both.")
	case one:
		return r.one(c, ref, f)
	case !f.given("since"):
		return jobs.Errorf(jobs.CodeMissing, "since", "Missing required parameter: 'since'. Say what to send again: an 'event_id', or the time 'since' when.")
	}
	return r.span(c, ref, f)
}

func (r *replays) one(c *gin.Context, ref jobs.Ref, f fields) error {
	id, err := f.text("event_id")
	if err != nil {
		return err
	}
	delivery, err := r.callbacks.Replay(c.Request.Context(), ref, id)
	if err != nil {
		return err // not found may be either of the two; the service says which
	}
	return ok(c, encode(delivery))
}

type replayed struct {
	Object     string `json:"object"`
	EndpointID string `json:"webhook_endpoint_id"`
	Replayed   int    `json:"replayed"`
}

func (r *replays) span(c *gin.Context, ref jobs.Ref, f fields) error {
	q, err := readReplay(f)
	if err != nil {
		return err
	}
	n, err := r.callbacks.ReplaySince(c.Request.Context(), ref, q)
	if err != nil {
		return noEndpoint(err, ref.ID)
	}
	return ok(c, encode(replayed{"webhook_endpoint.replay", ref.ID, n}))
}

// readReplay reads a span. Without "missing" only what has never arrived is sent: the safe one of the two.
func readReplay(f fields) (q callbacks.ReplayQuery, err error) {
	if q.Since, err = f.instant("since"); err != nil {
		return q, err
	}
	if q.Until, err = f.instant("until"); err != nil {
		return q, err
	}
	if q.Missing, err = f.truth("missing", true); err != nil {
		return q, err
	}
	return q, checkSpan("since", q.Since, "until", q.Until)
}
