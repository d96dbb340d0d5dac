package web

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

func TestOneEventIsReplayed(t *testing.T) {
	t.Parallel()
	h := start(t)
	a := h.post("/v1/webhook_endpoints/ep-1/replay", `{"event_id":"evt_1","since":null}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, "delivery", object(t, a.body)["object"])
	require.Equal(t, "evt_1", object(t, a.body)["event_id"])
	require.Equal(t, []any{jobs.Ref{ProjectID: jobs.DefaultProject, ID: "ep-1"}, "evt_1"}, h.callbacks.last())

	h.callbacks.setFail(jobs.NotFound("No event found with id 'evt_2'."))
	a = h.post("/v1/webhook_endpoints/ep-1/replay", `{"event_id":"evt_2"}`)
	require.Equal(t, http.StatusNotFound, a.status)
	require.Equal(t, "No event found with id 'evt_2'.", failure(t, a).Message)
}

func TestASpanIsReplayed(t *testing.T) {
	t.Parallel()
	day := jobs.At(time.Date(2024, 1, 25, 0, 0, 0, 0, time.UTC))
	for body, want := range map[string]callbacks.ReplayQuery{
		`{"since":1706140800}`:                                    {Since: day, Missing: true},
		`{"since":"1706140800","missing":null}`:                   {Since: day, Missing: true},
		`{"since":"2024-01-25T00:00:00Z","missing":true}`:         {Since: day, Missing: true},
		`{"since":"2024-01-25T02:00:00+02:00","until":null}`:      {Since: day, Missing: true},
		`{"since":"2024-01-25T00:00:00.250Z"}`:                    {Since: day + 250, Missing: true},
		`{"since":1706140800,"until":1706140801,"missing":false}`: {Since: day, Until: day + 1000},
	} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			a := h.post("/v1/webhook_endpoints/ep-1/replay", body)
			require.Equal(t, http.StatusOK, a.status, a.body)
			require.JSONEq(t, `{"object":"webhook_endpoint.replay","webhook_endpoint_id":"ep-1","replayed":3}`, a.body)
			require.Equal(t, []any{jobs.Ref{ProjectID: jobs.DefaultProject, ID: "ep-1"}, want}, h.callbacks.last())
		})
	}
}

func TestWrongReplaysAreRefused(t *testing.T) {
	t.Parallel()
	h := start(t)
	for body, want := range map[string]struct{ param, code string }{
		``:                                           {"since", "missing_required_parameter"},
		`{}`:                                         {"since", "missing_required_parameter"},
		`{"until":5}`:                                {"since", "missing_required_parameter"},
		`{"event_id":"e","since":5}`:                 {"event_id", ""},
		`{"event_id":"e","missing":false}`:           {"event_id", ""},
		`{"event_id":7}`:                             {"event_id", "invalid_type"},
		`{"event_id":"a\u0000"}`:                     {"event_id", "invalid_value"},
		`{"since":5,"missing":"no"}`:                 {"missing", "invalid_type"},
		`{"since":5,"until":5}`:                      {"until", "invalid_value"},
		`{"since":5,"to":6}`:                         {"to", "unknown_parameter"},
		`{"since":true}`:                             {"since", "invalid_type"},
		`{"since":[5]}`:                              {"since", "invalid_type"},
		`{"since":0}`:                                {"since", "invalid_value"},
		`{"since":-5}`:                               {"since", "invalid_value"},
		`{"since":1.5}`:                              {"since", "invalid_value"},
		`{"since":1e9}`:                              {"since", "invalid_value"},
		`{"since":1706140800000}`:                    {"since", "invalid_value"},
		`{"since":99999999999999999999}`:             {"since", "invalid_value"},
		`{"since":""}`:                               {"since", "invalid_value"},
		`{"since":"yesterday"}`:                      {"since", "invalid_value"},
		`{"since":"2024-01-25"}`:                     {"since", "invalid_value"},
		`{"since":"2024-01-25T00:00:00"}`:            {"since", "invalid_value"},
		`{"since":"1970-01-01T00:00:00Z"}`:           {"since", "invalid_value"},
		`{"since":"0001-01-01T00:00:00Z"}`:           {"since", "invalid_value"},
		`{"since":5,"until":"2024-02-30T00:00:00Z"}`: {"until", "invalid_value"},
	} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			a := h.post("/v1/webhook_endpoints/ep-1/replay", body)
			require.Equal(t, http.StatusBadRequest, a.status, a.body)
			require.Equal(t, want.param, failure(t, a).Param)
			require.Equal(t, want.code, failure(t, a).Code)
		})
	}
	t.Cleanup(func() { require.Nil(t, h.callbacks.last(), "the service was not asked") })
}
