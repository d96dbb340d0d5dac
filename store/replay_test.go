package store

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// TestR16RetryByHand sends again at once, whatever became of the delivery: it is marked, its schedule begins anew where
// it had ended, and a retry that was scheduled gives it its place.
func TestR16RetryByHand(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		state callbacks.State
		tries int // of those of the schedule, that count on
	}{{callbacks.Waiting, 1}, {callbacks.Failed, 0}, {callbacks.Delivered, 0}, {callbacks.Cancelled, 0}} {
		t.Run(string(tt.state), func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, w *world) {
				e := w.endpoint(wants("file.created"))
				w.fire("file.created")
				c := w.claimOne(e)
				w.record(w.answered(c, 500))
				w.exec("UPDATE deliveries SET state = ?, claims = 2, reason = 'r'", tt.state)
				w.exec("UPDATE deliveries SET ended_at = 5, due_at = 0 WHERE state <> 'waiting'")
				w.exec("DELETE FROM wakes")
				w.woken.refs = nil
				shown := must(w.calls.RetryDelivery(t.Context(), c.Ref()))(t)
				require.Equal(t, callbacks.Waiting, shown.Status)
				require.Len(t, shown.Attempts, 1)
				require.Equal(t, []string{e.String()}, w.woken.refs)
				require.Equal(t, w.now(), w.wakes(e))
				d, _ := w.delivery(c.Ref())
				require.Equal(t, w.now(), d.DueAt)
				require.Zero(t, d.EndedAt)
				require.Empty(t, d.Reason)
				require.Equal(t, tt.tries, d.Tries)
				require.Equal(t, 2*tt.tries, d.Claims, "so that one that takes its worker down still ends")

				again := w.claimOne(e)
				require.True(t, again.Manual)
				require.Equal(t, 1, again.Recorded)
				w.record(w.answered(again, 500))
				d, attempts := w.delivery(c.Ref())
				require.False(t, d.Manual, "the next one is the schedule's")
				require.Equal(t, []bool{false, true}, []bool{attempts[0].Manual, attempts[1].Manual})
				require.Equal(t, 2, attempts[1].Number)
				require.Equal(t, tt.tries+1, d.Tries)
			})
		})
	}
}

func TestRetryByHandIsRefused(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint(wants("file.created"))
		w.fire("file.created")
		c := w.claimOne(e)
		retry := func() error {
			before, _ := w.delivery(c.Ref())
			_, err := w.calls.RetryDelivery(t.Context(), c.Ref())
			after, _ := w.delivery(c.Ref())
			require.Equal(t, before, after, "a refusal changes nothing")
			return err
		}
		require.True(t, jobs.IsCode(retry(), jobs.CodeConflict), "an attempt is under way")
		w.end(c, callbacks.Failed)
		w.exec("UPDATE endpoints SET is_active = FALSE")
		require.ErrorContains(t, retry(), "is not active")
		w.exec("UPDATE endpoints SET deleted_at = 1")
		require.ErrorContains(t, retry(), "is deleted")
		w.exec("UPDATE endpoints SET is_active = TRUE, deleted_at = 0")
		w.exec("DELETE FROM events")
		require.True(t, jobs.IsCode(retry(), callbacks.CodeExpired), "R16: there is nothing to send any more")
		_, err := w.calls.RetryDelivery(t.Context(), host("dlv_none"))
		require.True(t, jobs.IsCode(err, jobs.CodeNotFound))
	})
}

func TestCancelByHand(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint(wants("file.created"))
		w.fire("file.created")
		ref := w.all(callbacks.DeliveryFilter{})[0]
		for range 2 { // twice is once
			shown := must(w.calls.CancelDelivery(t.Context(), ref.Ref()))(t)
			require.Equal(t, callbacks.Cancelled, shown.Status)
		}
		d, _ := w.delivery(ref.Ref())
		require.Equal(t, callbacks.ReasonByHand, d.Reason)
		require.Equal(t, w.now(), d.EndedAt)
		require.Empty(t, w.claim(e))
		w.pass(200 * time.Hour)
		require.Empty(t, w.claim(e))
		w.fire("file.created")
		c := w.claimOne(e)
		_, err := w.calls.CancelDelivery(t.Context(), c.Ref())
		require.True(t, jobs.IsCode(err, jobs.CodeConflict), "it is on its way")
		w.end(c, callbacks.Delivered)
		_, err = w.calls.CancelDelivery(t.Context(), c.Ref())
		require.True(t, jobs.IsCode(err, jobs.CodeConflict))
	})
}

// TestChangeLosesToAClaim: whoever writes what was in nobody's hands finds it in nobody's hands, or changes nothing.
func TestChangeLosesToAClaim(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint(wants("file.created"))
		w.fire("file.created")
		c := w.claimOne(e)
		_, _, err := w.ChangeDelivery(t.Context(), c.Ref(), func(d *callbacks.Delivery, _ *callbacks.Endpoint, _ bool) error {
			d.Retry(w.now())
			return nil
		})
		require.ErrorIs(t, err, jobs.ErrStale)
		require.Zero(t, w.record(w.answered(c, 200)), "its claim holds")
	})
}

// TestR16BulkRetry sends again what matches, in slices, and leaves alone what cannot be sent.
func TestR16BulkRetry(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e, off, other := w.endpoint(), w.endpoint(), w.endpoint()
		w.backlog(e, callbacks.Failed, 3000)
		w.exec("UPDATE deliveries SET state = 'sending', owner = 'own', attempt = 4, due_at = 1 WHERE id = 'dlv_00000007'")
		w.exec("UPDATE deliveries SET endpoint_id = ?, gate = ? WHERE id = 'dlv_00000008'", off.ID, off.ID)
		w.exec("UPDATE deliveries SET event_id = 'evt_gone' WHERE id = 'dlv_00000009'")
		w.exec("UPDATE deliveries SET endpoint_id = ?, gate = ? WHERE id = 'dlv_00002999'", other.ID, other.ID)
		w.exec("UPDATE deliveries SET state = 'delivered' WHERE id = 'dlv_00000010'")
		w.exec("UPDATE endpoints SET is_active = FALSE WHERE id = ?", off.ID)
		w.exec("DELETE FROM wakes")
		require.NoError(t, w.ensureProject(t.Context(), "other", ""))
		w.exec(`INSERT INTO deliveries (project_id, id, event_id, event_type, job_id, webhook_id, url, state, reason, created_at, ended_at, attempt, claims, tries,
			owner, due_at, wake_at, gate)
		SELECT 'other', 'x' || id, event_id, event_type, job_id, webhook_id, url, state, reason, created_at, ended_at, attempt, claims, tries,
			owner, due_at, wake_at, gate FROM deliveries WHERE id = 'dlv_00000001'`)
		w.pass(time.Hour)
		n := must(w.calls.RetryDeliveries(t.Context(), callbacks.DeliveryFilter{ProjectID: "default", NeverArrived: true}))(t)
		require.Equal(t, 2996, n)
		require.Equal(t, 2996, w.count("deliveries WHERE state = 'waiting' AND manual AND tries = 0 AND claims = 0 AND due_at = ? AND ended_at = 0", w.now()))
		require.Equal(t, 1, w.count("deliveries WHERE state = 'sending' AND attempt = 4 AND owner = 'own' AND NOT manual"))
		require.Equal(t, 3, w.count("deliveries WHERE state = 'failed' AND NOT manual"))
		require.Equal(t, w.now(), w.wakes(e))
		require.Equal(t, w.now(), w.wakes(other), "each gate is looked at")
		require.Zero(t, w.count("wakes WHERE gate = ?", off.ID))
		require.Zero(t, must(w.calls.RetryDeliveries(t.Context(), callbacks.DeliveryFilter{ProjectID: "default", NeverArrived: true}))(t))
	})
}

// TestBulkRetryGoesInSlices: each call a thousand, in the order of their IDs, and one call more says that it was all.
func TestBulkRetryGoesInSlices(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		w.backlog(w.endpoint(), callbacks.Cancelled, 2000)
		w.pass(time.Minute)
		f := callbacks.DeliveryFilter{ProjectID: "default"} // what is retried goes on matching
		for _, step := range []struct {
			after string
			n     int
			last  string
		}{{"", 1000, "dlv_00001000"}, {"dlv_00001000", 1000, "dlv_00002000"}, {"dlv_00002000", 0, ""}} {
			n, last, err := w.RetryDeliveries(t.Context(), f, step.after, w.now())
			require.NoError(t, err)
			require.Equal(t, step.n, n)
			require.Equal(t, step.last, last)
		}
		w.exec("UPDATE deliveries SET tries = 2, claims = 3")
		w.exec("UPDATE deliveries SET state = 'sending' WHERE id = 'dlv_00001500'")
		require.Equal(t, 1999, must(w.calls.RetryDeliveries(t.Context(), f))(t), "it ends although all match again")
		require.Equal(t, 1999, w.count("deliveries WHERE state = 'waiting' AND tries = 2 AND claims = 3"), "what waits goes on where it was")
	})
}

func TestBulkRetryByFilter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		f    callbacks.DeliveryFilter
		want int
	}{
		{"state", callbacks.DeliveryFilter{State: callbacks.Failed}, 2},
		{"event type", callbacks.DeliveryFilter{EventType: "file.created", NeverArrived: true}, 2},
		{"since", callbacks.DeliveryFilter{Since: begun + 1, NeverArrived: true}, 2},
		{"until, which is not included", callbacks.DeliveryFilter{Until: begun.Add(time.Hour), NeverArrived: true}, 2},
		{"never arrived", callbacks.DeliveryFilter{NeverArrived: true}, 4},
		{"never arrived, of a state", callbacks.DeliveryFilter{NeverArrived: true, State: callbacks.Cancelled}, 2},
		{"a job that has none", callbacks.DeliveryFilter{JobID: "batch_none"}, 0},
		{"another project", callbacks.DeliveryFilter{ProjectID: "other"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, w *world) {
				w.endpoint()
				for range 2 { // at the beginning and an hour later: one failed, one cancelled, one delivered
					a, b, c := w.fire("file.created"), w.fire("file.deleted"), w.fire("file.created")
					w.exec("UPDATE deliveries SET state = 'failed', due_at = 0 WHERE event_id = ?", a)
					w.exec("UPDATE deliveries SET state = 'cancelled', due_at = 0 WHERE event_id = ?", b)
					w.exec("UPDATE deliveries SET state = 'delivered', due_at = 0 WHERE event_id = ?", c)
					w.pass(time.Hour)
				}
				f := tt.f
				if f.ProjectID == "" {
					f.ProjectID = "default"
				}
				require.Len(t, w.all(f), tt.want)
				require.Equal(t, tt.want, must(w.calls.RetryDeliveries(t.Context(), f))(t))
				require.Equal(t, tt.want, w.count("deliveries WHERE state = 'waiting'"))
			})
		})
	}
}

// TestR16ReplayOfAnEvent makes a delivery where there was none, and sends the one there is again.
func TestR16ReplayOfAnEvent(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		event := w.fire("file.created")
		e := w.endpoint(wants("batch.*"), func(r *callbacks.Registered) { r.Schedule = callbacks.Schedule{time.Hour} })
		shown := must(w.calls.Replay(t.Context(), e, event))(t)
		require.Equal(t, callbacks.Waiting, shown.Status, "it never had it, nor subscribes to it")
		require.Equal(t, e.ID, *shown.EndpointID)
		require.Equal(t, []string{e.String()}, w.woken.refs)
		c := w.claimOne(e)
		require.Equal(t, shown.ID, c.ID, "due at once")
		require.True(t, c.Manual)
		_, err := w.calls.Replay(t.Context(), e, event)
		require.True(t, jobs.IsCode(err, jobs.CodeConflict), "an attempt is under way")
		w.end(c, callbacks.Delivered)
		again := must(w.calls.Replay(t.Context(), e, event))(t)
		require.Equal(t, shown.ID, again.ID, "of a success too")
		require.True(t, w.claimOne(e).Manual)
		require.Equal(t, 1, w.count("deliveries"))

		_, err = w.calls.Replay(t.Context(), e, "evt_none")
		require.True(t, jobs.IsCode(err, jobs.CodeValue))
		_, err = w.calls.Replay(t.Context(), host("none"), event)
		require.True(t, jobs.IsCode(err, jobs.CodeNotFound))
		w.exec("UPDATE endpoints SET is_active = FALSE")
		_, err = w.calls.Replay(t.Context(), e, event)
		require.True(t, jobs.IsCode(err, jobs.CodeConflict), "nothing is sent to it")
		_, err = w.calls.ReplaySince(t.Context(), e, callbacks.ReplayQuery{})
		require.True(t, jobs.IsCode(err, jobs.CodeConflict))
	})
}

// TestReplaySince sends an endpoint the events that it subscribes to, of a span of time: all of them, or what is missing.
func TestReplaySince(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		q    callbacks.ReplayQuery
		want []string
	}{
		{"all", callbacks.ReplayQuery{}, []string{"delivered", "failed", "cancelled", "waiting", "never", "ops", "late"}},
		{"missing", callbacks.ReplayQuery{Missing: true}, []string{"failed", "cancelled", "never", "ops", "late"}},
		{"since", callbacks.ReplayQuery{Since: begun.Add(time.Hour)}, []string{"late"}},
		{"until, which is not included", callbacks.ReplayQuery{Until: begun.Add(time.Hour), Missing: true}, []string{"failed", "cancelled", "never", "ops"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, w *world) {
				model := func(m string) func(*jobs.Fact) { return func(f *jobs.Fact) { f.Model = m } }
				events := map[string]string{
					"never": w.fire("batch.failed", model("gpt-4o")), "ops": w.fire("endpoint.disabled", model("gpt-4o")),
					"no type": w.fire("file.created", model("gpt-4o")), "no model": w.fire("batch.failed", model("claude")), "none": w.fire("batch.failed"),
				}
				e := w.endpoint(wants("batch.*", "endpoint.disabled"), func(r *callbacks.Registered) { r.Models = jobs.Texts{"gpt-*"} })
				for _, state := range []string{"delivered", "failed", "cancelled", "waiting", "sending"} {
					events[state] = w.fire("batch.failed", model("gpt-4o"))
					due := begun.Add(9 * time.Hour)
					if state != "waiting" && state != "sending" {
						due = 0
					}
					w.exec("UPDATE deliveries SET state = ?, tries = 3, due_at = ? WHERE event_id = ?", state, due, events[state])
				}
				w.pass(time.Hour)
				events["late"] = w.fire("batch.failed", model("gpt-4o"))
				w.exec("DELETE FROM deliveries WHERE event_id = ?", events["late"])
				w.exec("DELETE FROM wakes")
				w.pass(time.Hour)
				n := must(w.calls.ReplaySince(t.Context(), e, tt.q))(t)
				var got []string
				for name, id := range events {
					if w.count("deliveries WHERE event_id = ? AND state = 'waiting' AND manual AND due_at = ?", id, w.now()) == 1 {
						got = append(got, name)
					}
				}
				require.ElementsMatch(t, tt.want, got)
				require.Equal(t, len(tt.want), n)
				require.Equal(t, 1, w.count("deliveries WHERE state = 'sending' AND NOT manual AND tries = 3"), "that one is on its way")
				require.Equal(t, w.now(), w.wakes(e))
				require.Zero(t, w.count("deliveries WHERE endpoint_id <> ?", e.ID))
			})
		})
	}
}

// TestReplayGoesInSlices of events, and ends where the log ended when it began.
func TestReplayGoesInSlices(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint()
		w.exec(`INSERT INTO events (project_id, id, type, job_id, sequence, created_at, body)
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1300) SELECT CASE WHEN i % 5 = 0 THEN 'other' ELSE 'default' END, 'evt_' || i, 'file.created', '', i, ?, '{}' FROM n`, begun)
		q := callbacks.ReplayQuery{Until: begun + 1}
		n, reached, err := w.Replay(t.Context(), e, q, 0, w.now())
		require.NoError(t, err)
		require.Equal(t, 1000, n)
		require.EqualValues(t, 1249, reached, "the thousandth of the project's own")
		require.Equal(t, 1040, must(w.calls.ReplaySince(t.Context(), e, callbacks.ReplayQuery{}))(t), "those that wait already are due at once")
		require.Equal(t, 1040, w.count("deliveries WHERE endpoint_id = ?", e.ID))
		require.Zero(t, must(w.calls.ReplaySince(t.Context(), e, callbacks.ReplayQuery{Missing: true}))(t), "all of them wait")
	})
}

// TestR16OneWinner: retries, replays, bulk commands and claims of one delivery at once. There is never more than one row
// for an event and its receiver, and never more than one attempt in hand.
func TestR16OneWinner(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		event := w.fire("file.created")
		e := w.endpoint()
		var mu sync.Mutex
		var held []callbacks.Claimed
		var wg sync.WaitGroup
		again := func(do func()) {
			for range 2 {
				wg.Go(func() {
					for range 25 {
						do()
					}
				})
			}
		}
		var problems []error
		note := func(err error) {
			if err != nil && !jobs.IsCode(err, jobs.CodeConflict) && !jobs.IsCode(err, jobs.CodeNotFound) {
				mu.Lock()
				problems = append(problems, err)
				mu.Unlock()
			}
		}
		again(func() {
			_, err := w.calls.Replay(t.Context(), e, event)
			note(err)
		})
		again(func() {
			_, err := w.calls.ReplaySince(t.Context(), e, callbacks.ReplayQuery{})
			note(err)
		})
		again(func() {
			_, err := w.calls.RetryDeliveries(t.Context(), callbacks.DeliveryFilter{ProjectID: "default"})
			note(err)
		})
		again(func() {
			page, _, err := w.calls.Deliveries(t.Context(), callbacks.DeliveryQuery{DeliveryFilter: callbacks.DeliveryFilter{ProjectID: "default"}, Limit: 1})
			note(err)
			if len(page) == 1 {
				_, err = w.calls.RetryDelivery(t.Context(), host(page[0].ID))
				note(err)
			}
		})
		again(func() {
			claimed, err := w.ClaimDeliveries(t.Context(), "own", behind(e), w.now())
			note(err)
			mu.Lock()
			held = append(held, claimed...)
			mu.Unlock()
		})
		wg.Wait()
		require.Empty(t, problems)
		held = append(held, w.claim(e)...)
		require.Len(t, held, 1)
		require.Equal(t, 1, w.count("deliveries"))
		require.Zero(t, w.record(w.answered(held[0], 200)))
		must(w.calls.Replay(t.Context(), e, event))(t)
		require.EqualValues(t, 2, w.claimOne(e).Attempt, "two claims in all")
	})
}
