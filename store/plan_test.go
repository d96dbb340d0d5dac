package store

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/history"
	"github.com/ringback/ringback/jobs"
)

// asked notes the statements that GORM sends. What it returns runs do, and gives those that do sent, each with how SQLite
// answers it.
func (w *world) asked() func(do func()) (plans []string) {
	w.t.Helper()
	type statement struct {
		text string
		vars []any
	}
	var noted []statement
	note := func(tx *gorm.DB) {
		noted = append(noted, statement{tx.Statement.SQL.String(), slices.Clone(tx.Statement.Vars)})
	}
	for _, db := range []*gorm.DB{w.reads, w.writer.(*writer).db} {
		c := db.Callback()
		require.NoError(w.t, errors.Join(c.Query().After("gorm:query").Register("note", note), c.Row().After("gorm:row").Register("note", note),
			c.Raw().After("gorm:raw").Register("note", note), c.Update().After("gorm:update").Register("note", note)))
	}
	return func(do func()) (plans []string) {
		noted = nil
		do()
		for _, s := range slices.Clone(noted) {
			var steps []struct{ Detail string }
			require.NoError(w.t, w.reads.Raw("EXPLAIN QUERY PLAN "+s.text, s.vars...).Scan(&steps).Error, s.text)
			plan := s.text
			for _, step := range steps {
				plan += "\n" + step.Detail
			}
			plans = append(plans, plan)
		}
		return plans
	}
}

// TestQueriesUseTheirIndexes: none reads a whole table, and none on the hot paths sorts.
func TestQueriesUseTheirIndexes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked := w.asked()
	for _, tt := range []struct {
		name  string
		do    func(w *world, e jobs.Ref)
		index string
		sorts bool
	}{
		{"claim", func(w *world, _ jobs.Ref) { // which does not go through GORM
			w.do(func(tx *gorm.DB) error {
				return tx.Exec(claimDeliveries(tx, dueThere), "own", "default", "none", 1, 1).Error
			})
		}, "deliveries_waiting (project_id=? AND gate=? AND due_at>? AND due_at<?)", false},
		{"next look", func(w *world, e jobs.Ref) { w.claimOne(e) }, "deliveries_waiting (project_id=? AND gate=? AND due_at>?)", false},
		{"claim of an inactive endpoint", func(w *world, e jobs.Ref) {
			must(w.calls.UpdateEndpoint(t.Context(), e, []byte(`{"is_active":false}`)))(t)
			require.Empty(t, w.claim(e))
		}, "deliveries_waiting (project_id=? AND gate=?", false},
		{"due gates", func(w *world, _ jobs.Ref) { must(w.DueGates(t.Context(), 9))(t) }, "wakes_due (wake_at<?)", false},
		{"expire: its gates", expire, "gates_shut (shut_at<?)", true},
		{"expire: its deliveries", expire, "deliveries_waiting (project_id=? AND gate=? AND due_at>? AND due_at<?)", true},
		{"list", list(callbacks.DeliveryFilter{}), "deliveries_newest (project_id=? AND (created_at,id)<(?,?))", false},
		{"list of a span of time", list(callbacks.DeliveryFilter{Since: 1, Until: begun}), "deliveries_newest (project_id=? AND", false},
		{"list of an endpoint", list(callbacks.DeliveryFilter{EndpointID: "e"}), "deliveries_endpoint (project_id=? AND endpoint_id=? AND (created_at,id)<(?,?))", false},
		{"list of what failed", list(callbacks.DeliveryFilter{State: callbacks.Failed}), "deliveries_ended (project_id=? AND (created_at,id)<(?,?))", false},
		{"list of what was cancelled", list(callbacks.DeliveryFilter{State: callbacks.Cancelled}), "deliveries_ended (project_id=? AND (created_at,id)<(?,?))", false},
		{"list of what never arrived", list(callbacks.DeliveryFilter{NeverArrived: true}), "deliveries_ended (project_id=? AND (created_at,id)<(?,?))", false},
		{"list of an event", list(callbacks.DeliveryFilter{EventID: "e"}), "deliveries_receiver (project_id=? AND event_id=?)", true},
		{"list of a job", list(callbacks.DeliveryFilter{JobID: "e"}), "deliveries_job (project_id=? AND job_id=?)", true},
		{"endpoints", func(w *world, e jobs.Ref) {
			_, _, err := w.Endpoints(t.Context(), "default", e.ID, 9)
			require.NoError(t, err)
		}, "endpoints_newest (project_id=? AND (created_at,id)<(?,?))", false},
		{"an event's receivers", func(w *world, _ jobs.Ref) { w.fire("file.created") }, "endpoints_active (project_id=?)", false},
		{"an outcome", func(w *world, e jobs.Ref) { w.end(w.claimOne(e), callbacks.Failed) }, "attempts_delivery (project_id=? AND delivery_id=?)", true},
		{"retry", func(w *world, e jobs.Ref) {
			must(w.calls.RetryDelivery(t.Context(), w.all(callbacks.DeliveryFilter{EndpointID: e.ID})[0].Ref()))(t)
		}, "events_id (project_id=? AND id=?)", true},
		{"bulk retry", retryAll(callbacks.DeliveryFilter{}), "deliveries_newest (project_id=? AND (created_at,id)>(?,?))", false},
		{"bulk retry of an endpoint's", retryAll(callbacks.DeliveryFilter{EndpointID: "e"}), "deliveries_endpoint (project_id=? AND endpoint_id=? AND (created_at,id)>(?,?))", false},
		{"bulk retry of what never arrived", retryAll(callbacks.DeliveryFilter{NeverArrived: true}), "deliveries_ended (project_id=? AND (created_at,id)>(?,?))", false},
		{"bulk retry of a job's", retryAll(callbacks.DeliveryFilter{JobID: "e"}), "deliveries_job (project_id=? AND job_id=?)", true},
		{"replay", func(w *world, e jobs.Ref) { must(w.calls.ReplaySince(t.Context(), e, callbacks.ReplayQuery{}))(t) }, "events_order (project_id=? AND position>?)", false},
		{"replay: what it had", func(w *world, e jobs.Ref) { must(w.calls.ReplaySince(t.Context(), e, callbacks.ReplayQuery{}))(t) }, "deliveries_receiver (project_id=? AND event_id=? AND webhook_id=? AND endpoint_id=?)", false},
		{"last event", func(w *world, _ jobs.Ref) { must(w.LastEvent(t.Context(), "default"))(t) }, "events_order (project_id=?)", false},
		{"at a start", func(w *world, _ jobs.Ref) { require.NoError(t, w.FreeOthers(t.Context(), "own")) }, "deliveries USING INDEX deliveries_owner", false},
		{"unfinished jobs", func(w *world, _ jobs.Ref) { must(w.Unfinished(t.Context()))(t) }, "jobs USING COVERING INDEX jobs_open", true},
		{"shut gates", func(w *world, _ jobs.Ref) { must(w.ShutGates(t.Context()))(t) }, "gates USING COVERING INDEX gates_shut", false},
		{"history", func(w *world, _ jobs.Ref) { // which does not go through GORM
			q := slotQuery{Query: history.Query{ProjectID: "default", Since: begun, Step: time.Hour}, series: history.LinesOK}
			query, args := q.sql(w.reads)
			require.NoError(w.t, w.reads.Exec(query, args...).Error)
		}, "history USING PRIMARY KEY (project_id=? AND series=? AND about=? AND at>? AND at<?)", true},
		{"what history is about", func(w *world, _ jobs.Ref) { must(w.abouts(t.Context(), "default", history.CallsOK))(t) }, "history USING PRIMARY KEY (project_id=? AND series=? AND about>?)", false},
		{"the last sample", func(w *world, _ jobs.Ref) {
			must((&JobSampler{Store: w.Store}).last(t.Context()))(t)
		}, "history USING PRIMARY KEY (project_id=? AND series=? AND about=? AND at<?)", false},
		{"oldest due: jobs", oldestDue, "jobs_wake (kind=? AND priority=? AND wake_at>? AND wake_at<?)", true},
		{"oldest due: shards", oldestDue, "shards_wake (priority=? AND wake_at>? AND wake_at<?)", true},
		{"oldest due: gates", oldestDue, "wakes_due (wake_at<?)", true},
		{"oldest due: deliveries", oldestDue, "deliveries_waiting (project_id=? AND gate=? AND due_at>? AND due_at<?)", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := w.endpoint()
			w.fire("file.created")
			plans := strings.Join(asked(func() { tt.do(w, e) }), "\n\n")
			require.Contains(t, plans, tt.index)
			require.NotRegexp(t, `SCAN [a-z]+(\n|$)`, plans, "a whole table is read")
			require.Equal(t, tt.sorts, strings.Contains(plans, "TEMP B-TREE"), plans)
		})
	}
}

func list(f callbacks.DeliveryFilter) func(*world, jobs.Ref) {
	return func(w *world, _ jobs.Ref) {
		f.ProjectID = "default"
		after := w.all(callbacks.DeliveryFilter{})[0].ID
		_, _, _, err := w.Deliveries(w.t.Context(), callbacks.DeliveryQuery{DeliveryFilter: f, After: after, Limit: 9})
		require.NoError(w.t, err)
	}
}

func retryAll(f callbacks.DeliveryFilter) func(*world, jobs.Ref) {
	return func(w *world, e jobs.Ref) {
		f.ProjectID = "default"
		_, _, err := w.RetryDeliveries(w.t.Context(), f, w.all(callbacks.DeliveryFilter{EndpointID: e.ID})[0].ID, w.now())
		require.NoError(w.t, err)
	}
}

func expire(w *world, e jobs.Ref) {
	require.NoError(w.t, w.ShutGate(w.t.Context(), e, begun, begun))
	w.pass(callbacks.MaxWait)
	require.Positive(w.t, must(w.ExpireDeliveries(w.t.Context(), w.now()))(w.t))
}

func oldestDue(w *world, _ jobs.Ref) { must(w.OldestDue(w.t.Context()))(w.t) }
