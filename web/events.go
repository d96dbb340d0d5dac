package web

import (
	"context"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/jobs"
)

// EventReader lists what happened.
type EventReader interface {
	// Events are in commit order, after an event's ID or position (empty: from the beginning).
	Events(ctx context.Context, project, after string, limit int) (found []jobs.Event, more bool, err error)
	Event(ctx context.Context, ref jobs.Ref) (jobs.Event, error)
	// LastEvent is the position of the newest event; zero when there is none.
	LastEvent(ctx context.Context, project string) (position int64, err error)
}

type events struct {
	*core
	facts EventReader
}

// list answers the events' frozen bytes, as their receivers got them. Oldest first: who follows never misses one.
func (e *events) list(c *gin.Context) error {
	p, err := readPage(c, listJobs, listMaxJobs)
	if err != nil {
		return err
	}
	found, more, err := e.facts.Events(c.Request.Context(), e.project(c), p.after, p.limit)
	if err != nil {
		return p.listError(err)
	}
	bodies := make([][]byte, len(found))
	for i := range found {
		bodies[i] = found[i].Body
	}
	return ok(c, list(bodies, more))
}

// get answers an event's frozen bytes.
func (e *events) get(c *gin.Context) error {
	ref := e.ref(c)
	none := jobs.NotFound("No event found with id '%s'.", ref.ID)
	if !storable(ref.ID) {
		return none
	}
	event, err := e.facts.Event(c.Request.Context(), ref)
	if jobs.IsCode(err, jobs.CodeNotFound) {
		return none
	}
	if err != nil {
		return err
	}
	return ok(c, event.Body)
}
