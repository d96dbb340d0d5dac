package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

func TestDeliveriesAreListed(t *testing.T) {
	t.Parallel()
	h := start(t)
	require.Equal(t, []string{}, ids(t, h.get("/v1/deliveries")))
	require.Equal(t, []any{callbacks.DeliveryQuery{DeliveryFilter: callbacks.DeliveryFilter{ProjectID: jobs.DefaultProject}, Limit: 20}}, h.callbacks.last())
	h.callbacks.deliveries = []callbacks.DeliveryObject{owed("dlv_3"), owed("dlv_2"), owed("dlv_1")}
	a := h.get("/v1/deliveries?limit=2")
	require.Equal(t, []string{"dlv_3", "dlv_2"}, ids(t, a))
	require.Equal(t, true, object(t, a.body)["has_more"])
	a = h.get("/v1/deliveries?limit=2&after=dlv_2")
	require.Equal(t, []string{"dlv_1"}, ids(t, a))
	require.Equal(t, false, object(t, a.body)["has_more"])
}

// filters are what picks deliveries, as a query and as a body.
var filters = map[string]struct {
	query url.Values
	body  string
	want  callbacks.DeliveryFilter
}{
	"status":         {url.Values{"status": {"failed"}}, `{"status":"failed"}`, callbacks.DeliveryFilter{State: callbacks.Failed}},
	"endpoint":       {url.Values{"endpoint_id": {"ep"}}, `{"endpoint_id":"ep"}`, callbacks.DeliveryFilter{EndpointID: "ep"}},
	"type":           {url.Values{"event_type": {"batch.failed"}}, `{"event_type":"batch.failed"}`, callbacks.DeliveryFilter{EventType: "batch.failed"}},
	"test":           {url.Values{"event_type": {"webhook.test"}}, `{"event_type":"webhook.test"}`, callbacks.DeliveryFilter{EventType: "webhook.test"}},
	"operator's":     {url.Values{"event_type": {"endpoint.disabled"}}, `{"event_type":"endpoint.disabled"}`, callbacks.DeliveryFilter{EventType: "endpoint.disabled"}},
	"job":            {url.Values{"job_id": {"batch_1"}}, `{"job_id":"batch_1"}`, callbacks.DeliveryFilter{JobID: "batch_1"}},
	"event":          {url.Values{"event_id": {"evt_1"}}, `{"event_id":"evt_1"}`, callbacks.DeliveryFilter{EventID: "evt_1"}},
	"since":          {url.Values{"since": {"5"}}, `{"since":5}`, callbacks.DeliveryFilter{Since: 5000}},
	"until":          {url.Values{"until": {"5"}}, `{"until":"5"}`, callbacks.DeliveryFilter{Until: 5000}},
	"created after":  {url.Values{"created_after": {"1970-01-01T00:00:05Z"}}, `{"created_after":"1970-01-01T00:00:05Z"}`, callbacks.DeliveryFilter{Since: 5000}},
	"created before": {url.Values{"created_before": {"1970-01-01T01:00:05+01:00"}}, `{"created_before":"1970-01-01T01:00:05+01:00"}`, callbacks.DeliveryFilter{Until: 5000}},
	"never arrived":  {url.Values{"never_arrived": {"true"}}, `{"never_arrived":true}`, callbacks.DeliveryFilter{NeverArrived: true}},
	"several": {
		url.Values{"status": {"cancelled"}, "since": {"5"}, "created_before": {"6"}, "job_id": {""}},
		`{"status":"cancelled","since":5,"created_before":6,"job_id":null}`,
		callbacks.DeliveryFilter{State: callbacks.Cancelled, Since: 5000, Until: 6000},
	},
}

func TestFiltersPickTheSameInListsAndInBulk(t *testing.T) {
	t.Parallel()
	for name, tc := range filters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			tc.want.ProjectID = jobs.DefaultProject
			a := h.get("/v1/deliveries?limit=5&" + tc.query.Encode())
			require.Equal(t, http.StatusOK, a.status, a.body)
			require.Equal(t, []any{callbacks.DeliveryQuery{DeliveryFilter: tc.want, Limit: 5}}, h.callbacks.last())
			a = h.post("/v1/deliveries/retry", tc.body)
			require.Equal(t, http.StatusOK, a.status, a.body)
			require.JSONEq(t, `{"object":"delivery.retry","retried":7}`, a.body)
			require.Equal(t, []any{tc.want}, h.callbacks.last())
		})
	}
}

func TestAnOffsetThatIsNotEscapedIsUnderstood(t *testing.T) {
	t.Parallel()
	h := start(t)
	require.Equal(t, http.StatusOK, h.get("/v1/deliveries?since=1970-01-01T01:00:05+01:00").status)
	require.EqualValues(t, 5000, h.callbacks.last()[0].(callbacks.DeliveryQuery).Since)
}

func TestWrongFiltersAreRefused(t *testing.T) {
	t.Parallel()
	h := start(t)
	for query, want := range map[string]struct{ param, code string }{
		"limit=0":                   {"limit", "integer_below_min_value"},
		"limit=101":                 {"limit", "integer_above_max_value"},
		"after=dlv_gone":            {"after", "invalid_value"},
		"status=done":               {"status", "invalid_value"},
		"status=true":               {"status", "invalid_type"},
		"endpoint_id=%00":           {"endpoint_id", "invalid_value"},
		"event_id=%ff":              {"event_id", "invalid_value"},
		"since=soon":                {"since", "invalid_value"},
		"until=0":                   {"until", "invalid_value"},
		"created_after=true":        {"created_after", "invalid_type"},
		"created_before=1e3":        {"created_before", "invalid_value"},
		"since=5&created_after=5":   {"created_after", "invalid_value"},
		"until=5&created_before=5":  {"created_before", "invalid_value"},
		"since=6&until=5":           {"until", "invalid_value"},
		"since=5&created_before=5":  {"created_before", "invalid_value"},
		"never_arrived=1":           {"never_arrived", "invalid_type"},
		"never_arrived=yes":         {"never_arrived", "invalid_type"},
		"event_type=batch.*":        {"event_type", "invalid_value"},
		"event_type=batch.done":     {"event_type", "invalid_value"},
		"state=failed":              {"state", "unknown_parameter"},
		"status=failed&b=1&a=":      {"a", "unknown_parameter"},
		"Status=failed":             {"Status", "unknown_parameter"},
		strings.Repeat("%80", 2000): {"\uFFFD", "unknown_parameter"},
	} {
		a := h.get("/v1/deliveries?" + query)
		require.Equal(t, http.StatusBadRequest, a.status, query)
		require.Equal(t, want.param, failure(t, a).Param, query)
		require.Equal(t, want.code, failure(t, a).Code, query)
	}
}

func TestABulkRetrySaysWhatItMeans(t *testing.T) {
	t.Parallel()
	h := start(t)
	for _, body := range []string{"", "{}", `{"status":null}`, `{"never_arrived":false}`, `{"job_id":""}`} {
		a := h.post("/v1/deliveries/retry", body)
		require.Equal(t, http.StatusBadRequest, a.status, body)
		require.Contains(t, failure(t, a).Message, `{"never_arrived": true}`)
	}
	for body, want := range map[string]struct{ param, code string }{
		`[]`:                                    {"", "invalid_type"},
		`{"ids":["dlv_1"]}`:                     {"ids", "unknown_parameter"},
		`{"status":"failed","status":"failed"}`: {"status", "invalid_value"},
		`{"status":7}`:                          {"status", "invalid_type"},
		`{"status":"Failed"}`:                   {"status", "invalid_value"},
		`{"job_id":"a\u0000"}`:                  {"job_id", "invalid_value"},
		`{"never_arrived":"true"}`:              {"never_arrived", "invalid_type"},
		`{"event_type":"nonsense"}`:             {"event_type", "invalid_value"},
		`{"event_type":"*"}`:                    {"event_type", "invalid_value"},
		`{"since":{}}`:                          {"since", "invalid_type"},
		`{"since":6,"until":5}`:                 {"until", "invalid_value"},
	} {
		a := h.post("/v1/deliveries/retry", body)
		require.Equal(t, http.StatusBadRequest, a.status, body)
		require.Equal(t, want.param, failure(t, a).Param, body)
		require.Equal(t, want.code, failure(t, a).Code, body)
	}
	require.Nil(t, h.callbacks.last(), "the service was not asked")
}

func TestADeliveryIsReadRetriedAndCancelled(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.callbacks.deliveries = []callbacks.DeliveryObject{owed("dlv_1")}
	ref := jobs.Ref{ProjectID: jobs.DefaultProject, ID: "dlv_1"}
	for asked, ask := range map[string]func(id string) answer{
		"get":    func(id string) answer { return h.get("/v1/deliveries/" + id) },
		"retry":  func(id string) answer { return h.post("/v1/deliveries/"+id+"/retry", "") },
		"cancel": func(id string) answer { return h.post("/v1/deliveries/"+id+"/cancel", "anything") },
	} {
		a := ask("dlv_1")
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.Equal(t, "dlv_1", object(t, a.body)["id"])
		require.Equal(t, []any{asked, ref}, h.callbacks.last())
		for _, id := range []string{"gone", "a%00b", "%ff"} {
			a = ask(id)
			require.Equal(t, http.StatusNotFound, a.status, asked)
			require.Contains(t, failure(t, a).Message, "No delivery found with id '")
		}
		require.Equal(t, []any{asked, jobs.Ref{ProjectID: jobs.DefaultProject, ID: "gone"}}, h.callbacks.last(), "the others are asked of no database")
	}
	h.callbacks.setFail(jobs.Errorf(jobs.CodeConflict, "id", "An attempt is under way."))
	a := h.post("/v1/deliveries/dlv_1/retry", "")
	require.Equal(t, http.StatusConflict, a.status)
	require.Equal(t, "false", a.header.Get("x-should-retry"))
	h.callbacks.setFail(jobs.Errorf(callbacks.CodeExpired, "id", "Its event is kept no longer."))
	a = h.post("/v1/deliveries/dlv_1/retry", "")
	require.Equal(t, http.StatusGone, a.status)
	require.Equal(t, "expired", failure(t, a).Code)
}
