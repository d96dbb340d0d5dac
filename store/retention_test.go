package store

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

const day = 24 * time.Hour

// purge runs a round that keeps what there is for so long.
func (d *depot) purge(keep Periods) (removed int) {
	d.t.Helper()
	d.janitor.Keep = keep
	return must(d.janitor.runOnce(d.t.Context()))(d.t)
}

// ends moves a job to its end.
func (d *depot) ends(ref jobs.Ref, change ...func(*jobs.Job)) {
	d.t.Helper()
	_, _, err := d.Move(d.t.Context(), ref, func(j *jobs.Job) (jobs.Effects, error) {
		j.Status, j.EndedAt = jobs.Completed, d.now()
		j.Rest()
		for _, c := range change {
			c(j)
		}
		return jobs.Effects{}, nil
	})
	require.NoError(d.t, err)
}

// batch is an ended one with so many lines.
func (d *depot) batch(lines int64) jobs.Ref {
	d.t.Helper()
	ref := d.running(lines)
	d.answer(ref, 100, span(1, lines)...)
	d.ends(ref)
	return ref
}

// owes writes an event with one delivery, which has had an attempt unless it is being sent.
func (d *depot) owes(state callbacks.State) callbacks.Delivery {
	d.t.Helper()
	e := d.endpoint()
	d.fire("file.created")
	claimed := d.claimOne(e)
	switch state {
	case callbacks.Waiting:
		d.record(d.answered(claimed, 500))
	case callbacks.Sending:
	default:
		d.world.end(claimed, state)
	}
	d.exec("UPDATE endpoints SET is_active = FALSE WHERE id = ?", e.ID)
	delivery, _ := d.delivery(claimed.Ref())
	require.Equal(d.t, state, delivery.State)
	return delivery
}

// TestEachPeriodEndsToTheMillisecond: a millisecond before its end all is kept, at its end it goes; and zero is for ever.
func TestEachPeriodEndsToTheMillisecond(t *testing.T) {
	t.Parallel()
	const keep = 7 * day
	created := func(d *depot) { require.NoError(d.t, d.CreateFile(d.t.Context(), *d.file("f"), nil)) }
	onEachDepot(t, func(t *testing.T, d *depot) {
		for _, tt := range []struct {
			name string
			keep Periods
			made func()
			rows string
		}{
			{"files", Periods{Files: keep}, func() { created(d) }, "files WHERE deleted_at = 0"},
			{"lines", Periods{Results: keep}, func() { d.batch(50) }, "lines"},
			{"requests", Periods{Results: keep}, func() { d.ends(d.planned()) }, "payloads"},
			{"items", Periods{Results: keep}, func() { d.endAs(d.response("resp_1", 1), jobs.Completed) }, "responses WHERE length(items) > 2"},
			{"events", Periods{Events: keep}, func() { d.fire("file.created") }, "events"},
			{"attempts", Periods{Attempts: keep}, func() { d.owes(callbacks.Delivered) }, "attempts"},
			{"deliveries", Periods{Attempts: keep}, func() { d.owes(callbacks.Failed) }, "deliveries"},
			{"jobs", Periods{Jobs: keep}, func() { d.batch(50) }, "jobs"},
			{"jobs whose results are gone", Periods{Jobs: keep, Results: day}, func() { d.batch(50) }, "jobs"},
			{"lines of jobs", Periods{Jobs: keep}, func() { d.batch(50) }, "lines"},
			{"uploads", Periods{Jobs: keep}, func() {
				d.end(d.upload("u"), jobs.UploadCancelled, nil)
				d.exec("UPDATE uploads SET ended_at = ?", d.now())
			}, "uploads"},
			{"names of files", Periods{Jobs: keep}, func() { created(d); must(d.DeleteFile(t.Context(), host("f"), d.now()))(t) }, "files"},
		} {
			d.purge(Periods{Files: 1, Results: 1, Events: 1, Attempts: 1, Jobs: 1})
			d.exec("DELETE FROM deliveries")
			d.exec("DELETE FROM events")
			d.exec("DELETE FROM files")
			tt.made()
			there := d.count(tt.rows)
			require.Positive(t, there, tt.name)
			d.pass(keep - time.Millisecond)
			d.purge(tt.keep)
			require.Equal(t, there, d.count(tt.rows), tt.name)
			d.pass(time.Millisecond)
			d.purge(Periods{})
			require.Equal(t, there, d.count(tt.rows), "%s: for ever", tt.name)
			d.purge(tt.keep)
			require.Zero(t, d.count(tt.rows), tt.name)
			d.pass(day)
		}
	})
}

var aDay = Periods{Files: day, Results: day, Events: day, Attempts: day, Jobs: day}

// TestWhatIsStillNeededStays however old it is, and goes once it is not needed any more.
func TestWhatIsStillNeededStays(t *testing.T) {
	t.Parallel()
	onEachDepot(t, func(t *testing.T, d *depot) {
		waiting, sending := d.owes(callbacks.Waiting), d.owes(callbacks.Sending)
		running := d.running(10)
		d.answer(running, 10, span(1, 9)...)
		owed := d.oneOff("a.example.com", func(n *jobs.NewJob) { n.Job.EndedAt = d.now() })
		retried := d.batch(10)
		retry := d.planned(func(j *jobs.Job) { j.Kind, j.RetryOf = jobs.KindBatch, retried.ID })
		untold := d.planned()
		d.ends(untold, func(j *jobs.Job) { j.Due(d.now()) })
		require.NoError(t, d.CreateFile(t.Context(), *d.file("input"), nil))
		reads := d.planned(func(j *jobs.Job) { j.InputFileID = "input" })
		ended := d.batch(10)
		d.pass(365 * day)
		d.purge(aDay)

		for _, e := range []callbacks.Delivery{waiting, sending} {
			require.Equal(t, 1, d.count("events WHERE id = ?", e.EventID), e.State)
			require.Equal(t, 1, d.count("deliveries WHERE id = ?", e.ID), e.State)
		}
		require.Equal(t, 1, d.count("attempts WHERE delivery_id = ?", waiting.ID))
		for _, ref := range []jobs.Ref{running, owed, retried, retry, untold, reads} {
			require.Equal(t, 1, d.count("jobs WHERE id = ?", ref.ID))
		}
		require.Equal(t, 19, d.count("lines"), "of the one that runs, and of the one whose answers a retry takes over")
		require.Equal(t, 3, d.count("payloads"))
		require.Equal(t, 1, d.count("webhooks"))
		require.Contains(t, filesIn(t, d.dir), "in/input")
		require.Zero(t, d.count("jobs WHERE id = ?", ended.ID))

		d.ends(retry)
		d.ends(reads)
		d.ends(running)
		d.exec("UPDATE jobs SET due_at = 0")
		for _, c := range d.claim(host("a.example.com")) {
			d.world.end(c, callbacks.Delivered)
		}
		d.record(d.answered(callbacks.Claimed{Delivery: sending}, 200))
		d.pass(day)
		d.purge(aDay)
		require.Zero(t, d.count("jobs")+d.count("lines")+d.count("payloads")+d.count("webhooks")+d.count("spent_jobs"))
		require.Equal(t, 1, d.count("events WHERE type = 'file.created' AND id = ?", waiting.EventID)+d.count("events WHERE id = ?", sending.EventID))
		require.Empty(t, filesIn(t, d.dir))
	})
}

// kindsOfJobs makes an ended job of each kind with all that belongs to one.
func (d *depot) kindsOfJobs() (refs []jobs.Ref) {
	d.t.Helper()
	e := d.endpoint()
	batch := running(d.t, d.Store)
	must(d.RecordLines(d.t.Context(), []jobs.Line{line(batch, 1, true, "{}"), line(batch, 2, false, "{}")}))(d.t)
	tuning := d.planned(func(j *jobs.Job) { j.Kind, j.ID = jobs.KindTuning, jobs.NewID("ftjob-") })
	_, _, err := d.Move(d.t.Context(), tuning, func(*jobs.Job) (jobs.Effects, error) {
		return jobs.Effects{
			Log:         []jobs.TuningEvent{{ProjectID: "default", ID: "ftevent-1", JobID: tuning.ID, CreatedAt: d.now(), Level: "info", Message: "m", Type: "message"}},
			Checkpoints: []jobs.Checkpoint{{ProjectID: "default", ID: "ftckpt_1", JobID: tuning.ID, CreatedAt: d.now(), Model: "ft:m", Step: 1}},
			Events:      []jobs.EventType{"fine_tuning.job.running"},
		}, nil
	})
	require.NoError(d.t, err)
	call, response := d.planned(), d.response("resp_1", 70)
	d.ends(batch)
	d.ends(tuning)
	d.ends(call)
	d.endAs(response, jobs.Completed)
	for _, c := range append(d.claim(e), d.claim(host("example.com"))...) {
		d.world.end(c, callbacks.Delivered)
	}
	d.exec("UPDATE endpoints SET is_active = FALSE")
	return []jobs.Ref{batch, tuning, call, response}
}

// tablesOf are all that have a job's rows.
func (d *depot) tablesOf() (tables []string) {
	d.t.Helper()
	query := "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name = 'job_id'"
	if d.Shared() {
		query = "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'job_id'"
	}
	require.NoError(d.t, d.reads.Raw(query).Scan(&tables).Error)
	require.Greater(d.t, len(tables), 10)
	return tables
}

// TestNothingIsLeftOfAJob in any table.
func TestNothingIsLeftOfAJob(t *testing.T) {
	t.Parallel()
	onEachDepot(t, func(t *testing.T, d *depot) {
		refs := d.kindsOfJobs()
		filled := 0
		for _, table := range d.tablesOf() {
			if d.count(table) > 0 {
				filled++
			}
		}
		require.GreaterOrEqual(t, filled, 9)
		d.pass(day)
		require.Positive(t, d.purge(aDay))
		for _, table := range append(d.tablesOf(), "attempts", "jobs") {
			require.Zero(t, d.count(table), table)
		}
		for _, ref := range refs {
			_, err := d.Job(t.Context(), ref)
			require.True(t, jobs.IsCode(err, jobs.CodeNotFound), "%v", err)
		}
		require.Zero(t, d.purge(aDay), "and nothing is found twice")
	})
}

// TestACrashInAPurgeLosesNothing: after whichever slice it comes, nobody reads half of a job, and the next purge ends what
// this one has begun.
func TestACrashInAPurgeLosesNothing(t *testing.T) {
	t.Parallel()
	onEachDepot(t, func(t *testing.T, d *depot) {
		refs := d.kindsOfJobs()
		large := d.batch(200)
		d.pass(day)
		d.fire("file.created") // a young one
		crashes := 0
		for range 1000 {
			d.janitor = &Janitor{Store: d.Store, Files: d.files, Keep: aDay, Log: slog.New(slog.DiscardHandler)}
			ctx, crash := context.WithCancel(t.Context())
			d.janitor.rest = func(ctx context.Context, _ time.Duration) error {
				crash() // after each slice
				return ctx.Err()
			}
			_, err := d.janitor.runOnce(ctx)
			crash()
			lines, _, unread := d.Results(t.Context(), jobs.ResultQuery{Job: large})
			if _, gone := d.Job(t.Context(), large); gone == nil && unread == nil {
				require.Len(t, lines, 200, "all or none")
			}
			if err == nil {
				break
			}
			require.ErrorIs(t, err, context.Canceled)
			crashes++
		}
		require.Greater(t, crashes, 10)
		for _, table := range append(d.tablesOf(), "attempts", "jobs") {
			if table != "events" {
				require.Zero(t, d.count(table), table)
			}
		}
		require.Equal(t, 1, d.count("events"))
		require.NotEmpty(t, refs)
	})
}

// TestResultsThatAreGoneAreSaidToBe: what was there is not taken for nothing, and nobody takes it over any more.
func TestResultsThatAreGoneAreSaidToBe(t *testing.T) {
	t.Parallel()
	onEachDepot(t, func(t *testing.T, d *depot) {
		batch, call := d.batch(10), d.planned()
		d.ends(call)
		lines, _, err := d.Results(t.Context(), jobs.ResultQuery{Job: batch})
		require.NoError(t, err)
		require.Len(t, lines, 10)
		d.pass(day)
		d.purge(Periods{Results: day})
		_, _, err = d.Results(t.Context(), jobs.ResultQuery{Job: batch})
		require.True(t, jobs.IsCode(err, callbacks.CodeExpired), "%v", err)
		_, err = d.Request(t.Context(), call)
		require.True(t, jobs.IsCode(err, jobs.CodeNotFound), "%v", err)
		for _, ref := range []jobs.Ref{batch, call} {
			require.True(t, must(d.Job(t.Context(), ref))(t).ResultsGone)
		}
		retry := newBatch(d.now())
		retry.RetryOf = batch.ID
		_, err = d.CreateJob(t.Context(), jobs.NewJob{Job: retry})
		require.True(t, jobs.IsCode(err, callbacks.CodeExpired), "%v", err)
		require.Zero(t, d.count("jobs WHERE id = ?", retry.ID))
	})
}

// TestReadersOfEventsLearnThatSomeAreGone: nobody passes over one without notice, and nobody begins anew without having
// asked for it.
func TestReadersOfEventsLearnThatSomeAreGone(t *testing.T) {
	t.Parallel()
	onEachDepot(t, func(t *testing.T, d *depot) {
		fired := func() jobs.Event {
			e := d.fire("file.created")
			must(d.LastEvent(t.Context(), "default"))(t)
			return must(d.Event(t.Context(), host(e)))(t)
		}
		read := func(after string) ([]string, error) {
			page, _, err := d.Events(t.Context(), "default", after, 100)
			ids := make([]string, len(page))
			for i := range page {
				ids[i] = page[i].ID
			}
			return ids, err
		}
		first, last := fired(), fired()
		d.pass(day)
		young := fired()
		d.purge(Periods{Events: day})

		require.Equal(t, []string{young.ID}, must(read(""))(t))
		require.Equal(t, []string{young.ID}, must(read("0"))(t))
		require.Equal(t, []string{young.ID}, must(read(fmt.Sprint(last.Position)))(t), "it has seen all that is gone")
		_, err := read(fmt.Sprint(first.Position))
		require.True(t, jobs.IsCode(err, callbacks.CodeExpired), "it has not: %v", err)
		for _, id := range []string{first.ID, last.ID} {
			_, err = read(id)
			require.True(t, jobs.IsCode(err, jobs.CodeValue), "%v", err)
			require.ErrorContains(t, err, "Begin again without 'after'")
		}
		require.Empty(t, must(read(young.ID))(t))

		d.pass(day)
		d.purge(Periods{Events: day})
		require.Equal(t, young.Position, must(d.LastEvent(t.Context(), "default"))(t), "where a stream begins")
		require.Empty(t, must(read(fmt.Sprint(young.Position)))(t))
		_, err = read(fmt.Sprint(last.Position))
		require.True(t, jobs.IsCode(err, callbacks.CodeExpired), "%v", err)
		next := fired()
		require.Equal(t, []string{next.ID}, must(read(fmt.Sprint(young.Position)))(t))
	})
}

// TestAKeyAnswersAfterThePurge of what it made, and makes nothing twice.
func TestAKeyAnswersAfterThePurge(t *testing.T) {
	t.Parallel()
	onEachDepot(t, func(t *testing.T, d *depot) {
		key := &jobs.Idempotency{Key: "k", Hash: []byte("h")}
		j := newBatch(d.now())
		must(d.CreateJob(t.Context(), jobs.NewJob{Job: j, Idempotency: key, Answer: []byte("answer")}))(t)
		d.ends(j.Ref())
		d.pass(time.Hour)
		d.purge(Periods{Jobs: time.Hour})
		require.Zero(t, d.count("jobs"))
		_, err := d.CreateJob(t.Context(), jobs.NewJob{Job: newBatch(d.now()), Idempotency: key})
		var replay *jobs.Replay
		require.ErrorAs(t, err, &replay)
		require.Equal(t, "answer", string(replay.Answer))
		require.Zero(t, d.count("jobs"))
	})
}

// TestAWebhookStaysForItsDeliveries: what a deleted response owes can be sent again as long as it is kept.
func TestAWebhookStaysForItsDeliveries(t *testing.T) {
	t.Parallel()
	onEachDepot(t, func(t *testing.T, d *depot) {
		hook := &jobs.Webhook{URL: "https://a.example.com/h", Method: "POST"}
		j := jobs.Job{ProjectID: "default", ID: "resp_1", Kind: jobs.KindResponse, Status: jobs.Completed, CreatedAt: d.now(), ChangedAt: d.now(), EndedAt: d.now(), Webhook: callbacks.Shown(hook)}
		facts := &jobs.Response{ProjectID: "default", JobID: j.ID, Settings: []byte(`{}`), Items: []byte(`[]`)}
		must(d.CreateJob(t.Context(), jobs.NewJob{Job: j, Webhook: hook, Body: []byte(`{}`), Response: facts, Events: []jobs.EventType{jobs.ResponseCompleted}}))(t)
		must(d.DeleteResponse(t.Context(), j.Ref(), uncalled))(t)
		d.purge(aDay)
		require.Equal(t, 1, d.count("webhooks"))
		require.Equal(t, 1, d.count("deliveries"))
		c := d.claimOne(host("a.example.com"))
		require.NoError(t, c.Broken)
		d.world.end(c, callbacks.Failed)
		d.pass(day)
		d.purge(Periods{Jobs: day})
		require.Equal(t, 1, d.count("webhooks"))
		d.purge(aDay)
		require.Zero(t, d.count("webhooks")+d.count("deliveries")+d.count("spent_jobs"))
	})
}

// TestOneOfAFleetCleans, and the others leave it to that one.
func TestOneOfAFleetCleans(t *testing.T) {
	t.Parallel()
	d := depotOver(t, worldOver(t, openPostgresStore(t)))
	d.janitor.Owner = "one"
	other := &Janitor{Store: d.Store, Files: d.files, Owner: "other", Keep: aDay, Log: d.janitor.Log}
	d.batch(10)
	d.pass(day)
	d.purge(Periods{})
	n, err := other.runOnce(t.Context())
	require.ErrorIs(t, err, errNotLeading)
	require.Zero(t, n)
	require.Equal(t, 10, d.count("lines"))
	d.exec("UPDATE leases SET until_at = 0")
	require.Positive(t, must(other.runOnce(t.Context()))(t))
	require.Zero(t, d.count("lines"))
}

// TestTheFileBecomesShorter by what a purge has freed, but for what soon is needed again.
func TestTheFileBecomesShorter(t *testing.T) {
	t.Parallel()
	d := depotOver(t, worldOver(t, openSQLiteStore(t)))
	for range 4 {
		ref := d.running(1000)
		d.answer(ref, 8000, span(1, 999)...)
		d.ends(ref)
	}
	size := func() int64 {
		require.NoError(t, d.janitor.checkpoint(t.Context()))
		return must(os.Stat(filepath.Join(d.options.Dir, DatabaseFile)))(t).Size()
	}
	full := size()
	require.Greater(t, full, int64(30<<20))
	d.pass(day)
	d.purge(Periods{Results: day})
	require.Less(t, size(), int64(4<<20))
	var check string
	require.NoError(t, d.reads.Raw("PRAGMA integrity_check").Scan(&check).Error)
	require.Equal(t, "ok", check)
}

// TestPurgesFindTheirRowsByIndexes: none reads a whole table.
func TestPurgesFindTheirRowsByIndexes(t *testing.T) {
	t.Parallel()
	d := depotOver(t, worldOver(t, openSQLiteStore(t)))
	d.kindsOfJobs()
	d.pass(day)
	asked := d.asked()
	d.janitor.Keep = aDay
	for _, tt := range []struct {
		step  func(context.Context) (int, error)
		index string
	}{
		{d.janitor.lasting, "files_lasting (created_at<?)"},
		{d.janitor.names, "files_deleted (blob=? AND deleted_at>? AND deleted_at<?)"},
		{d.janitor.deleted, "files_deleted (blob>?"},
		{d.janitor.uploads, "uploads_ended (ended_at>? AND ended_at<?)"},
		{d.janitor.events, "events_since (project_id=? AND created_at>? AND created_at<?)"},
		{d.janitor.attempts, "deliveries_newest (project_id=? AND (created_at,id)>(?,?) AND created_at<?)"},
		{d.janitor.results, "jobs_ended (results_gone=? AND ended_at>? AND ended_at<?)"},
		{d.janitor.jobs, "jobs_ended (results_gone=? AND ended_at>? AND ended_at<?)"},
		{d.janitor.history, "history USING COVERING INDEX history_age (at<?)"},
		{d.janitor.history, "history USING PRIMARY KEY (project_id=? AND series=? AND about=? AND at=? AND span=? AND source=?)"},
		{d.janitor.remains, "lines_line (project_id=? AND job_id=? AND line<?)"},
	} {
		plans := ""
		for _, plan := range asked(func() { must(tt.step(t.Context()))(t) }) {
			plans += plan + "\n\n"
		}
		require.Contains(t, plans, tt.index)
		require.NotRegexp(t, `SCAN (jobs|lines|events|deliveries|attempts|files|uploads|webhooks|payloads|history)(\n|$)`, plans)
	}
	for _, query := range []string{
		"SELECT id FROM deliveries WHERE " + overAndDone + " AND project_id = ? AND id IN (?, ?)",
		"DELETE FROM attempts WHERE project_id = ? AND delivery_id IN (?, ?)",
		"SELECT event_id FROM deliveries WHERE state IN ('waiting', 'sending') AND project_id = ? AND event_id IN (?, ?)",
		"DELETE FROM events WHERE project_id = ? AND id IN (?, ?)",
	} {
		d.do(func(tx *gorm.DB) error {
			var steps []struct{ Detail string }
			require.NoError(t, tx.Raw("EXPLAIN QUERY PLAN "+query, "default", "a", "b").Scan(&steps).Error)
			require.Contains(t, steps[0].Detail, "SEARCH", query)
			return nil
		})
	}
}
