package web

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// EndpointService keeps registered receivers. It answers their objects as they are shown; a signing secret stands in
// one only where it is made.
type EndpointService interface {
	// CreateEndpoint takes a JSON object. A used Idempotency-Key answers *jobs.Replay.
	CreateEndpoint(ctx context.Context, project string, body json.RawMessage, idem *jobs.Idempotency) ([]byte, error)
	Endpoint(ctx context.Context, ref jobs.Ref) ([]byte, error)
	// Endpoints are newest first, after an endpoint's ID (empty: from the newest).
	Endpoints(ctx context.Context, project, after string, limit int) (objects [][]byte, more bool, err error)
	// UpdateEndpoint changes what the JSON object names and nothing else.
	UpdateEndpoint(ctx context.Context, ref jobs.Ref, body json.RawMessage) ([]byte, error)
	DeleteEndpoint(ctx context.Context, ref jobs.Ref) error
	// RotateEndpointSecret gives the endpoint with its new secret. With keep the old one signs beside it for 24 hours.
	RotateEndpointSecret(ctx context.Context, ref jobs.Ref, keep bool) ([]byte, error)
	// TestEndpoint sends an event at once and tells how it went; the empty type is webhook.test.
	TestEndpoint(ctx context.Context, ref jobs.Ref, typ jobs.EventType) (callbacks.TestResult, error)
}

// endpoints answers OpenAI's routes, so that its SDKs drive them unchanged.
type endpoints struct {
	*core
	callbacks EndpointService
}

// The size of lists of endpoints (OpenAI's).
const (
	listEndpoints    = 20
	listMaxEndpoints = 100
)

func (e *endpoints) create(c *gin.Context) error {
	return e.once(c, http.StatusOK, func(k key) ([]byte, error) {
		body, err := e.readEndpoint(c)
		if err != nil {
			return nil, err
		}
		return e.callbacks.CreateEndpoint(c.Request.Context(), e.project(c), body, k.over(body))
	})
}

// readEndpoint reads a body that the service knows the fields of. What no field may hold is refused here.
func (e *endpoints) readEndpoint(c *gin.Context) (json.RawMessage, error) {
	body, err := e.readBody(c)
	if err != nil {
		return nil, err
	}
	root, err := parseBody(body)
	if err != nil {
		return nil, err
	}
	return body, checkMembers(root, "")
}

// checkMembers refuses repeated keys, and texts that not every database keeps, at any depth.
func checkMembers(v gjson.Result, path string) error {
	var err error
	seen := map[string]bool{}
	v.ForEach(func(key, value gjson.Result) bool {
		name := path + key.String()
		switch {
		case v.IsObject() && seen[name]:
			err = repeated(name)
		case !storable(name):
			err = jobs.Errorf(jobs.CodeValue, strings.TrimSuffix(path, "."), "A key in the body holds a NUL character. Leave it out.")
		case value.Type == gjson.String:
			_, err = readText(name, value)
		case value.IsObject() || value.IsArray():
			err = checkMembers(value, name+".")
		}
		seen[name] = true
		return err == nil
	})
	return err
}

func (e *endpoints) list(c *gin.Context) error {
	p, err := readPage(c, listEndpoints, listMaxEndpoints)
	if err != nil {
		return err
	}
	objects, more, err := e.callbacks.Endpoints(c.Request.Context(), e.project(c), p.after, p.limit)
	if err != nil {
		return p.listError(err)
	}
	return ok(c, list(objects, more))
}

func (e *endpoints) get(c *gin.Context) error {
	return e.answer(c, func(ctx context.Context, ref jobs.Ref) ([]byte, error) {
		return e.callbacks.Endpoint(ctx, ref)
	})
}

func (e *endpoints) update(c *gin.Context) error {
	body, err := e.readEndpoint(c)
	if err != nil {
		return err
	}
	return e.answer(c, func(ctx context.Context, ref jobs.Ref) ([]byte, error) {
		return e.callbacks.UpdateEndpoint(ctx, ref, body)
	})
}

func (e *endpoints) delete(c *gin.Context) error {
	return e.answer(c, func(ctx context.Context, ref jobs.Ref) ([]byte, error) {
		return encode(deleted{ID: ref.ID, Object: "webhook_endpoint.deleted", Deleted: true}), e.callbacks.DeleteEndpoint(ctx, ref)
	})
}

func (e *endpoints) rotateSecret(c *gin.Context) error {
	keep, err := e.readKeep(c)
	if err != nil {
		return err
	}
	return e.answer(c, func(ctx context.Context, ref jobs.Ref) ([]byte, error) {
		return e.callbacks.RotateEndpointSecret(ctx, ref, keep)
	})
}

func (e *endpoints) test(c *gin.Context) error {
	f, err := e.bodyFields(c, "event_type")
	if err != nil {
		return err
	}
	typ, err := f.text("event_type")
	if err != nil {
		return err
	}
	return e.answer(c, func(ctx context.Context, ref jobs.Ref) ([]byte, error) {
		result, err := e.callbacks.TestEndpoint(ctx, ref, jobs.EventType(typ))
		return encode(result), err
	})
}

// answer asks for the endpoint that the path names.
func (e *endpoints) answer(c *gin.Context, ask func(ctx context.Context, ref jobs.Ref) ([]byte, error)) error {
	ref := e.ref(c)
	if !storable(ref.ID) {
		return noEndpoint(jobs.NotFound(""), ref.ID)
	}
	object, err := ask(c.Request.Context(), ref)
	if err != nil {
		return noEndpoint(err, ref.ID)
	}
	return ok(c, object)
}

type eventTypes struct {
	Object string   `json:"object"`
	Data   []string `json:"data"`
}

func (e *endpoints) eventTypes(c *gin.Context) error {
	return ok(c, encode(eventTypes{"list", callbacks.EventTypes()}))
}

func noEndpoint(err error, id string) error {
	if jobs.IsCode(err, jobs.CodeNotFound) {
		return jobs.NotFound("No webhook endpoint found with id '%s'.", id)
	}
	return err
}
