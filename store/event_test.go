package store

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// told are a subject's events as their bodies say them, in commit order: "type#sequence".
func (w *world) told(subject string) (told []string) {
	w.t.Helper()
	events, _, err := w.Events(w.t.Context(), "default", "", 1000)
	require.NoError(w.t, err)
	for _, e := range events {
		var body struct {
			ID       string
			Type     string
			Sequence int64
			Data     struct{ ID string }
		}
		require.NoError(w.t, json.Unmarshal(e.Body, &body))
		require.Equal(w.t, e.ID, body.ID)
		require.Equal(w.t, e.Sequence, body.Sequence)
		if body.Data.ID == subject {
			told = append(told, fmt.Sprintf("%s#%d", e.Type, e.Sequence))
		}
	}
	return told
}

// owed are the event types owed to an endpoint, in order.
func (w *world) owed(to jobs.Ref) (types []string) {
	w.t.Helper()
	for _, d := range w.all(callbacks.DeliveryFilter{EndpointID: to.ID}) {
		types = append(types, string(d.EventType))
	}
	return types
}

// TestFilesTellOfThemselves: made, deleted by hand, and expired; each event commits with what it tells.
func TestFilesTellOfThemselves(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint(wants("file.*"))
		folder, err := OpenFolder(filepath.Join(t.TempDir(), "files"))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, folder.Close()) })
		file := func(id string, expires jobs.Time) error {
			f := jobs.File{ProjectID: "default", ID: id, Purpose: "batch", Blob: id, CreatedAt: w.now(), ExpiresAt: expires}
			return w.CreateFile(t.Context(), f, &jobs.Idempotency{Key: id, Hash: []byte{1}})
		}
		require.NoError(t, file("file-a", 0))
		require.NoError(t, file("file-b", w.now().Add(time.Hour)))
		require.Error(t, file("file-a", 0), "the same request again")
		require.Equal(t, []string{"file.created#1"}, w.told("file-a"))
		must(w.DeleteFile(t.Context(), host("file-a"), w.now()))(t)
		_, err = w.DeleteFile(t.Context(), host("file-a"), w.now())
		require.True(t, jobs.IsCode(err, jobs.CodeNotFound))
		require.Equal(t, []string{"file.created#1", "file.deleted#2"}, w.told("file-a"))

		janitor := &Janitor{Store: w.Store, Files: folder, Log: slog.New(slog.DiscardHandler)}
		must(janitor.runOnce(t.Context()))(t)
		require.Equal(t, []string{"file.created#1"}, w.told("file-b"))
		w.pass(time.Hour)
		must(janitor.runOnce(t.Context()))(t)
		must(janitor.runOnce(t.Context()))(t)
		require.Equal(t, []string{"file.created#1", "file.deleted#2"}, w.told("file-b"))
		require.ElementsMatch(t, []string{"file.created", "file.created", "file.deleted", "file.deleted"}, w.owed(e))
		require.NotZero(t, w.wakes(e))
		require.Equal(t, 2, w.count("files WHERE sequence = 2 AND deleted_at > 0"))
	})
}

// TestBatchTellsOfItself from its creation to its end, files and all, with one sequence.
func TestBatchTellsOfItself(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		all, ends := w.endpoint(wants("batch.*", "file.created")), w.endpoint(wants("batch.completed"))
		hook := &jobs.Webhook{URL: "https://a.example.com/", Events: []string{"batch.created", "batch.progress"}}
		j := newBatch(w.now())
		j.Webhook = callbacks.Shown(hook)
		woken := must(w.CreateJob(t.Context(), jobs.NewJob{Job: j, Webhook: hook, Events: []jobs.EventType{jobs.BatchCreated}}))(t)
		require.ElementsMatch(t, []jobs.Ref{host("a.example.com"), all}, woken.Deliveries)
		require.EqualValues(t, 1, must(w.Job(t.Context(), j.Ref()))(t).Sequence)
		w.pass(time.Second)
		_, _, err := w.Move(t.Context(), j.Ref(), func(j *jobs.Job) (jobs.Effects, error) {
			j.Status, j.Total = jobs.InProgress, 10
			return jobs.Effects{Events: []jobs.EventType{jobs.BatchInProgress}}, nil
		})
		require.NoError(t, err)
		for n := int64(1); n <= 10; n++ {
			_, err := w.RecordLines(t.Context(), []jobs.Line{line(j.Ref(), n, true, "{}")})
			require.NoError(t, err)
			w.pass(2 * time.Second)
		}
		file := jobs.File{ProjectID: "default", ID: "file-out", Blob: "out", CreatedAt: w.now()}
		_, _, err = w.Move(t.Context(), j.Ref(), func(j *jobs.Job) (jobs.Effects, error) {
			j.Status, j.EndedAt = jobs.Completed, w.now()
			j.Rest()
			return jobs.Effects{Events: []jobs.EventType{jobs.BatchCompleted}, Files: []jobs.File{file}}, nil
		})
		require.NoError(t, err)
		require.Equal(t, []string{
			"batch.created#1", "batch.in_progress#2", "batch.progress#3", "batch.progress#4", "batch.progress#5", "batch.completed#6",
		}, w.told(j.ID), "progress no more often than every five seconds")
		require.Equal(t, []string{"file.created#1"}, w.told("file-out"))
		require.EqualValues(t, 1, must(w.File(t.Context(), host("file-out")))(t).Sequence, "kept with the file")
		require.Len(t, w.owed(all), 7)
		require.Equal(t, []string{"batch.completed"}, w.owed(ends))
		require.Equal(t, 4, w.count("deliveries WHERE gate = 'a.example.com' AND webhook_id <> ''"))
	})
}

// TestGenerationTellsOfItself: its claim begins it, once, and its end follows.
func TestGenerationTellsOfItself(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		gpt, other := w.endpoint(wants("generation.*"), func(r *callbacks.Registered) { r.Models = jobs.Texts{"gpt-*"} }),
			w.endpoint(wants("generation.*"), func(r *callbacks.Registered) { r.Models = jobs.Texts{"claude-*"} })
		j := jobs.Job{ProjectID: "default", ID: jobs.NewID("gen_"), Kind: jobs.KindGeneration, Status: jobs.Queued, Model: "gpt-4o", Total: 1, CreatedAt: w.now()}
		j.Due(w.now())
		must(w.CreateJob(t.Context(), jobs.NewJob{Job: j, Body: []byte("{}")}))(t)
		require.Empty(t, w.told(j.ID))
		w.pass(time.Second)
		claimed := must(w.ClaimJobs(t.Context(), "a", []jobs.Ref{j.Ref()}, w.now()))(t)
		require.Len(t, claimed, 1)
		require.EqualValues(t, 1, claimed[0].Sequence)
		require.Equal(t, []string{"generation.in_progress#1"}, w.told(j.ID))
		require.NotZero(t, w.wakes(gpt))
		require.NoError(t, w.FreeOthers(t.Context(), "b"))
		require.Len(t, must(w.ClaimJobs(t.Context(), "b", []jobs.Ref{j.Ref()}, w.now()))(t), 1)
		_, _, err := w.Move(t.Context(), j.Ref(), func(j *jobs.Job) (jobs.Effects, error) {
			j.Status, j.EndedAt = jobs.Completed, w.now()
			j.Rest()
			return jobs.Effects{Events: []jobs.EventType{jobs.GenerationCompleted}, Result: []byte(`{"choices":[{"message":{"content":"hi"}}]}`)}, nil
		})
		require.NoError(t, err)
		require.Equal(t, []string{"generation.in_progress#1", "generation.completed#2"}, w.told(j.ID))
		require.Equal(t, []string{"generation.in_progress", "generation.completed"}, w.owed(gpt))
		require.Empty(t, w.owed(other), "not of these models")
		require.Contains(t, string(w.eventsOf("generation.completed")[0].Body), `"model_output":"hi"`)
	})
}

// TestNamedEndpoints get the terminal events of the job that names them, once, whatever they subscribe to. One that is
// not active gets a delivery that says so.
func TestNamedEndpoints(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		named, both, off := w.endpoint(wants("file.created")), w.endpoint(wants("batch.*")), w.endpoint(wants("batch.*"))
		must(w.ChangeEndpoint(t.Context(), off, func(r *callbacks.Registered) error { r.IsActive = false; return nil }))(t)
		job := w.oneOff("a.example.com", func(n *jobs.NewJob) {
			n.Job.WebhookIDs = jobs.Texts{named.ID, both.ID, off.ID}
			n.Events = []jobs.EventType{jobs.BatchCreated, jobs.BatchFailed}
		})
		for _, e := range []jobs.Ref{named, off} {
			require.Equal(t, []string{"batch.failed"}, w.owed(e))
		}
		require.ElementsMatch(t, []string{"batch.created", "batch.failed"}, w.owed(both), "what it subscribes to, too")
		require.Equal(t, jobs.Texts{named.ID, both.ID, off.ID}, must(w.Job(t.Context(), job))(t).WebhookIDs)
		require.Len(t, w.claim(named, both, off, host("a.example.com")), 4)
		require.Equal(t, 1, w.count("deliveries WHERE endpoint_id = ? AND state = 'cancelled' AND reason = ?", off.ID, callbacks.ReasonDisabled))
		deliveries, _, err := w.JobDeliveries(t.Context(), job)
		require.NoError(t, err)
		require.Len(t, deliveries, 5)

		w.oneOff("a.example.com")
		require.ElementsMatch(t, []string{"batch.created", "batch.failed", "batch.failed"}, w.owed(both), "by its subscription")
		require.Equal(t, []string{"batch.failed"}, w.owed(named))
		require.NoError(t, w.calls.DeleteEndpoint(t.Context(), named))
		_, _, err = w.Move(t.Context(), job, func(*jobs.Job) (jobs.Effects, error) {
			return jobs.Effects{Events: []jobs.EventType{jobs.BatchCancelled}}, nil
		})
		require.NoError(t, err)
		require.Empty(t, w.claim(named))
		require.Equal(t, 1, w.count("deliveries WHERE endpoint_id = ? AND state = 'cancelled' AND reason = ?", named.ID, callbacks.ReasonDeleted), "deleted since")
	})
}

// TestEndpointsOfItsProjectAlone get an event.
func TestEndpointsOfItsProjectAlone(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		mine, theirs := w.endpoint(), w.endpoint(func(r *callbacks.Registered) { r.ProjectID = "other" })
		w.fire("file.created")
		w.fire("file.deleted", func(f *jobs.Fact) { f.ProjectID = "other" })
		require.Equal(t, []string{"file.created"}, w.owed(mine))
		require.Empty(t, w.all(callbacks.DeliveryFilter{EndpointID: theirs.ID}))
		require.Len(t, w.all(callbacks.DeliveryFilter{ProjectID: "other", EndpointID: theirs.ID}), 1)
	})
}

func TestEventsAreReadInCommitOrder(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		require.Zero(t, must(w.LastEvent(t.Context(), "default"))(t))
		var ids []string
		for range 5 {
			ids = append(ids, w.fire("file.created"))
			w.fire("file.created", func(f *jobs.Fact) { f.ProjectID = "other" })
		}
		var seen []string
		for after, more := "", true; more; {
			var page []jobs.Event
			var err error
			page, more, err = w.Events(t.Context(), "default", after, 2)
			require.NoError(t, err)
			for _, e := range page {
				seen, after = append(seen, e.ID), e.ID
			}
		}
		require.Equal(t, ids, seen)
		last := must(w.LastEvent(t.Context(), "default"))(t)
		e := must(w.Event(t.Context(), host(ids[4])))(t)
		require.Equal(t, last, e.Position)
		require.True(t, strings.HasPrefix(string(e.Body), `{"id":"`+ids[4]))
		page, _, err := w.Events(t.Context(), "default", fmt.Sprint(last-2), 9)
		require.NoError(t, err)
		require.Len(t, page, 1, "after a position too")
		_, err = w.Event(t.Context(), host("evt_none"))
		require.True(t, jobs.IsCode(err, jobs.CodeNotFound))
		_, _, err = w.Events(t.Context(), "default", "evt_none", 9)
		require.True(t, jobs.IsCode(err, jobs.CodeValue))
	})
}
