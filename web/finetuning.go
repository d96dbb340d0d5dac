package web

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/jobs"
)

// TuningService takes fine-tunings and moves them.
type TuningService interface {
	// CreateTuning commits a fine-tuning before it returns. A used Idempotency-Key answers *jobs.Replay.
	CreateTuning(ctx context.Context, n jobs.NewTuning) (jobs.Snapshot, error)
	PauseTuning(ctx context.Context, ref jobs.Ref) (jobs.Snapshot, error)
	ResumeTuning(ctx context.Context, ref jobs.Ref) (jobs.Snapshot, error)
	Cancel(ctx context.Context, ref jobs.Ref) (jobs.Snapshot, error)
}

// TuningReader reads what a fine-tuning has written down.
type TuningReader interface {
	// TuningEvents are the entries of its log, newest first.
	TuningEvents(ctx context.Context, q jobs.PartQuery) (found []jobs.TuningEvent, more bool, err error)
	// Checkpoints are its checkpoints, the highest step first.
	Checkpoints(ctx context.Context, q jobs.PartQuery) (found []jobs.Checkpoint, more bool, err error)
}

type tunings struct {
	*core
	jobs     TuningService
	facts    JobReader
	parts    TuningReader
	webhooks WebhookParser
}

// The size of lists of a fine-tuning's parts, by default (OpenAI's).
const (
	listTuningEvents = 20
	listCheckpoints  = 10
)

func (t *tunings) create(c *gin.Context) error {
	return t.submit(c, http.StatusOK, func(body []byte, idem *jobs.Idempotency) ([]byte, error) {
		n, err := t.bind(c, body)
		if err != nil {
			return nil, err
		}
		n.Idempotency = idem
		return objectOf(t.jobs.CreateTuning(c.Request.Context(), n))
	})
}

func (t *tunings) list(c *gin.Context) error {
	p, err := readPage(c, listJobs, listMaxJobs)
	if err != nil {
		return err
	}
	q := jobs.JobQuery{ProjectID: t.project(c), Kind: jobs.KindTuning, After: p.after, Limit: p.limit}
	if q.Metadata, q.NoMetadata, err = readMetadataFilter(c); err != nil {
		return err
	}
	found, more, err := t.facts.Jobs(c.Request.Context(), q)
	if err != nil {
		return p.listError(err)
	}
	return ok(c, list(objectsOf(found, jobObject), more))
}

// readMetadataFilter reads metadata[key]=value, any number of them, or metadata=null.
func readMetadataFilter(c *gin.Context) (pairs map[string]string, none bool, err error) {
	const name = "metadata"
	for key, value := range c.QueryMap(name) {
		if !storable(key) || !storable(value) {
			return nil, false, jobs.Errorf(jobs.CodeValue, name, "Invalid value for '%s': it must be UTF-8 without NUL.", name)
		}
		if pairs == nil {
			pairs = map[string]string{}
		}
		pairs[key] = value
	}
	if len(pairs) > metadataPairs {
		return nil, false, jobs.Errorf(codeTooMany, name, "Invalid '%s': too many properties. Expected at most %d properties, but got %d instead.", name, metadataPairs, len(pairs))
	}
	switch text, given := c.GetQuery(name); {
	case !given:
		return pairs, false, nil
	case text != "null" || pairs != nil:
		return nil, false, jobs.Errorf(jobs.CodeValue, name, "Invalid value for '%s'. Use metadata[key]=value, or metadata=null for jobs without metadata.", name)
	}
	return nil, true, nil
}

// read finds the fine-tuning that the path speaks of.
func (t *tunings) read(c *gin.Context) (jobs.Snapshot, error) {
	snapshot, err := readKind(c, t.facts, t.ref(c), jobs.KindTuning)
	if jobs.IsCode(err, jobs.CodeNotFound) {
		return snapshot, jobs.Errorf(codeNoTuning, "fine_tune_id", "Could not find fine tune: %s", t.ref(c).ID)
	}
	return snapshot, err
}

func (t *tunings) get(c *gin.Context) error {
	snapshot, err := t.read(c)
	if err != nil {
		return err
	}
	return ok(c, snapshot.Object())
}

// The commands take no body; clients send none, or anything.

func (t *tunings) cancel(c *gin.Context) error { return t.command(c, t.jobs.Cancel) }
func (t *tunings) pause(c *gin.Context) error  { return t.command(c, t.jobs.PauseTuning) }
func (t *tunings) resume(c *gin.Context) error { return t.command(c, t.jobs.ResumeTuning) }

func (t *tunings) command(c *gin.Context, do func(context.Context, jobs.Ref) (jobs.Snapshot, error)) error {
	if _, err := t.read(c); err != nil {
		return err
	}
	snapshot, err := do(c.Request.Context(), t.ref(c))
	if err != nil {
		return err
	}
	return ok(c, snapshot.Object())
}

func (t *tunings) events(c *gin.Context) error {
	q, p, err := t.part(c, listTuningEvents)
	if err != nil {
		return err
	}
	found, more, err := t.parts.TuningEvents(c.Request.Context(), q)
	if err != nil {
		return p.listError(err)
	}
	return ok(c, list(objectsOf(found, (*jobs.TuningEvent).Object), more))
}

func (t *tunings) checkpoints(c *gin.Context) error {
	q, p, err := t.part(c, listCheckpoints)
	if err != nil {
		return err
	}
	found, more, err := t.parts.Checkpoints(c.Request.Context(), q)
	if err != nil {
		return p.listError(err)
	}
	return ok(c, list(objectsOf(found, (*jobs.Checkpoint).Object), more))
}

// part is what a client asks of a list that belongs to a fine-tuning, which must be there.
func (t *tunings) part(c *gin.Context, fallback int) (q jobs.PartQuery, p page, err error) {
	if _, err = t.read(c); err != nil {
		return q, p, err
	}
	p, err = readPage(c, fallback, listMaxJobs)
	return jobs.PartQuery{Job: t.ref(c), After: p.after, Limit: p.limit}, p, err
}
