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
