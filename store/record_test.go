package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// eventsOf are the events of a type, in commit order.
func (w *world) eventsOf(typ jobs.EventType) (events []jobs.Event) {
	w.t.Helper()
	require.NoError(w.t, w.reads.Where("type = ?", typ).Order("position").Find(&events).Error)
	return events
}

func (w *world) endpointRow(ref jobs.Ref) callbacks.Endpoint {
	w.t.Helper()
	var e callbacks.Endpoint
	require.NoError(w.t, w.reads.Where("project_id = ? AND id = ?", ref.ProjectID, ref.ID).Take(&e).Error)
	return e
}

func TestRecordKeepsTheAttemptAndTheNextState(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint()
		w.fire("file.created")
		c := w.claimOne(e)
		o := w.answered(c, 503)
		o.Attempt.DurationMS, o.Attempt.Truncated, o.Attempt.Manual = 12, true, true
		require.Zero(t, w.record(o))
		d, attempts := w.delivery(c.Ref())
		require.Equal(t, []callbacks.Attempt{o.Attempt}, attempts, "as it went, request and answer and all")
		require.Equal(t, callbacks.Waiting, d.State)
		require.Equal(t, "status_503", d.Reason)
		require.Equal(t, []int{1, 1, 0}, []int{d.Tries, d.Recorded, d.Claims})
		require.Equal(t, w.now().Add(5*time.Minute), d.DueAt)
		require.Empty(t, d.Owner)
		require.Zero(t, d.EndedAt)
		w.pass(time.Hour)
		require.Zero(t, w.record(w.answered(w.claimOne(e), 204)))
		d, attempts = w.delivery(c.Ref())
		require.Equal(t, callbacks.Delivered, d.State)
		require.Equal(t, w.now(), d.EndedAt)
		require.Zero(t, d.DueAt)
		require.Equal(t, 2, d.Recorded)
		require.Equal(t, []int{1, 2}, []int{attempts[0].Number, attempts[1].Number})
	})
}

// TestRecordTakesSetsOfAnySize, with a stale one in the middle of each.
func TestRecordTakesSetsOfAnySize(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint()
		w.backlog(e, callbacks.Waiting, 700)
		w.pass(time.Minute)
		for _, n := range []int{1, 3, 4, 5, 37, 256, 300} {
			claimed := must(w.ClaimDeliveries(t.Context(), "own", []callbacks.Want{{Gate: e, Room: n}}, w.now()))(t)
			require.Len(t, claimed, n)
			outcomes := make([]callbacks.Outcome, n)
			for i, c := range claimed {
				outcomes[i] = w.answered(c, 200)
			}
			stale := w.answered(claimed[n/2], 500)
			stale.Claimed.Attempt--
			outcomes = append(outcomes, stale)
			require.Equal(t, 1, w.record(outcomes...))
			require.Equal(t, 0, w.count("deliveries WHERE state = 'sending'"))
		}
		require.Equal(t, 606, w.count("deliveries WHERE state = 'delivered' AND recorded = 1"))
		require.Equal(t, 613, w.count("attempts"), "refused ones too")
		require.Zero(t, w.endpointRow(e).Failures, "a refused one says nothing of health")
	})
}

// TestRecordTellsTheStaleFromTheValid where one set holds outcomes of two claims of one delivery, and where projects
// share an ID.
func TestRecordTellsTheStaleFromTheValid(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint()
		w.fire("file.created")
		frozen := w.claimOne(e)
		require.NoError(t, w.FreeOthers(t.Context(), "alive"))
		alive := w.claimOne(e)
		foreign := w.answered(alive, 500)
		foreign.Claimed.ProjectID, foreign.Attempt.ProjectID = "other", "other"
		require.Equal(t, 2, w.record(foreign, w.answered(frozen, 500), w.answered(alive, 200)))
		d, _ := w.delivery(alive.Ref())
		require.Equal(t, callbacks.Delivered, d.State)
		row := w.endpointRow(e)
		require.Zero(t, row.Failures, "what follows is of the outcome that held")
		require.Equal(t, w.now(), row.LastSuccessAt)
		require.Zero(t, w.wakes(e))
	})
}

// poison has each change of a delivery fail that is being sent, until it is cured.
func (w *world) poison(id string) (cured func()) {
	w.t.Helper()
	if w.Shared() {
		w.exec(fmt.Sprintf("ALTER TABLE deliveries ADD CONSTRAINT poison CHECK (id <> '%s' OR state = 'sending')", id))
		return func() { w.exec("ALTER TABLE deliveries DROP CONSTRAINT poison") }
	}
	w.exec(fmt.Sprintf("CREATE TRIGGER poison BEFORE UPDATE ON deliveries WHEN new.id = '%s' BEGIN SELECT raise(ABORT, 'poison'); END", id))
	return func() { w.exec("DROP TRIGGER poison") }
}

// TestPoisonedOutcomeFailsItsSetAlone: nothing of the set is written, and the others can be recorded without it.
func TestPoisonedOutcomeFailsItsSetAlone(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint()
		w.backlog(e, callbacks.Waiting, 3)
		w.pass(time.Second)
		claimed := w.claim(e)
		outcomes := []callbacks.Outcome{w.answered(claimed[0], 200), w.answered(claimed[1], 500), w.answered(claimed[2], 200)}
		cured := w.poison(claimed[1].ID)
		_, err := w.RecordAttempts(t.Context(), outcomes, w.now())
		require.ErrorContains(t, err, "poison")
		require.Zero(t, w.count("attempts"))
		require.Equal(t, 3, w.count("deliveries WHERE state = 'sending'"))
		require.Zero(t, w.record(outcomes[0], outcomes[2]))
		cured()
		require.Zero(t, w.record(outcomes[1]))
		require.Equal(t, 3, w.count("attempts"))
	})
}

// TestR10RecordCanBeRepeated after a disk that was full, and counts nothing twice.
func TestR10RecordCanBeRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.endpoint()
	w.endpoint(wants("delivery.exhausted"))
	w.fire("file.created")
	o := w.answered(w.claimOne(e), 500)
	o.Attempt.Snippet = make([]byte, 1<<20)
	var pages int64
	require.NoError(t, w.writer.(*writer).db.Raw("PRAGMA page_count").Scan(&pages).Error)
	require.NoError(t, w.writer.(*writer).db.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages+2)).Error)
	_, err := w.RecordAttempts(t.Context(), []callbacks.Outcome{o}, w.now())
	require.True(t, jobs.IsCode(err, jobs.CodeUnavailable), "%v", err)
	require.Zero(t, w.count("attempts"))
	require.NoError(t, w.writer.(*writer).db.Exec("PRAGMA max_page_count = 1000000").Error)
	require.Zero(t, w.record(o))
	require.Equal(t, 1, w.count("attempts"))
	require.Equal(t, 1, w.endpointRow(e).Failures)
	require.Equal(t, 1, w.count("deliveries WHERE tries = 1 AND recorded = 1"))
}

// TestWrittenOutcomeMayComeAgain: who does not know whether a commit stood sends it again; it is refused, not kept for
// ever.
func TestWrittenOutcomeMayComeAgain(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint()
		w.fire("file.created")
		o := w.answered(w.claimOne(e), 500)
		require.Zero(t, w.record(o))
		require.Equal(t, 1, w.record(o))
		require.Equal(t, 1, w.count("attempts"))
		require.Equal(t, 1, w.endpointRow(e).Failures)
	})
}

// TestHealthOfAnEndpoint follows the outcomes of its deliveries.
func TestHealthOfAnEndpoint(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e, watcher := w.endpoint(wants("file.*", "endpoint.*")), w.endpoint(wants("endpoint.*"))
		try := func(status int) {
			w.fire("file.created")
			for _, c := range w.claim(e) {
				if c.EventType == "file.created" {
					w.record(w.answered(c, status))
				}
			}
			w.exec("UPDATE deliveries SET state = 'cancelled' WHERE state = 'waiting' AND event_type = 'file.created'")
		}
		try(200)
		require.Equal(t, w.now(), w.endpointRow(e).LastSuccessAt)
		w.pass(time.Minute)
		since := w.now()
		for range 8 {
			try(500)
			w.pass(time.Minute)
		}
		row := w.endpointRow(e)
		require.Equal(t, 8, row.Failures)
		require.Equal(t, since, row.FailingSince)
		require.Equal(t, since.Add(7*time.Minute), row.LastFailureAt)
		try(200)
		row = w.endpointRow(e)
		require.Zero(t, row.Failures)
		require.Zero(t, row.FailingSince)
		recovered := w.eventsOf("endpoint.recovered")
		require.Len(t, recovered, 1)
		require.EqualValues(t, 1, recovered[0].Sequence)
		require.EqualValues(t, 1, row.Sequence)
		require.Len(t, w.all(callbacks.DeliveryFilter{EventID: recovered[0].ID, EndpointID: watcher.ID}), 1)
		require.Empty(t, w.all(callbacks.DeliveryFilter{EventID: recovered[0].ID, EndpointID: e.ID}), "not to itself")
		try(500)
		try(200)
		require.Len(t, w.eventsOf("endpoint.recovered"), 1, "one failure is no outage")
	})
}

// TestHealthIsKeptBySets: what a set of outcomes tells in all, however soon after the last one.
func TestHealthIsKeptBySets(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint(wants("file.created"))
		for range 10 {
			w.fire("file.created")
		}
		claimed := w.claim(e)
		w.record(w.answered(claimed[0], 200))
		w.pass(time.Millisecond)
		var outcomes []callbacks.Outcome
		for _, c := range claimed[1:9] {
			outcomes = append(outcomes, w.answered(c, 500))
		}
		w.record(append(outcomes, w.answered(claimed[9], 200))...)
		row := w.endpointRow(e)
		require.Equal(t, w.now(), row.LastFailureAt)
		require.Len(t, w.eventsOf("endpoint.recovered"), 1)
		require.EqualValues(t, 1, row.Sequence, "its event counts")
	})
}

// TestOutcomeThatIsNoTry is on record and picks neither the delay nor the end.
func TestOutcomeThatIsNoTry(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint()
		w.fire("file.created")
		o := w.answered(w.claimOne(e), 500)
		o.Decision.NoTry = true
		w.record(o)
		w.pass(time.Hour)
		c := w.claimOne(e)
		require.Zero(t, c.Tries)
		require.Equal(t, 1, c.Recorded)
	})
}

// TestOneOffHasNoHealth: nothing of it touches an endpoint.
func TestOneOffHasNoHealth(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint(wants("file.created"))
		w.oneOff("a.example.com")
		w.record(w.answered(w.claimOne(host("a.example.com")), 410))
		row := w.endpointRow(e)
		require.True(t, row.IsActive)
		require.Zero(t, row.Failures)
		require.Empty(t, w.eventsOf("endpoint.disabled"))
		require.Len(t, w.eventsOf("delivery.exhausted"), 1)
	})
}

// TestFailingEndpointIsSwitchedOff after five days of nothing but failures, and what waits for it ends.
func TestFailingEndpointIsSwitchedOff(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e, watcher := w.endpoint(wants("file.*", "endpoint.disabled")), w.endpoint(wants("endpoint.disabled"))
		for range 8 {
			w.fire("file.created")
			w.record(w.answered(w.claimOne(e), 500))
		}
		w.exec("DELETE FROM deliveries WHERE id > (SELECT min(id) FROM deliveries)")
		w.pass(5*24*time.Hour - time.Millisecond)
		w.record(w.answered(w.claimOne(e), 500))
		require.True(t, w.endpointRow(e).IsActive)
		w.pass(time.Millisecond)
		w.fire("file.created")
		w.record(w.answered(w.claimOne(e), 500))
		row := w.endpointRow(e)
		require.False(t, row.IsActive)
		require.Equal(t, callbacks.DisabledFailing, row.Disabled)
		require.Equal(t, w.now(), row.ChangedAt)
		require.Equal(t, w.now(), w.wakes(e))

		events := w.eventsOf("endpoint.disabled")
		require.Len(t, events, 1)
		require.Empty(t, events[0].JobID)
		require.EqualValues(t, 1, row.Sequence)
		var body struct {
			Data struct {
				ID     string
				Object map[string]any
			}
		}
		require.NoError(t, json.Unmarshal(events[0].Body, &body))
		require.Equal(t, e.ID, body.Data.ID)
		require.Equal(t, false, body.Data.Object["is_active"])
		owed := w.all(callbacks.DeliveryFilter{EventID: events[0].ID})
		require.Len(t, owed, 1)
		require.Equal(t, watcher.ID, owed[0].EndpointID)
		require.Len(t, w.claim(e, watcher), 1, "of the event; what waited for the endpoint ends")
		require.Equal(t, 2, w.count("deliveries WHERE endpoint_id = ? AND state = 'cancelled' AND reason = ?", e.ID, callbacks.ReasonDisabled))

		must(w.calls.UpdateEndpoint(t.Context(), e, []byte(`{"is_active":true}`)))(t)
		row = w.endpointRow(e)
		require.True(t, row.IsActive)
		require.Empty(t, row.Disabled)
		require.Zero(t, row.FailingSince, "it begins anew")
		require.Equal(t, e.ID, w.all(callbacks.DeliveryFilter{EventID: w.fire("file.created")})[0].EndpointID, "and gets events again")
	})
}

// TestGoneEndpointIsSwitchedOff at once, by one event however many deliveries say so.
func TestGoneEndpointIsSwitchedOff(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint(wants("file.created"))
		w.fire("file.created")
		w.fire("file.created")
		claimed := w.claim(e)
		w.record(w.answered(claimed[0], 410), w.answered(claimed[1], 410))
		require.Equal(t, "gone", w.endpointRow(e).Disabled)
		require.Len(t, w.eventsOf("endpoint.disabled"), 1)
		require.Equal(t, 2, w.count("deliveries WHERE state = 'failed' AND reason = 'gone'"))
	})
}

// TestDeletedEndpointsOutcomesAreKept: what was in flight ends as it ends.
func TestDeletedEndpointsOutcomesAreKept(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint()
		w.fire("file.created")
		c := w.claimOne(e)
		require.NoError(t, w.calls.DeleteEndpoint(t.Context(), e))
		before := w.endpointRow(e)
		require.Zero(t, w.record(w.answered(c, 410)))
		d, attempts := w.delivery(c.Ref())
		require.Equal(t, callbacks.Failed, d.State)
		require.Len(t, attempts, 1)
		require.Equal(t, before, w.endpointRow(e))
		require.Empty(t, w.eventsOf("endpoint.disabled"))
	})
}

// TestExhaustedDeliveryIsAnEvent with all its attempts, to who subscribes to it but not to the receiver that failed; and
// the end of such an event's own delivery is none.
func TestExhaustedDeliveryIsAnEvent(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e, watcher := w.endpoint(wants("file.created", "delivery.*")), w.endpoint(wants("delivery.exhausted"))
		w.fire("file.created")
		var failed callbacks.Claimed
		for range policy.Schedule {
			failed = w.claimOne(e)
			w.record(w.answered(failed, 500))
			w.pass(9 * time.Hour)
		}
		d, attempts := w.delivery(failed.Ref())
		require.Equal(t, callbacks.Failed, d.State)
		require.Len(t, attempts, 5)
		events := w.eventsOf("delivery.exhausted")
		require.Len(t, events, 1)
		require.EqualValues(t, 5, events[0].Sequence)
		var body struct {
			Data struct{ Object callbacks.DeliveryObject }
		}
		require.NoError(t, json.Unmarshal(events[0].Body, &body))
		require.Equal(t, failed.ID, body.Data.Object.ID)
		require.Equal(t, callbacks.Failed, body.Data.Object.Status)
		require.Len(t, body.Data.Object.Attempts, 5)
		require.Nil(t, body.Data.Object.NextAttemptAt)
		require.False(t, strings.Contains(string(events[0].Body), "t=1"))
		owed := w.all(callbacks.DeliveryFilter{EventID: events[0].ID})
		require.Len(t, owed, 1)
		require.Equal(t, watcher.ID, owed[0].EndpointID)

		w.end(w.claimOne(watcher), callbacks.Failed)
		require.Equal(t, 2, w.count("deliveries WHERE state = 'failed'"))
		require.Len(t, w.eventsOf("delivery.exhausted"), 1)
	})
}

// TestExpireEndsWhatWaitedAtAShutGate: both the gate and the delivery for 72 hours.
func TestExpireEndsWhatWaitedAtAShutGate(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		shut, late, open := w.endpoint(wants("file.created")), w.endpoint(wants("file.created")), w.endpoint(wants("file.created", "delivery.*"))
		old := w.fire("file.created")
		require.NoError(t, w.ShutGate(t.Context(), shut, w.now(), w.now()))
		w.pass(time.Millisecond)
		require.NoError(t, w.ShutGate(t.Context(), late, w.now(), w.now()))
		fresh := w.fire("file.created")
		w.pass(callbacks.MaxWait - 2*time.Millisecond)
		require.Zero(t, must(w.ExpireDeliveries(t.Context(), w.now()))(t))
		w.pass(time.Millisecond)
		require.Equal(t, 1, must(w.ExpireDeliveries(t.Context(), w.now()))(t), "not the one that came later, nor at the gate shut later, nor at the open one")
		require.Zero(t, must(w.ExpireDeliveries(t.Context(), w.now()))(t))
		d := w.all(callbacks.DeliveryFilter{EventID: old, EndpointID: shut.ID})[0]
		require.Equal(t, callbacks.Failed, d.State)
		require.Equal(t, callbacks.ReasonBreakerOpen, d.Reason)
		require.Equal(t, w.now(), d.EndedAt)
		require.Zero(t, d.DueAt)
		require.Equal(t, 1, w.count("deliveries WHERE event_id = ? AND endpoint_id = ? AND state = 'waiting'", fresh, shut.ID))
		events := w.eventsOf("delivery.exhausted")
		require.Len(t, events, 1)
		require.Len(t, w.all(callbacks.DeliveryFilter{EventID: events[0].ID, EndpointID: open.ID}), 1)
		require.Equal(t, 1, w.count("deliveries WHERE state = 'failed'"))
	})
}

// TestNothingExpiresAtAnOpenGate, however long Ringback was down, nor what is in somebody's hands or due later.
func TestNothingExpiresAtAnOpenGate(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint()
		for range 3 {
			w.fire("file.created")
		}
		c := must(w.ClaimDeliveries(t.Context(), "own", []callbacks.Want{{Gate: e, Room: 1}}, w.now()))(t)
		w.exec("UPDATE deliveries SET due_at = ? WHERE id = (SELECT max(id) FROM deliveries)", begun.Add(300*time.Hour))
		w.pass(200 * time.Hour)
		require.Zero(t, must(w.ExpireDeliveries(t.Context(), w.now()))(t))
		require.NoError(t, w.ShutGate(t.Context(), e, begun, w.now()))
		require.Equal(t, 1, must(w.ExpireDeliveries(t.Context(), w.now()))(t))
		d, _ := w.delivery(c[0].Ref())
		require.Equal(t, callbacks.Sending, d.State)
	})
}

// TestExpireGoesInSlices, so that nobody else's writes wait.
func TestExpireGoesInSlices(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint()
		w.backlog(e, callbacks.Waiting, 450)
		require.NoError(t, w.ShutGate(t.Context(), e, begun, begun))
		w.pass(callbacks.MaxWait + time.Minute)
		for _, want := range []int{200, 200, 50, 0} {
			require.Equal(t, want, must(w.ExpireDeliveries(t.Context(), w.now()))(t))
		}
		require.Len(t, w.eventsOf("delivery.exhausted"), 450)
	})
}

// TestOutcomesOfABatchThatIsGone are dropped: whoever brings them would try for ever.
func TestOutcomesOfABatchThatIsGone(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		gone := jobs.Line{ProjectID: "default", JobID: "batch_gone", Line: 1, OK: true, Text: []byte("{}")}
		require.Empty(t, must(w.RecordLines(t.Context(), []jobs.Line{gone}))(t))
		require.Zero(t, w.count("lines"))
	})
}
