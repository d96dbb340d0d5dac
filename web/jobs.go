package web

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/rawjson"
)

// JobService tells about jobs of every kind.
type JobService interface {
	// Wait reads a job once its status has changed, or it has ended, or the time is up or ctx done.
	Wait(ctx context.Context, ref jobs.Ref, wait time.Duration) (jobs.Snapshot, error)
	Cancel(ctx context.Context, ref jobs.Ref) (jobs.Snapshot, error)
	// CreateGeneration commits a generation before it returns. A used Idempotency-Key answers *jobs.Replay.
	CreateGeneration(ctx context.Context, n jobs.NewGeneration) (jobs.Snapshot, error)
}

// DeliveryLister lists what became of a job's callbacks.
type DeliveryLister interface {
	// JobDeliveries are a job's deliveries with their attempts, oldest first.
	JobDeliveries(ctx context.Context, job jobs.Ref) ([]callbacks.DeliveryObject, error)
}

type jobRoutes struct {
	*core
	jobs       JobService
	facts      JobReader
	deliveries DeliveryLister
	webhooks   WebhookParser
}

var (
	kinds    = []jobs.Kind{jobs.KindBatch, jobs.KindGeneration, jobs.KindResponse, jobs.KindTuning}
	statuses = []jobs.Status{
		jobs.Queued, jobs.Validating, jobs.InProgress, jobs.Finalizing, jobs.Cancelling,
		jobs.Completed, jobs.Failed, jobs.Expired, jobs.Cancelled, jobs.Incomplete,
		jobs.ValidatingFiles, jobs.Running, jobs.Paused, jobs.Succeeded,
	}
)

func (j *jobRoutes) list(c *gin.Context) error {
	p, err := readPage(c, listJobs, listMaxJobs)
	if err != nil {
		return err
	}
	q := jobs.JobQuery{ProjectID: j.project(c), After: p.after, Limit: p.limit}
	if q.Kind, err = oneOf(c, "kind", kinds...); err != nil {
		return err
	}
	if q.Status, err = oneOf(c, "status", statuses...); err != nil {
		return err
	}
	found, more, err := j.facts.Jobs(c.Request.Context(), q)
	if err != nil {
		return p.listError(err)
	}
	return ok(c, list(objectsOf(found, withoutDetail), more))
}

// withoutDetail is a job as lists show it: the kind's own object is left to GET /v1/jobs/{id}.
func withoutDetail(j *jobs.Job) []byte {
	object := (&jobs.Snapshot{Job: *j}).Wrapped()
	return rawjson.Edit(object, gjson.ParseBytes(object), func(key string, _ gjson.Result) (string, bool) {
		return "", key != "detail"
	})
}

// maxWait bounds a long poll: common proxies give up after a minute.
const maxWait = time.Minute

func (j *jobRoutes) get(c *gin.Context) error {
	wait, err := readWait(c)
	if err != nil {
		return err
	}
	ref := j.ref(c)
	if !storable(ref.ID) {
		return noJob(jobs.NotFound(""), ref.ID)
	}
	snapshot, err := j.read(c, ref, wait)
	if err != nil {
		return noJob(err, ref.ID)
	}
	if err := j.facts.Outlook(c.Request.Context(), &snapshot); err != nil {
		return err
	}
	return ok(c, snapshot.Wrapped())
}

// read waits until the time is up, the client goes away or the server shuts down.
func (j *jobRoutes) read(c *gin.Context, ref jobs.Ref, wait time.Duration) (jobs.Snapshot, error) {
	if wait == 0 || j.waits.Err() != nil {
		return j.facts.Job(c.Request.Context(), ref)
	}
	ctx, release := j.waiting(c)
	defer release()
	return j.jobs.Wait(ctx, ref, wait)
}

func readWait(c *gin.Context) (time.Duration, error) {
	text := c.Query("wait")
	if text == "" {
		return 0, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil || wait < 0 || wait > maxWait {
		return 0, jobs.Errorf(jobs.CodeValue, "wait", "Invalid value for 'wait': '%s'. Expected a duration from '0s' to '60s', as '30s'.", text)
	}
	return wait, nil
}

func (j *jobRoutes) cancel(c *gin.Context) error {
	ref := j.ref(c)
	if !storable(ref.ID) {
		return noJob(jobs.NotFound(""), ref.ID)
	}
	snapshot, err := j.jobs.Cancel(c.Request.Context(), ref)
	if err != nil {
		return noJob(err, ref.ID)
	}
	return ok(c, snapshot.Wrapped())
}

// listDeliveries lists all of a job's: it has few events, and few receivers for each.
func (j *jobRoutes) listDeliveries(c *gin.Context) error {
	ref := j.ref(c)
	if !storable(ref.ID) {
		return noJob(jobs.NotFound(""), ref.ID)
	}
	if _, err := j.facts.Job(c.Request.Context(), ref); err != nil {
		return noJob(err, ref.ID)
	}
	found, err := j.deliveries.JobDeliveries(c.Request.Context(), ref)
	if err != nil {
		return err
	}
	return ok(c, list(encodeEach(found), false))
}

func noJob(err error, id string) error {
	if jobs.IsCode(err, jobs.CodeNotFound) {
		return jobs.NotFound("No job found with id '%s'.", id)
	}
	return err
}
