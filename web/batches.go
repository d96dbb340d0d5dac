package web

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/jobs"
)

// BatchService takes batches and tells about them.
type BatchService interface {
	// CreateBatch commits a batch before it returns. A used Idempotency-Key answers *jobs.Replay.
	CreateBatch(ctx context.Context, n jobs.NewBatch) (jobs.Snapshot, error)
	// RetryBatch does the same with what an ended batch has not answered.
	RetryBatch(ctx context.Context, ref jobs.Ref, n jobs.BatchRetry) (jobs.Snapshot, error)
	Cancel(ctx context.Context, ref jobs.Ref) (jobs.Snapshot, error)
}

type batches struct {
	*core
	jobs     BatchService
	facts    JobReader
	outcomes ResultReader
	webhooks WebhookParser
}

// The size of lists of jobs (OpenAI's for batches).
const (
	listJobs    = 20
	listMaxJobs = 100
)

func (b *batches) create(c *gin.Context) error {
	return b.submit(c, http.StatusOK, func(body []byte, idem *jobs.Idempotency) ([]byte, error) {
		n, err := b.bind(c, body)
		if err != nil {
			return nil, err
		}
		n.Idempotency = idem
		return objectOf(b.jobs.CreateBatch(c.Request.Context(), n))
	})
}

func (b *batches) bind(c *gin.Context, body []byte) (n jobs.NewBatch, err error) {
	root, err := parseBody(body)
	if err != nil {
		return n, err
	}
	f, err := readFields(root, "", submissionKeys("input_file_id", "requests", "endpoint", "completion_window", "output_expires_after")...)
	if err != nil {
		return n, err
	}
	for _, field := range []struct {
		key  string
		text *string
	}{{"input_file_id", &n.InputFileID}, {"endpoint", &n.Path}, {"completion_window", &n.CompletionWindow}} {
		if *field.text, err = f.text(field.key); err != nil {
			return n, err
		}
	}
	if n.Requests, err = readRequests(f.members["requests"]); err != nil {
		return n, err
	}
	if n.OutputTTL, err = readExpiry("output_expires_after", f.members["output_expires_after"]); err != nil {
		return n, err
	}
	n.Submission, err = b.readSubmission(c, b.webhooks, f.members)
	return n, err
}

func (b *batches) list(c *gin.Context) error {
	p, err := readPage(c, listJobs, listMaxJobs)
	if err != nil {
		return err
	}
	found, more, err := b.facts.Jobs(c.Request.Context(), jobs.JobQuery{
		ProjectID: b.project(c), Kind: jobs.KindBatch, After: p.after, Limit: p.limit,
	})
	if err != nil {
		return p.listError(err)
	}
	return ok(c, list(objectsOf(found, jobObject), more))
}

func (b *batches) get(c *gin.Context) error {
	snapshot, err := readKind(c, b.facts, b.ref(c), jobs.KindBatch)
	if err != nil {
		return err
	}
	return ok(c, snapshot.Object())
}

// cancel takes no body; clients send none, or anything.
func (b *batches) cancel(c *gin.Context) error {
	if _, err := readKind(c, b.facts, b.ref(c), jobs.KindBatch); err != nil {
		return err
	}
	snapshot, err := b.jobs.Cancel(c.Request.Context(), b.ref(c))
	if err != nil {
		return err
	}
	return ok(c, snapshot.Object())
}

// JobReader reads jobs of any kind.
type JobReader interface {
	Job(ctx context.Context, ref jobs.Ref) (jobs.Snapshot, error)
	Jobs(ctx context.Context, q jobs.JobQuery) (found []jobs.Job, more bool, err error)
	// Outlook adds what single reads show of an unfinished job beyond its row: its place in the queue, how long it may take.
	Outlook(ctx context.Context, snapshot *jobs.Snapshot) error
}

// readKind reads a job of one kind; a job of another is not found. A job never changes its kind.
func readKind(c *gin.Context, r JobReader, ref jobs.Ref, kind jobs.Kind) (jobs.Snapshot, error) {
	none := jobs.NotFound("No %s found with id '%s'.", kind, ref.ID)
	if !storable(ref.ID) {
		return jobs.Snapshot{}, none
	}
	snapshot, err := r.Job(c.Request.Context(), ref)
	if jobs.IsCode(err, jobs.CodeNotFound) || err == nil && snapshot.Kind != kind {
		return jobs.Snapshot{}, none
	}
	if err != nil {
		return snapshot, err
	}
	return snapshot, r.Outlook(c.Request.Context(), &snapshot)
}
