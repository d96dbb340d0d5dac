package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/rawjson"
)

// ResponseService takes responses in the background and tells about them.
type ResponseService interface {
	// CreateResponse commits a response before it returns. A used Idempotency-Key answers *jobs.Replay.
	CreateResponse(ctx context.Context, n jobs.NewResponse) (jobs.Snapshot, error)
	// CancelResponse is no error for one that has ended.
	CancelResponse(ctx context.Context, ref jobs.Ref) (jobs.Snapshot, error)
	DeleteResponse(ctx context.Context, ref jobs.Ref) error
	// ResponseEvents are a page of a response's stream after a number, -1 for all; it waits for the next one until the
	// time is up or ctx done. ended says that nothing follows.
	ResponseEvents(ctx context.Context, ref jobs.Ref, after int64, wait time.Duration) (page []jobs.ResponseEvent, ended bool, err error)
}

// ResponseReader reads what a response has beside its job's row.
type ResponseReader interface {
	// Response is CodeNotFound where there is none.
	Response(ctx context.Context, ref jobs.Ref) (jobs.Response, error)
}

type responses struct {
	*core
	jobs     ResponseService
	facts    JobReader
	items    ResponseReader
	webhooks WebhookParser
}

// responseKeys are Ringback's own top-level keys of POST /v1/responses. No provider sees them; metadata it does.
var responseKeys = []string{"webhook", "webhook_ids", "run_at", "priority"}

func (r *responses) create(c *gin.Context) error {
	body, err := r.readBody(c)
	if err != nil {
		return err
	}
	n, stream, err := r.bind(c, body)
	if err != nil {
		return err
	}
	if stream {
		return r.createStreamed(c, n, body)
	}
	return r.once(c, http.StatusOK, func(k key) ([]byte, error) {
		n.Idempotency = k.over(body)
		snapshot, err := r.jobs.CreateResponse(c.Request.Context(), n)
		if err != nil {
			return nil, err
		}
		return snapshot.Object(), nil
	})
}

// createStreamed answers with the response's stream. With an Idempotency-Key that was used before, it is the stream of the
// response that the key has made.
func (r *responses) createStreamed(c *gin.Context, n jobs.NewResponse, body []byte) error {
	leave, err := r.enter()
	if err != nil {
		return err
	}
	defer leave()
	id, err := r.createOnce(c, n, body)
	if err != nil {
		return err
	}
	return r.follow(c, jobs.Ref{ProjectID: n.ProjectID, ID: id}, -1)
}

func (r *responses) createOnce(c *gin.Context, n jobs.NewResponse, body []byte) (id string, err error) {
	k, err := readKey(c.Request)
	if err != nil {
		return "", err
	}
	release, err := r.flights.enter(n.ProjectID, k)
	if err != nil {
		return "", err
	}
	defer release()
	n.Idempotency = k.over(body)
	snapshot, err := r.jobs.CreateResponse(c.Request.Context(), n)
	var replay *jobs.Replay
	if errors.As(err, &replay) {
		return r.replayed(c, gjson.GetBytes(replay.Answer, "id").String())
	}
	return snapshot.ID, err
}

// replayed is the response that a used key has made, while its stream can be read.
func (r *responses) replayed(c *gin.Context, id string) (string, error) {
	snapshot, err := r.find(c, jobs.Ref{ProjectID: r.project(c), ID: id})
	if err != nil {
		return "", err
	}
	if err := watchable(&snapshot); err != nil {
		return "", err
	}
	c.Header(replayHeader, "true")
	return id, nil
}

// bind takes Ringback's own keys out of the body. All else is checked by whoever knows what a response is.
func (r *responses) bind(c *gin.Context, body []byte) (n jobs.NewResponse, stream bool, err error) {
	root, err := parseBody(body)
	if err != nil {
		return n, false, err
	}
	own := map[string]gjson.Result{}
	root.ForEach(func(key, value gjson.Result) bool {
		name := key.String()
		if _, twice := own[name]; twice && slices.Contains(responseKeys, name) {
			err = repeated(name)
		}
		own[name] = value
		return err == nil
	})
	if err != nil {
		return n, false, err
	}
	if _, err = readText("model", own["model"]); err != nil {
		return n, false, err
	}
	n.Body = rawjson.Edit(body, root, func(key string, _ gjson.Result) (string, bool) { return "", !slices.Contains(responseKeys, key) })
	if n.Submission, err = r.readSubmission(c, r.webhooks, own); err != nil {
		return n, false, err
	}
	stream = own["stream"].Type == gjson.True
	if stream && n.RunAt > jobs.At(r.now().Add(streamAhead)) {
		return n, false, jobs.Errorf(jobs.CodeValue, "stream", "'stream' cannot be true where 'run_at' is more than a minute ahead: nothing would be streamed until then. Create the response without 'stream', and poll it or name a 'webhook'.")
	}
	return n, stream, nil
}

// streamAhead is how far ahead a response may begin whose stream is to begin now: each holds one of the few places.
const streamAhead = time.Minute

func (r *responses) read(c *gin.Context) (jobs.Snapshot, error) { return r.find(c, r.ref(c)) }

// kept reads a response that says something yet.
func (r *responses) kept(c *gin.Context) (jobs.Snapshot, error) {
	snapshot, err := r.read(c)
	if err == nil {
		err = snapshot.Kept()
	}
	return snapshot, err
}

// find reads a response; a job of another kind is none.
func (r *responses) find(c *gin.Context, ref jobs.Ref) (jobs.Snapshot, error) {
	if !storable(ref.ID) {
		return jobs.Snapshot{}, noResponse(ref.ID)
	}
	snapshot, err := r.facts.Job(c.Request.Context(), ref)
	if jobs.IsCode(err, jobs.CodeNotFound) || err == nil && snapshot.Kind != jobs.KindResponse {
		return snapshot, noResponse(ref.ID)
	}
	return snapshot, err
}

func noResponse(id string) error { return jobs.NotFound("Response with id '%s' not found.", clip(id)) }

func (r *responses) get(c *gin.Context) error {
	snapshot, err := r.kept(c)
	if err != nil {
		return err
	}
	stream, after, err := r.readWatch(c)
	if err != nil {
		return err
	}
	if stream {
		return r.watch(c, &snapshot, after)
	}
	return ok(c, snapshot.Object())
}

func (r *responses) cancel(c *gin.Context) error {
	if _, err := r.kept(c); err != nil {
		return err
	}
	snapshot, err := r.jobs.CancelResponse(c.Request.Context(), r.ref(c))
	if err != nil {
		return r.gone(c, err)
	}
	return ok(c, snapshot.Object())
}

// gone is the error of a response that was deleted meanwhile.
func (r *responses) gone(c *gin.Context, err error) error {
	if jobs.IsCode(err, jobs.CodeNotFound) {
		return noResponse(c.Param("id"))
	}
	return err
}

type deletedResponse struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Deleted bool   `json:"deleted"`
}

func (r *responses) delete(c *gin.Context) error {
	if _, err := r.read(c); err != nil {
		return err
	}
	ref := r.ref(c)
	if err := r.jobs.DeleteResponse(c.Request.Context(), ref); err != nil {
		return r.gone(c, err)
	}
	return ok(c, encode(deletedResponse{ref.ID, "response", true}))
}
