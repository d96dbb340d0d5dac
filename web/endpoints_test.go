package web

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

const endpointBody = `{"name":"n","url":"https://a.example/h","event_types":["batch.completed"]}`

func TestAnEndpointsLife(t *testing.T) {
	t.Parallel()
	h := start(t)
	a := h.post("/v1/webhook_endpoints", endpointBody)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, "ep-1", object(t, a.body)["id"])
	require.Equal(t, "whsec_new", object(t, a.body)["signing_secret"])
	require.JSONEq(t, endpointBody, given(t, h.get("/v1/webhook_endpoints/ep-1")))

	a = h.post("/v1/webhook_endpoints/ep-1", `{"name":"other"}`)
	require.JSONEq(t, `{"name":"other"}`, given(t, a))
	require.JSONEq(t, `{"name":"other"}`, given(t, h.get("/v1/webhook_endpoints/ep%2D1")))

	a = h.do(http.MethodDelete, "/v1/webhook_endpoints/ep-1", "")
	require.Equal(t, http.StatusOK, a.status)
	require.JSONEq(t, `{"id":"ep-1","object":"webhook_endpoint.deleted","deleted":true}`, a.body)
	require.Equal(t, http.StatusNotFound, h.get("/v1/webhook_endpoints/ep-1").status)
	require.Equal(t, http.StatusNotFound, h.do(http.MethodDelete, "/v1/webhook_endpoints/ep-1", "").status)
	require.NotContains(t, h.log.String(), "whsec_")
}

// given is the body that the service was given for an endpoint.
func given(t *testing.T, a answer) string {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, a.body)
	return object(t, a.body)["description"].(string)
}

func TestTheSameEndpointIsCreatedOnce(t *testing.T) {
	t.Parallel()
	h := start(t)
	key := []string{"Idempotency-Key", "k"}
	first, second := h.post("/v1/webhook_endpoints", endpointBody, key...), h.post("/v1/webhook_endpoints", endpointBody, key...)
	require.Equal(t, http.StatusOK, second.status, second.body)
	require.Equal(t, first.body, second.body)
	require.Equal(t, "true", second.header.Get("Idempotent-Replayed"))
	other := h.post("/v1/webhook_endpoints", `{}`, key...)
	require.Equal(t, http.StatusUnprocessableEntity, other.status)
	require.Equal(t, []string{"ep-1"}, ids(t, h.get("/v1/webhook_endpoints")))
}

func TestEndpointsAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	h := start(t)
	require.Equal(t, []string{}, ids(t, h.get("/v1/webhook_endpoints")))
	for range 21 {
		h.post("/v1/webhook_endpoints", endpointBody)
	}
	a := h.get("/v1/webhook_endpoints")
	require.Len(t, ids(t, a), 20)
	require.Equal(t, true, object(t, a.body)["has_more"])
	a = h.get("/v1/webhook_endpoints?limit=2&after=ep-3")
	require.Equal(t, []string{"ep-2", "ep-1"}, ids(t, a))
	require.Equal(t, false, object(t, a.body)["has_more"])
	for query, param := range map[string]string{"limit=0": "limit", "limit=101": "limit", "limit=x": "limit", "after=gone": "after"} {
		a := h.get("/v1/webhook_endpoints?" + query)
		require.Equal(t, http.StatusBadRequest, a.status, query)
		require.Equal(t, param, failure(t, a).Param)
	}
}

func TestAnEndpointsSecretIsRotated(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.post("/v1/webhook_endpoints", endpointBody)
	ref := jobs.Ref{ProjectID: jobs.DefaultProject, ID: "ep-1"}
	a := h.post("/v1/webhook_endpoints/ep-1/rotate_secret", "")
	require.Equal(t, "whsec_rotated", object(t, a.body)["signing_secret"])
	require.Equal(t, []any{ref, false}, h.callbacks.last())
	h.post("/v1/webhook_endpoints/ep-1/rotate_secret", `{"keep_old_secret_active_for_24_hours":true}`)
	require.Equal(t, []any{ref, true}, h.callbacks.last())
}

func TestAnEndpointIsTestedOnce(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.post("/v1/webhook_endpoints", endpointBody)
	ref := jobs.Ref{ProjectID: jobs.DefaultProject, ID: "ep-1"}
	a := h.post("/v1/webhook_endpoints/ep-1/test", `{"event_type":"batch.completed"}`)
	o := object(t, a.body)
	require.Equal(t, "webhook_endpoint.test", o["object"])
	require.Equal(t, "ep-1", o["webhook_endpoint_id"])
	require.Equal(t, "batch.completed", o["event_type"])
	require.EqualValues(t, 204, o["status_code"])
	require.Equal(t, true, o["success"])
	require.Equal(t, []any{ref, jobs.EventType("batch.completed")}, h.callbacks.last())
	require.Equal(t, http.StatusOK, h.post("/v1/webhook_endpoints/ep-1/test", "").status)
	require.Equal(t, []any{ref, jobs.EventType("")}, h.callbacks.last())
}

func TestEventTypesAreListed(t *testing.T) {
	t.Parallel()
	want := string(encode(map[string]any{"object": "list", "data": callbacks.EventTypes()}))
	require.JSONEq(t, want, start(t).get("/v1/webhook_event_types").body)
}

func TestUnknownEndpointsAreNotFound(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.callbacks.setFail(jobs.NotFound("No event found with id 'evt_1'."))
	for _, id := range []string{"gone", "a%00b", "%ff"} {
		path := "/v1/webhook_endpoints/" + id
		for _, a := range []answer{
			h.get(path), h.post(path, `{"name":"x"}`), h.do(http.MethodDelete, path, ""), h.post(path+"/rotate_secret", ""),
			h.post(path+"/test", ""), h.post(path+"/replay", `{"since":1}`),
		} {
			require.Equal(t, http.StatusNotFound, a.status, a.body)
			require.Contains(t, failure(t, a).Message, "No webhook endpoint found with id '")
		}
		if id == "gone" {
			h.callbacks.remember()
		}
	}
	require.Empty(t, h.callbacks.last(), "IDs that cannot be are asked of no database")
}

func TestWrongEndpointBodiesAreRefused(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.post("/v1/webhook_endpoints", endpointBody)
	for body, want := range map[string]struct{ param, code string }{
		"":                              {"", ""},
		"{":                             {"", ""},
		"[]":                            {"", "invalid_type"},
		"7":                             {"", "invalid_type"},
		strings.Repeat("[", 20_000):     {"", ""},
		`{"url":"a","url":"b"}`:         {"url", "invalid_value"},
		`{"url":"a","\u0075rl":"b"}`:    {"url", "invalid_value"},
		`{"headers":{"A":"1","A":"2"}}`: {"headers.A", "invalid_value"},
		`{"name":"a\u0000"}`:            {"name", "invalid_value"},
		`{"event_types":["a\u0000"]}`:   {"event_types.0", "invalid_value"},
		`{"headers":{"A\u0000":"1"}}`:   {"headers", "invalid_value"},
	} {
		for _, path := range []string{"/v1/webhook_endpoints", "/v1/webhook_endpoints/ep-1"} {
			a := h.post(path, body)
			require.Equal(t, http.StatusBadRequest, a.status, "%s %s", path, clip(body))
			require.Equal(t, want.param, failure(t, a).Param, clip(body))
			require.Equal(t, want.code, failure(t, a).Code, clip(body))
		}
	}
	for path, bodies := range map[string][]string{
		"/test":          {`{"event_type":7}`, `{"event_type":"a\u0000"}`, `{"type":"a"}`, `{"event_type":"a","event_type":"b"}`, "x"},
		"/rotate_secret": {`{"keep_old_secret_active_for_24_hours":1}`, `{"keep":true}`, "x"},
	} {
		for _, body := range bodies {
			a := h.post("/v1/webhook_endpoints/ep-1"+path, body)
			require.Equal(t, http.StatusBadRequest, a.status, "%s %s", path, body)
			failure(t, a)
		}
	}
	require.Equal(t, []string{"ep-1"}, ids(t, h.get("/v1/webhook_endpoints")))
	a := h.post("/v1/webhook_endpoints", `{"name":"\\u0000","url":"https://a.example","event_types":["*"],"headers":{"a":"1","b":"1"}}`)
	require.Equal(t, http.StatusOK, a.status, "a written backslash is no NUL")
}
