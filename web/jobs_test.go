package web

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

func TestJobsOfEveryKindAreListedWithoutTheirDetail(t *testing.T) {
	t.Parallel()
	h := start(t)
	batch := object(t, h.post("/v1/batches", batchBody).body)["id"].(string)
	generation := object(t, h.post("/v1/generate", `{"model":"sim-small","input":"x"}`).body)["id"].(string)
	a := h.get("/v1/jobs")
	require.Equal(t, []string{generation, batch}, ids(t, a))
	entry := object(t, a.body)["data"].([]any)[1].(map[string]any)
	require.Equal(t, "job", entry["object"])
	require.Equal(t, "batch", entry["kind"])
	require.NotContains(t, entry, "detail")

	require.Equal(t, []string{generation}, ids(t, h.get("/v1/jobs?kind=generation")))
	h.get("/v1/jobs?kind=batch&status=in_progress&limit=7")
	require.Equal(t, jobs.JobQuery{ProjectID: jobs.DefaultProject, Kind: jobs.KindBatch, Status: jobs.InProgress, Limit: 7}, h.records.asked)

	one := object(t, h.get("/v1/jobs/"+batch).body)
	require.Equal(t, "batch", one["detail"].(map[string]any)["object"])
	require.Equal(t, "cancelling", object(t, h.post("/v1/jobs/"+batch+"/cancel", "").body)["status"])
	for _, gone := range []answer{h.get("/v1/jobs/x"), h.get("/v1/jobs/x?wait=1s"), h.post("/v1/jobs/x/cancel", ""), h.get("/v1/jobs/x/deliveries")} {
		require.Equal(t, http.StatusNotFound, gone.status)
		require.Equal(t, "No job found with id 'x'.", failure(t, gone).Message)
	}
}

func TestALongPollAnswersWhenTheJobMoves(t *testing.T) {
	t.Parallel()
	h := start(t)
	id := object(t, h.post("/v1/batches", batchBody).body)["id"].(string)
	polled := make(chan answer)
	go func() { polled <- h.get("/v1/jobs/" + id + "?wait=60s") }()
	require.Eventually(t, func() bool { // rings until somebody has listened
		h.records.end(jobs.Completed)
		h.watchers.Ring(jobs.Ref{ProjectID: jobs.DefaultProject, ID: id})
		select {
		case a := <-polled:
			return object(t, a.body)["status"] == "completed"
		default:
			return false
		}
	}, 10*time.Second, 5*time.Millisecond)
}

func TestWrongWaitsAreRefused(t *testing.T) {
	t.Parallel()
	h := start(t)
	id := object(t, h.post("/v1/batches", batchBody).body)["id"].(string)
	for _, wait := range []string{"61s", "-1s", "30", "soon", "1h"} {
		a := h.get("/v1/jobs/" + id + "?wait=" + wait)
		require.Equal(t, http.StatusBadRequest, a.status, wait)
		require.Equal(t, "wait", failure(t, a).Param)
	}
	for _, wait := range []string{"0", "0s", "1ms", "10ms"} {
		require.Equal(t, http.StatusOK, h.get("/v1/jobs/"+id+"?wait="+wait).status, wait)
	}
}

// service is Jobs under a name that is none of its methods.
type service = Jobs

// waiting says when a long poll begins and when it ends.
type waiting struct {
	service
	began, ended chan struct{}
}

func (w *waiting) Wait(ctx context.Context, _ jobs.Ref, _ time.Duration) (jobs.Snapshot, error) {
	w.began <- struct{}{}
	<-ctx.Done()
	close(w.ended)
	return jobs.Snapshot{Job: jobs.Job{ID: "batch_1", Kind: jobs.KindBatch, Status: jobs.InProgress, Priority: jobs.PriorityNormal, ExpiresAt: 1}}, nil
}

func startWaiting(t *testing.T) (*harness, *waiting) {
	w := &waiting{began: make(chan struct{}, 1), ended: make(chan struct{})}
	return start(t, func(o *Options) { w.service, o.Jobs = o.Jobs, w }), w
}

func within5s(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(5 * time.Second):
		t.Fatal("still waiting after 5 s")
	}
}

func TestALongPollEndsWhenItsClientGoesAway(t *testing.T) {
	t.Parallel()
	h, w := startWaiting(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.server.URL+"/v1/jobs/batch_1?wait=60s", nil)
	require.NoError(t, err)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if response, err := h.server.Client().Do(r); err == nil {
			_ = response.Body.Close()
		}
	}()
	<-w.began
	cancel()
	within5s(t, gone)
	within5s(t, w.ended)
}

func TestShutdownAnswersLongPolls(t *testing.T) {
	t.Parallel()
	h, w := startWaiting(t)
	polled := make(chan answer, 1)
	go func() { polled <- h.get("/v1/jobs/batch_1?wait=60s") }()
	<-w.began
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	require.NoError(t, h.server.Config.Shutdown(ctx))
	require.Equal(t, http.StatusOK, (<-polled).status)
}

func TestDeliveriesOfAJob(t *testing.T) {
	t.Parallel()
	h := start(t)
	id := object(t, h.post("/v1/batches", batchBody).body)["id"].(string)
	require.Equal(t, []string{}, ids(t, h.get("/v1/jobs/"+id+"/deliveries")))
	h.callbacks.deliveries = []callbacks.DeliveryObject{owed("dlv_1"), owed("dlv_2")}
	require.Equal(t, []string{"dlv_1", "dlv_2"}, ids(t, h.get("/v1/jobs/"+id+"/deliveries")))
}

func TestEventsAreTheirFrozenBytes(t *testing.T) {
	t.Parallel()
	h := start(t).madeUp()
	first, second := `{"id":"evt_1", "n": 12345678901234567890, "s":"<é\u00e9>" }`, `{ "id" : "evt_2" }`
	h.records.events = []jobs.Event{{ID: "evt_1", Body: []byte(first)}, {ID: "evt_2", Body: []byte(second)}}
	require.Equal(t, `{"object":"list","data":[`+first+`,`+second+`],"first_id":"evt_1","last_id":"evt_2","has_more":false}`, h.get("/v1/events").body)
	a := h.get("/v1/events?limit=1")
	require.Equal(t, []string{"evt_1"}, ids(t, a))
	require.Equal(t, true, object(t, a.body)["has_more"])
	require.Equal(t, []string{"evt_2"}, ids(t, h.get("/v1/events?after=evt_1")))
	require.Equal(t, []string{}, ids(t, h.get("/v1/events?after=evt_2")))
}
