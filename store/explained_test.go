package store

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/history"
	"github.com/ringback/ringback/jobs"
)

// explaining has the server write down how it answers each query of a database, planned once for all values: what only a
// value at hand would tell the planner does not count.
const explaining = `ALTER DATABASE %[1]s SET session_preload_libraries = 'auto_explain'; ALTER DATABASE %[1]s SET auto_explain.log_min_duration = 0;
	ALTER DATABASE %[1]s SET plan_cache_mode = force_generic_plan; ALTER DATABASE %[1]s SET jit = off`

// explained is a world over PostgreSQL that holds much of everything. What it returns runs do, and gives the plans of what
// that asked.
func explained(t *testing.T) (w *world, plans func(do func()) string) {
	t.Helper()
	dsn := ownDatabase(t)
	conn := must(pgconn.Connect(t.Context(), dsn))(t)
	name := strings.Trim(regexp.MustCompile(`/[^/?]+\?`).FindString(dsn), "/?")
	for _, sql := range []string{fmt.Sprintf(explaining, name), filling, "VACUUM ANALYZE"} {
		_, err := conn.Exec(t.Context(), sql).ReadAll()
		require.NoError(t, err)
	}
	require.NoError(t, conn.Close(context.Background()))
	w = worldOver(t, openWith(t, func(o *Options) { o.DSN = dsn }))
	entry := regexp.MustCompile(`(?m)^` + name + ` LOG:  duration: .*\n((\t.*\n?)*)`)
	return w, func(do func()) string {
		before := len(shared.server.Log())
		do()
		require.NoError(t, w.Ping(t.Context()))
		var text strings.Builder
		for _, m := range entry.FindAllStringSubmatch(shared.server.Log()[before:], -1) {
			text.WriteString(m[1] + "\n")
		}
		return text.String()
	}
}

// filling makes some thousands of rows of each kind that there are many of.
const filling = `
INSERT INTO jobs (project_id, id, kind, status, ending, path, model, input_file_id, output_file_id, error_file_id, completion_window, output_ttl, total, completed,
	failed, input_tokens, cached_tokens, output_tokens, reasoning_tokens, total_tokens, refusals, sequence, created_at, changed_at, started_at, finalizing_at,
	cancelling_at, ended_at, expires_at, attempt, claims, tries, owner, due_at, wake_at, priority)
	SELECT 'default', 'job_' || i, (ARRAY['batch', 'generation', 'response', 'fine_tuning'])[1 + i % 4], 'completed', '', '/v1/x', 'm' || i % 9, 'file-' || i, '', '', '', 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 1, i, i, i, 0, 0, CASE WHEN i % 5 = 0 THEN 0 ELSE i END, 0, 1, 0, 1, '', 0, 0, 0 FROM generate_series(1, 20000) AS i;
INSERT INTO shards (project_id, id, job_id, n, first_line, last_line, lines, "offset", done, attempt, claims, tries, owner, due_at, wake_at)
	SELECT 'default', 'job_' || i / 20 || ':' || i % 20, 'job_' || i / 20, i % 20, 1, 2, 2, 0, TRUE, 1, 1, 1, '', 0, 0 FROM generate_series(1, 10000) AS i;
INSERT INTO lines (project_id, job_id, line, ok, text) SELECT 'default', 'job_' || i / 1000, i % 1000, TRUE, '{}' FROM generate_series(1, 20000) AS i;
INSERT INTO events (position, project_id, id, type, job_id, sequence, created_at, body)
	SELECT i, 'default', 'evt_' || i, CASE WHEN i % 50 = 0 THEN 'file.deleted' ELSE 'file.created' END, '', 1, i, '{}' FROM generate_series(1, 20000) AS i;
INSERT INTO endpoints (project_id, id, name, description, url, is_active, disabled, timeout, secret_hint, sequence, last_success_at, last_failure_at, failing_since,
	failures, created_at, changed_at, deleted_at, target)
	SELECT 'p' || i % 100, 'e' || i, '', '', '', TRUE, '', 0, '', 0, 0, 0, 0, 0, i, i, i % 2, '' FROM generate_series(1, 5000) AS i;
INSERT INTO gates SELECT 'default', 'e' || i, 5000000000000 FROM generate_series(1, 5000) AS i;
INSERT INTO wakes SELECT 'default', 'e' || i, 5000000000000 + i FROM generate_series(1, 5000) AS i;
INSERT INTO deliveries (project_id, id, event_id, event_type, job_id, webhook_id, url, state, reason, created_at, ended_at, attempt, claims, tries, owner, due_at,
	wake_at, endpoint_id, gate) SELECT 'default', 'dlv_' || i, 'evt_' || i, CASE WHEN i % 50 = 0 THEN 'file.deleted' ELSE 'file.created' END, 'job_' || i, '', '', CASE WHEN i % 10 = 0 THEN 'waiting' ELSE 'delivered' END,
	'', i, i, 1, 0, 1, '', CASE WHEN i % 10 = 0 THEN i ELSE 0 END, 0, 'e' || i % 500, 'e' || i % 500 FROM generate_series(1, 20000) AS i;
INSERT INTO attempts (project_id, id, delivery_id, number, started_at, duration_ms, status_code, error_class, truncated, rule, manual)
	SELECT 'default', 'att_' || i, 'dlv_' || i, 1, i, 1, 200, '', FALSE, '', FALSE FROM generate_series(1, 20000) AS i;
INSERT INTO job_words SELECT 'default', i, 'job_' || i, 'name=nightly ' || i FROM generate_series(1, 20000) AS i;
INSERT INTO idempotency_keys SELECT 'default', 'k' || i, 'h', 'a', 1750000000000 + i FROM generate_series(1, 10000) AS i;
INSERT INTO files SELECT 'default', 'file-' || i, '', 'batch', 1, 'in/' || i, i, 0, 0 FROM generate_series(1, 10000) AS i;
INSERT INTO upload_parts SELECT 'default', 'part_' || i, 'upload_' || i / 9, 1, 'parts/' || i, i FROM generate_series(1, 10000) AS i;
INSERT INTO uploads SELECT 'default', 'upload_' || i, 'completed', '', '', '', 1, 0, 1, 1, NULL, '', i, i, i FROM generate_series(1, 10000) AS i;
INSERT INTO history SELECT 'default', (ARRAY['calls.ok', 'calls.failed', 'lines.ok'])[1 + i % 3], 'about' || i % 7, 1750000000000 + i * 1000, 300000, 'own', 1, '' FROM generate_series(1, 20000) AS i;
INSERT INTO job_history SELECT 'default', 'job_' || i % 99, 'lines.ok', i, 1000, 'own', 1, '' FROM generate_series(1, 20000) AS i;
INSERT INTO responses SELECT 'default', 'job_' || 4 * i + 2, 2, '{}', '[]' FROM generate_series(0, 4000) AS i;
INSERT INTO response_events SELECT 'default', 'job_' || i / 100, i % 100, 'a', '{}' FROM generate_series(1, 10000) AS i;`

// first leaves out whether there are more.
func first[T any](all T, _ bool, err error) (T, error) { return all, err }

// TestPostgresUsesTheIndexes: none of what is asked often reads a whole table.
func TestPostgresUsesTheIndexes(t *testing.T) {
	t.Parallel()
	w, plans := explained(t)
	e := w.endpoint(wants("file.created"))
	w.fire("file.created")
	batch := running(t, w.Store)
	look := func(f callbacks.DeliveryFilter) func() {
		return func() {
			f.ProjectID = "default"
			_, _, _, err := w.Deliveries(t.Context(), callbacks.DeliveryQuery{DeliveryFilter: f, After: "dlv_17", Limit: 20})
			require.NoError(t, err)
		}
	}
	page := func(q jobs.JobQuery) func() {
		return func() {
			q.ProjectID, q.After, q.Limit = "default", "job_1000", 20
			_, _, err := w.Jobs(t.Context(), q)
			require.NoError(t, err)
		}
	}
	w.exec("UPDATE responses SET streaming = 1 WHERE job_id = 'job_18'")
	janitor := &Janitor{Store: w.Store}
	for _, tt := range []struct {
		name    string
		do      func()
		indexes []string
	}{
		{"due calls", func() {
			w.planned()
			must(w.DueCalls(t.Context(), 9))(t)
			w.pass(time.Minute)
			must(w.DueCalls(t.Context(), 9))(t)
		}, []string{"jobs_wake"}},
		{"due shards", func() { w.pass(time.Minute); require.NotEmpty(t, must(w.DueShards(t.Context(), 9))(t)) }, []string{"shards_wake"}},
		{"due gates", func() { require.NotEmpty(t, must(w.DueGates(t.Context(), 9))(t)) }, []string{"wakes_due"}},
		{"free shards", func() { require.NotEmpty(t, must(w.FreeShards(t.Context(), batch, w.now(), 8))(t)) }, []string{"shards_free"}},
		{"claim and end of a shard", func() {
			claimed := must(w.ClaimShards(t.Context(), "own", []jobs.Ref{host(batch.ID + ":0")}, w.now()))(t)
			must(w.FinishShard(t.Context(), claimed[0], w.now()))(t)
		}, []string{"shards_pkey", "jobs_pkey", "shards_asleep"}},
		{"lines", func() {
			must(w.RecordLines(t.Context(), []jobs.Line{line(batch, 1, true, "{}")}))(t)
			must(w.Lines(t.Context(), jobs.LineQuery{Job: host("job_3"), After: 10}))(t)
			must(w.DoneLines(t.Context(), host("job_3"), 10, 20))(t)
			_, _, err := w.Results(t.Context(), jobs.ResultQuery{Job: host("job_3"), After: 10})
			require.NoError(t, err)
		}, []string{"lines_line", "lines_kept", "shards_job"}},
		{"claim of deliveries", func() { require.Len(t, w.claim(e), 1) }, []string{"deliveries_waiting", "gates_pkey", "endpoints_pkey", "events_id"}},
		{"an outcome", func() {
			w.fire("file.created")
			w.end(w.claimOne(e), callbacks.Failed)
		}, []string{"deliveries_pkey", "attempts_delivery", "endpoints_active"}},
		{"expiry", func() {
			require.NoError(t, w.ShutGate(t.Context(), host("e10"), 1, 1))
			require.NotZero(t, must(w.ExpireDeliveries(t.Context(), w.now()))(t))
		}, []string{"gates_shut", "deliveries_waiting"}},
		{"deliveries", look(callbacks.DeliveryFilter{}), []string{"deliveries_newest"}},
		{"deliveries of an endpoint", look(callbacks.DeliveryFilter{EndpointID: "e17"}), []string{"deliveries_endpoint"}},
		{"deliveries that never arrived", look(callbacks.DeliveryFilter{NeverArrived: true}), []string{"deliveries_ended"}},
		{"deliveries that failed", look(callbacks.DeliveryFilter{State: callbacks.Failed}), []string{"deliveries_ended"}},
		{"deliveries of a job", look(callbacks.DeliveryFilter{JobID: "job_17"}), []string{"deliveries_job"}},
		{"deliveries of an event", look(callbacks.DeliveryFilter{EventID: "evt_17"}), []string{"deliveries_receiver"}},
		{"jobs", page(jobs.JobQuery{}), []string{"jobs_newest"}},
		{"jobs of a kind", page(jobs.JobQuery{Kind: jobs.KindBatch}), []string{"jobs_newest_kind"}},
		{"jobs that go on", page(jobs.JobQuery{Status: jobs.InProgress}), []string{"jobs_open"}},
		{"jobs that failed", page(jobs.JobQuery{Kind: jobs.KindBatch, Status: jobs.Failed}), []string{"jobs_unwell"}},
		{"deliveries of a type", look(callbacks.DeliveryFilter{EventType: "file.deleted"}), []string{"deliveries_type"}},
		{"deliveries of a type that failed", look(callbacks.DeliveryFilter{EventType: "file.created", State: callbacks.Failed}), []string{"deliveries_ended"}},
		{"counts of deliveries", func() {
			for _, f := range []callbacks.DeliveryFilter{{}, {EndpointID: "e17"}, {EventType: "file.created"}, {EndpointID: "e17", EventType: "file.created"}, {JobID: "job_17"}} {
				f.ProjectID = "default"
				must(w.StatesOfDeliveries(t.Context(), f))(t)
			}
			must(w.GivenUp(t.Context(), "default", 1))(t)
		}, []string{"deliveries_open", "deliveries_ended", "deliveries_job"}},
		{"backlogs", func() { must(w.Backlogs(t.Context(), "default"))(t) }, []string{"deliveries_waiting"}},
		{"counts of jobs", func() {
			must(w.CountJobs(t.Context(), "default"))(t)
			must(w.Standing(t.Context(), "default"))(t)
		}, []string{"jobs_newest", "jobs_open", "jobs_unwell", "deliveries_open"}},
		{"a search", func() {
			for _, text := range []string{"night", "job_17"} {
				must(first(w.SearchJobs(t.Context(), jobs.Search{ProjectID: "default", Text: text, Limit: 20})))(t)
			}
		}, []string{"job_words_pkey", "jobs_pkey"}},
		{"a job's events", func() { must(w.JobEvents(t.Context(), host("job_17")))(t) }, []string{"events_job"}},
		{"recent events", func() {
			for _, typ := range []string{"", "file.deleted", "batch.*"} {
				must(first(w.RecentEvents(t.Context(), jobs.EventQuery{ProjectID: "default", Type: typ, Limit: 20})))(t)
			}
		}, []string{"events_order", "events_type"}},
		{"failures and outcomes", func() {
			must(w.Failures(t.Context(), host("job_3")))(t)
			must(first(w.Outcomes(t.Context(), jobs.OutcomeQuery{Job: host("job_3"), CustomID: "x", Limit: 5})))(t)
		}, []string{"lines_failed", "lines_line"}},
		{"a job's outlook", func() {
			s := must(w.Job(t.Context(), w.planned()))(t)
			require.NoError(t, w.Outlook(t.Context(), &s))
		}, []string{"jobs_pkey", "jobs_wake", "jobs_newest_kind"}},
		{"events", func() {
			w.fire("file.created")
			_, _, err := w.Events(t.Context(), "default", "evt_5000", 20)
			require.NoError(t, err)
			must(w.LastEvent(t.Context(), "default"))(t)
		}, []string{"events_unnumbered", "events_order", "events_id"}},
		{"replay", func() { must(w.calls.ReplaySince(t.Context(), e, callbacks.ReplayQuery{Since: begun}))(t) }, []string{"events_order", "deliveries_receiver"}},
		{"take-over", func() { w.beat("me"); must(w.TakeOver(t.Context(), "me"))(t) }, []string{"jobs_owner", "shards_owner", "deliveries_owner"}},
		{"an Idempotency-Key", func() {
			require.NoError(t, w.Replayed(t.Context(), "default", &jobs.Idempotency{Key: "new", Hash: []byte("h")}))
		}, []string{"idempotency_keys_pkey"}},
		{"deletion of a file", func() { must(w.DeleteFile(t.Context(), host("file-17"), w.now()))(t) }, []string{"jobs_input", "jobs_validation", "files_pkey"}},
		{"old keys", func() { must(janitor.keys(t.Context()))(t) }, []string{"idempotency_keys_age"}},
		{"expired files", func() { must(janitor.expired(t.Context()))(t) }, []string{"files_expiry"}},
		{"lapsed uploads", func() { must(janitor.lapsed(t.Context()))(t) }, []string{"uploads_expiry"}},
		{"orphans", func() { must(janitor.removeUnnamed(t.Context(), []string{"in/17", "parts/17"}))(t) }, []string{"files_blob", "upload_parts_blob"}},
		{"history", func() {
			for _, q := range []history.Query{
				{Series: []string{history.CallsOK}, AnyAbout: true}, {Series: []string{history.LinesOK}, About: "job_17"}, {Series: []string{history.JobsWaiting}},
			} {
				q.ProjectID, q.Since, q.Until, q.Step = "default", begun, begun.Add(time.Minute), 5*time.Minute
				must(w.History(t.Context(), q))(t)
			}
		}, []string{"history_pkey", "job_history_pkey"}},
		{"old history", func() { must(janitor.history(t.Context()))(t) }, []string{"history_age"}},
		{"parts", func() { must(w.UploadParts(t.Context(), host("upload_17")))(t) }, []string{"upload_parts_upload"}},
		{"a look at a stream", func() {
			must(w.LookAtStream(t.Context(), host("job_18"), jobs.StreamQuery{Events: 10, Bytes: 1000}))(t)
			must(janitor.streams(t.Context()))(t)
		}, []string{"response_events_numbered", "responses_pkey", "responses_streamed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := plans(tt.do)
			for _, index := range tt.indexes {
				require.Regexp(t, ` (using|on) `+index+`\b`, got)
			}
			require.NotRegexp(t, `Seq Scan on (jobs|shards|lines|events|endpoints|gates|deliveries|attempts|idempotency_keys|files|uploads|upload_parts|responses|response_events|history|job_history|job_words)\b`, got)
		})
	}
}
