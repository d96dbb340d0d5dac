package store

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/callbacks/signature"
	"github.com/ringback/ringback/jobs"
)

func TestEndpointIsKeptWhole(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		full := callbacks.Registered{
			Endpoint: callbacks.Endpoint{
				ProjectID: "default", ID: "11111111-1111-4111-8111-111111111111", Name: "n", Description: "d", URL: "https://e.example.com/?k=***",
				HeaderNames: jobs.Texts{"X-T"}, EventTypes: jobs.Texts{"batch.*", "file.created"}, Models: jobs.Texts{"gpt-*"}, IsActive: true,
				Timeout: 1500, Schedule: callbacks.Schedule{0, time.Minute}, SecretHint: "…abcd", CreatedAt: begun, ChangedAt: begun,
			},
			Target: callbacks.Target{
				URL: "https://e.example.com/?k=v", Headers: map[string]string{"X-T": "t"},
				Secrets: callbacks.Secrets{{Text: signature.NewSecret()}, {Text: signature.NewSecret(), Until: begun.Add(time.Hour)}},
			},
		}
		require.NoError(t, w.CreateEndpoint(t.Context(), full, nil, nil))
		require.Equal(t, full, must(w.Endpoint(t.Context(), full.Ref()))(t))
		w.pass(time.Second)
		changed := must(w.ChangeEndpoint(t.Context(), full.Ref(), func(r *callbacks.Registered) error {
			r.Name, r.IsActive, r.Models, r.Schedule, r.Target.Headers, r.ChangedAt = "m", false, nil, nil, nil, w.now()
			return nil
		}))(t)
		require.Equal(t, changed, must(w.Endpoint(t.Context(), full.Ref()))(t))
		require.Equal(t, begun, changed.CreatedAt)
		require.Equal(t, full.Target.Secrets, changed.Target.Secrets)

		refused := errors.New("no")
		_, err := w.ChangeEndpoint(t.Context(), full.Ref(), func(r *callbacks.Registered) error { r.Name = "never"; return refused })
		require.ErrorIs(t, err, refused)
		require.Equal(t, changed, must(w.Endpoint(t.Context(), full.Ref()))(t))
	})
}

// TestDeletedEndpointIsGone from every read and command, and so is all that it kept secret.
func TestDeletedEndpointIsGone(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e, other := w.endpoint(), w.endpoint()
		name := func() error {
			j := newBatch(begun)
			j.WebhookIDs = jobs.Texts{other.ID, e.ID}
			_, err := w.CreateJob(t.Context(), jobs.NewJob{Job: j})
			return err
		}
		require.NoError(t, name())
		require.NoError(t, w.calls.DeleteEndpoint(t.Context(), e))
		_, err := w.Endpoint(t.Context(), e)
		require.True(t, jobs.IsCode(err, jobs.CodeNotFound))
		require.True(t, jobs.IsCode(w.calls.DeleteEndpoint(t.Context(), e), jobs.CodeNotFound))
		page, more, err := w.Endpoints(t.Context(), "default", "", 10)
		require.NoError(t, err)
		require.False(t, more)
		require.Len(t, page, 1)
		require.Equal(t, other.ID, page[0].ID)
		require.ErrorContains(t, name(), e.ID, "a submission cannot name it")
		require.Equal(t, 1, w.count("jobs"))
		var row endpoint
		require.NoError(t, w.reads.Where("id = ?", e.ID).Take(&row).Error)
		r, err := w.openEndpoint(&row)
		require.NoError(t, err)
		require.Equal(t, callbacks.Target{}, r.Target)
		w.fire("file.created")
		require.Zero(t, w.count("deliveries WHERE endpoint_id = ?", e.ID))
	})
}

// TestEndpointsPageWithoutGaps, also when the cursor's row is deleted meanwhile.
func TestEndpointsPageWithoutGaps(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		for range 7 {
			w.endpoint() // all in one millisecond
		}
		seen := map[string]bool{}
		for after, more := "", true; more; {
			var page []callbacks.Endpoint
			var err error
			page, more, err = w.Endpoints(t.Context(), "default", after, 3)
			require.NoError(t, err)
			for _, e := range page {
				require.False(t, seen[e.ID])
				seen[e.ID] = true
				after = e.ID
			}
			require.NoError(t, w.calls.DeleteEndpoint(t.Context(), host(after)))
		}
		require.Len(t, seen, 7)
		_, _, err := w.Endpoints(t.Context(), "default", "none", 3)
		require.True(t, jobs.IsCode(err, jobs.CodeValue))
	})
}

// TestDeliveriesPageWithoutGaps, newest first, with their attempts but not what these sent and were answered.
func TestDeliveriesPageWithoutGaps(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint()
		for range 7 {
			w.fire("file.created")
		}
		for _, c := range w.claim(e) {
			w.record(w.answered(c, 500))
		}
		w.pass(time.Second)
		newest := w.fire("file.deleted")
		seen := map[string]bool{}
		q := callbacks.DeliveryQuery{DeliveryFilter: callbacks.DeliveryFilter{ProjectID: "default"}, Limit: 3}
		for more := true; more; {
			var page []callbacks.Delivery
			var attempts []callbacks.Attempt
			var err error
			page, attempts, more, err = w.Deliveries(t.Context(), q)
			require.NoError(t, err)
			if len(seen) == 0 {
				require.Equal(t, newest, page[0].EventID)
				require.Len(t, attempts, 2)
			}
			for _, a := range attempts {
				require.Empty(t, a.Snippet)
				require.Empty(t, a.Request)
				require.Equal(t, 500, a.StatusCode)
			}
			for _, d := range page {
				require.False(t, seen[d.ID])
				seen[d.ID] = true
				q.After = d.ID
			}
		}
		require.Len(t, seen, 8)
		q.After = "dlv_none"
		_, _, _, err := w.Deliveries(t.Context(), q)
		require.True(t, jobs.IsCode(err, jobs.CodeValue))
	})
}

// TestListsHoldAllAttempts of the deliveries that they show, however many.
func TestListsHoldAllAttempts(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint()
		w.backlog(e, callbacks.Failed, 100)
		job := newBatch(begun)
		must(w.CreateJob(t.Context(), jobs.NewJob{Job: job}))(t)
		w.exec("UPDATE deliveries SET job_id = ?", job.ID)
		w.exec(`INSERT INTO attempts (project_id, id, delivery_id, number, started_at, duration_ms, status_code, error_class, truncated, rule, manual)
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12) SELECT 'default', d.id || i, d.id, i, 1, 1, 500, '', FALSE, '', FALSE FROM n, deliveries d`)
		page, attempts, _, err := w.Deliveries(t.Context(), callbacks.DeliveryQuery{DeliveryFilter: callbacks.DeliveryFilter{ProjectID: "default"}, Limit: 100})
		require.NoError(t, err)
		require.Len(t, page, 100)
		require.Len(t, attempts, 1200)
		_, attempts, err = w.JobDeliveries(t.Context(), job.Ref())
		require.NoError(t, err)
		require.Len(t, attempts, 1200)
	})
}

// TestS13OthersRefsAreUnknown to every read and every command.
func TestS13OthersRefsAreUnknown(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		require.NoError(t, w.ensureProject(t.Context(), "b", ""))
		e := w.endpoint()
		event := w.fire("file.created")
		job := w.oneOff("a.example.com")
		theirs := w.endpoint(func(r *callbacks.Registered) { r.ProjectID = "b" })
		delivery := w.all(callbacks.DeliveryFilter{})[0].Ref()
		file := jobs.File{ProjectID: "default", ID: "file-1", Blob: "x", CreatedAt: begun}
		require.NoError(t, w.CreateFile(t.Context(), file, nil))
		before := w.all(callbacks.DeliveryFilter{})
		as := func(ref jobs.Ref) jobs.Ref { ref.ProjectID = "b"; return ref }
		for name, do := range map[string]func() error{
			"read an endpoint":   func() error { _, err := w.calls.Endpoint(t.Context(), as(e)); return err },
			"update an endpoint": func() error { _, err := w.calls.UpdateEndpoint(t.Context(), as(e), []byte(`{"name":"x"}`)); return err },
			"rotate an endpoint": func() error { _, err := w.calls.RotateEndpointSecret(t.Context(), as(e), true); return err },
			"delete an endpoint": func() error { return w.calls.DeleteEndpoint(t.Context(), as(e)) },
			"replay to it":       func() error { _, err := w.calls.Replay(t.Context(), as(e), event); return err },
			"replay since to it": func() error { _, err := w.calls.ReplaySince(t.Context(), as(e), callbacks.ReplayQuery{}); return err },
			"read a delivery":    func() error { _, err := w.calls.Delivery(t.Context(), as(delivery)); return err },
			"retry a delivery":   func() error { _, err := w.calls.RetryDelivery(t.Context(), as(delivery)); return err },
			"cancel a delivery":  func() error { _, err := w.calls.CancelDelivery(t.Context(), as(delivery)); return err },
			"a job's deliveries": func() error { _, err := w.calls.JobDeliveries(t.Context(), as(job)); return err },
			"read an event":      func() error { _, err := w.Event(t.Context(), as(host(event))); return err },
			"delete a file":      func() error { _, err := w.DeleteFile(t.Context(), as(host("file-1")), w.now()); return err },
			"the secret":         func() error { _, err := w.calls.Secret(t.Context(), "c"); return err },
			"the public keys":    func() error { _, err := w.calls.PublicKeys(t.Context(), "c"); return err },
			"rotate the secret":  func() error { _, err := w.calls.RotateSecret(t.Context(), "c", true); return err },
		} {
			require.True(t, jobs.IsCode(do(), jobs.CodeNotFound), name)
		}
		for name, do := range map[string]func() error{
			"replay our event to theirs": func() error { _, err := w.calls.Replay(t.Context(), theirs, event); return err },
			"page after our delivery": func() error {
				_, _, _, err := w.Deliveries(t.Context(), callbacks.DeliveryQuery{DeliveryFilter: callbacks.DeliveryFilter{ProjectID: "b"}, After: delivery.ID, Limit: 1})
				return err
			},
			"page after our endpoint": func() error { _, _, err := w.Endpoints(t.Context(), "b", e.ID, 1); return err },
			"page after our event":    func() error { _, _, err := w.Events(t.Context(), "b", event, 1); return err },
			"name our endpoint": func() error {
				j := newBatch(begun)
				j.ProjectID, j.WebhookIDs = "b", jobs.Texts{e.ID}
				_, err := w.CreateJob(t.Context(), jobs.NewJob{Job: j})
				return err
			},
		} {
			require.True(t, jobs.IsCode(do(), jobs.CodeValue), name)
		}
		require.Zero(t, must(w.calls.RetryDeliveries(t.Context(), callbacks.DeliveryFilter{ProjectID: "b"}))(t))
		require.Zero(t, must(w.calls.ReplaySince(t.Context(), theirs, callbacks.ReplayQuery{}))(t))
		require.Empty(t, w.claim(as(e), as(host("a.example.com"))))
		require.Zero(t, must(w.LastEvent(t.Context(), "b"))(t))
		page, _, err := w.Endpoints(t.Context(), "b", "", 10)
		require.NoError(t, err)
		require.Len(t, page, 1)
		require.Equal(t, before, w.all(callbacks.DeliveryFilter{}), "nothing of it has changed")
		require.Empty(t, w.all(callbacks.DeliveryFilter{ProjectID: "b"}), "nor has it given another anything")
	})
}

// TestIdempotentEndpoint: the answer holds the secret, so it is kept sealed, and it is answered again.
func TestIdempotentEndpoint(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		create := func(hash string) ([]byte, error) {
			idem := &jobs.Idempotency{Key: "k", Hash: []byte(hash)}
			return w.calls.CreateEndpoint(t.Context(), "default", []byte(`{"url":"https://e.example.com/","event_types":["*"]}`), idem)
		}
		first, err := create("a")
		require.NoError(t, err)
		_, err = create("a")
		var replay *jobs.Replay
		require.ErrorAs(t, err, &replay)
		require.Equal(t, first, replay.Answer)
		_, err = create("b")
		require.True(t, jobs.IsCode(err, jobs.CodeKeyReused))
		require.Equal(t, 1, w.count("endpoints"))
		w.pass(25 * time.Hour)
		_, err = create("b")
		require.NoError(t, err, "it is kept for 24 hours")
	})
}
