package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// TestStandingCountsWhatGoesOn, in this project alone.
func TestStandingCountsWhatGoesOn(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		require.Zero(t, must(w.Standing(t.Context(), "default"))(t))
		w.planned()
		w.planned(in(jobs.Paused))
		w.planned(in(jobs.Completed))
		e, off := w.endpoint(wants("file.created")), w.endpoint(wants("batch.failed"))
		w.endpoint(wants("batch.failed"))
		w.fire("file.created")
		w.fire("file.created")
		w.record(w.answered(w.claim(e)[0], 500)) // one waits, the other is still being sent
		w.exec("UPDATE endpoints SET disabled = 'failing' WHERE id = ?", off.ID)
		require.Equal(t, jobs.Standing{Open: 2, Failing: 2, Waiting: 2}, must(w.Standing(t.Context(), "default"))(t))
		require.Zero(t, must(w.Standing(t.Context(), "other"))(t))
	})
}

// TestBacklogsAreByReceiver, each to its bound.
func TestBacklogsAreByReceiver(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint(wants("file.created"))
		w.fire("file.created")
		w.pass(time.Minute)
		w.fire("file.created")
		w.oneOff("example.com")
		w.backlog(host("many.example.com"), callbacks.Waiting, jobs.CountBound+10)
		require.NoError(t, w.ShutGate(t.Context(), e, begun+5, begun+60_000))
		got := must(w.Backlogs(t.Context(), "default"))(t)
		require.Equal(t, map[string]callbacks.Backlog{
			e.ID:               {Gate: e.ID, EndpointID: e.ID, N: 2, Next: got[e.ID].Next, ShutAt: begun + 5},
			"example.com":      {Gate: "example.com", N: 1, Next: got["example.com"].Next},
			"many.example.com": {Gate: "many.example.com", N: jobs.CountBound + 1, Next: begun + 1},
		}, got)
		require.Positive(t, got[e.ID].Next)
		require.Empty(t, must(w.Backlogs(t.Context(), "other"))(t))
	})
}

// TestGivenUpIsByReceiver, the most first, and of the time that was asked for.
func TestGivenUpIsByReceiver(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint(wants("file.created"))
		give := func(n int, state callbacks.State) {
			for range n {
				w.fire("file.created")
				w.end(w.claimOne(e), state)
			}
		}
		give(1, callbacks.Failed)
		w.pass(time.Hour)
		since := w.now()
		give(2, callbacks.Failed)
		give(2, callbacks.Delivered)
		for range 3 {
			w.oneOff("example.com")
			w.end(w.claimOne(host("example.com")), callbacks.Failed)
		}
		// What has arrived by another way, or was cancelled, is nobody's concern.
		w.fire("file.created")
		must(w.calls.CancelDelivery(t.Context(), w.all(callbacks.DeliveryFilter{State: callbacks.Waiting})[0].Ref()))(t)
		require.Equal(t, []callbacks.Backlog{{Gate: "example.com", N: 3}, {Gate: e.ID, EndpointID: e.ID, N: 2}}, must(w.GivenUp(t.Context(), "default", since))(t))
		require.EqualValues(t, 3, must(w.GivenUp(t.Context(), "default", 0))(t)[1].N)
		require.Empty(t, must(w.GivenUp(t.Context(), "default", w.now()+1))(t))
	})
}

// TestDeliveriesAreFilteredAndCounted alike by everything that a person can choose.
func TestDeliveriesAreFilteredAndCounted(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		one, other := w.endpoint(wants("file.created", "file.deleted")), w.endpoint(wants("file.created"))
		for i, state := range []callbacks.State{callbacks.Delivered, callbacks.Failed, callbacks.Waiting, callbacks.Cancelled, callbacks.Delivered} {
			for _, typ := range []jobs.EventType{"file.created", "file.deleted"} {
				w.fire(typ)
				w.pass(time.Minute)
				for _, to := range []jobs.Ref{one, other} {
					for _, c := range w.claim(to) {
						switch state {
						case callbacks.Waiting, callbacks.Cancelled:
							w.exec("UPDATE deliveries SET state = ?, owner = '', due_at = ? WHERE id = ?", state, begun.Add(time.Duration(i)*24*time.Hour), c.ID)
						default:
							w.end(c, state)
						}
					}
				}
			}
		}
		w.pass(24 * time.Hour)
		w.fire("file.created") // nothing has arrived for a day
		w.oneOff("example.com")
		all := w.all(callbacks.DeliveryFilter{})
		require.Len(t, all, 18)
		slices.Reverse(all)
		job := all[0].JobID
		n := 0
		for _, endpoint := range []string{"", one.ID, other.ID, "none"} {
			for _, typ := range []jobs.EventType{"", "file.created", "file.deleted", "batch.failed", "batch.expired"} {
				for _, since := range []jobs.Time{0, all[7].CreatedAt} {
					for _, id := range []string{"", job, "none"} {
						states := map[callbacks.State]int64{}
						for _, state := range []callbacks.State{"", callbacks.Waiting, callbacks.Failed, callbacks.Cancelled, callbacks.Delivered} {
							f := callbacks.DeliveryFilter{ProjectID: "default", EndpointID: endpoint, EventType: typ, Since: since, JobID: id, State: state}
							var want, got []string
							for _, d := range all {
								if (endpoint == "" || d.EndpointID == endpoint) && (typ == "" || d.EventType == typ) && d.CreatedAt >= since && (id == "" || d.JobID == id) && (state == "" || d.State == state) {
									want = append(want, d.ID)
								}
							}
							n += len(want)
							if len(want) > 0 {
								states[state] = int64(len(want))
							}
							for after := ""; ; {
								page, _, more, err := w.Deliveries(t.Context(), callbacks.DeliveryQuery{DeliveryFilter: f, After: after, Limit: 3})
								require.NoError(t, err)
								got = append(got, idsOf(page)...)
								if !more {
									break
								}
								after = page[2].ID
							}
							require.Equal(t, want, got, "%+v", f)
							require.EqualValues(t, len(want), must(w.CountDeliveries(t.Context(), f))(t), "%+v", f)
						}
						counts := must(w.StatesOfDeliveries(t.Context(), callbacks.DeliveryFilter{ProjectID: "default", EndpointID: endpoint, EventType: typ, Since: since, JobID: id, State: callbacks.Failed}))(t)
						for state, n := range counts {
							if n == 0 {
								delete(counts, state)
							}
						}
						require.Equal(t, states, counts, "%s %s %d %s", endpoint, typ, since, id)
					}
				}
			}
		}
		require.Greater(t, n, 100)
		require.EqualValues(t, 4, must(w.CountDeliveries(t.Context(), callbacks.DeliveryFilter{ProjectID: "default", NeverArrived: true, EndpointID: one.ID}))(t))
	})
}

// TestCountsOfDeliveriesEnd at their bound.
func TestCountsOfDeliveriesEnd(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint(wants("none.such"))
		w.backlog(e, callbacks.Waiting, jobs.CountBound+20)
		for _, f := range []callbacks.DeliveryFilter{{}, {EndpointID: e.ID}, {EventType: "quiet.event"}} {
			f.ProjectID = "default"
			counts := must(w.StatesOfDeliveries(t.Context(), f))(t)
			require.EqualValues(t, jobs.CountBound+1, counts[""])
			require.EqualValues(t, jobs.CountBound+1, counts[callbacks.Waiting])
		}
	})
}

// TestVisibleEndpointIsNotDeleted.
func TestVisibleEndpointIsNotDeleted(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint()
		require.Equal(t, e.ID, must(w.VisibleEndpoint(t.Context(), e))(t).ID)
		w.exec("UPDATE endpoints SET deleted_at = 1 WHERE id = ?", e.ID)
		for _, ref := range []jobs.Ref{e, host("none")} {
			_, err := w.VisibleEndpoint(t.Context(), ref)
			require.True(t, jobs.IsCode(err, jobs.CodeNotFound), "%v", err)
		}
	})
}

// TestTimelinesAndRecentEvents: what happened to one job, oldest first; what happened last, by type, page by page.
func TestTimelinesAndRecentEvents(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		types := []jobs.EventType{jobs.BatchCreated, jobs.FileCreated, jobs.BatchInProgress, jobs.BatchCompleted, jobs.GenerationCompleted, callbacks.EventTest, jobs.BatchProgress}
		var ids []string
		for i, typ := range types {
			ids = append(ids, w.fire(typ, func(f *jobs.Fact) { f.Sequence = int64(i + 1) }))
			w.pass(time.Second)
		}
		ref := host("batch_1")
		for _, i := range []int{0, 2, 3} {
			w.exec("UPDATE events SET job_id = ? WHERE id = ?", ref.ID, ids[i])
		}
		read := func(q jobs.EventQuery, pages int) (got []string) {
			q.ProjectID = "default"
			if q.Limit == 0 {
				q.Limit = 50
			}
			for n := 1; ; n++ {
				page, more, err := w.RecentEvents(t.Context(), q)
				require.NoError(t, err)
				for _, e := range page {
					require.Empty(t, e.Body)
					require.Positive(t, e.Position)
					got = append(got, e.ID)
				}
				if !more {
					require.Equal(t, pages, n)
					return got
				}
				require.Len(t, page, q.Limit)
				q.Before = page[len(page)-1].Position
			}
		}
		newest := func(indexes ...int) (want []string) {
			for _, i := range indexes {
				want = append(want, ids[i])
			}
			return want
		}
		require.Equal(t, newest(6, 5, 4, 3, 2, 1, 0), read(jobs.EventQuery{}, 1))
		require.Equal(t, newest(6, 5, 4, 3, 2, 1, 0), read(jobs.EventQuery{Type: "*", Limit: 2}, 4))
		require.Equal(t, newest(6, 3, 2, 0), read(jobs.EventQuery{Type: "batch.*", Limit: 3}, 2))
		require.Equal(t, newest(3), read(jobs.EventQuery{Type: "batch.completed"}, 1))
		require.Equal(t, newest(5), read(jobs.EventQuery{Type: "webhook.*"}, 1))
		require.Empty(t, read(jobs.EventQuery{Type: "batch.expired"}, 1))
		require.Empty(t, read(jobs.EventQuery{Type: "nothing.*"}, 1))
		require.Equal(t, newest(3, 2, 0), read(jobs.EventQuery{JobID: ref.ID}, 1))
		require.Equal(t, newest(3, 2, 0), read(jobs.EventQuery{JobID: ref.ID, Type: "batch.*", Limit: 1}, 3))
		require.Equal(t, newest(2), read(jobs.EventQuery{JobID: ref.ID, Type: "batch.in_progress"}, 1))
		require.Empty(t, read(jobs.EventQuery{JobID: ref.ID, Type: "file.*"}, 1))

		var timeline []string
		for _, e := range must(w.JobEvents(t.Context(), ref))(t) {
			timeline = append(timeline, e.ID)
			require.Empty(t, e.Body)
		}
		require.Equal(t, newest(0, 2, 3), timeline)
		require.Empty(t, must(w.JobEvents(t.Context(), host("batch_2")))(t))
		require.Empty(t, must(w.JobEvents(t.Context(), host("")))(t), "events of no job are nobody's")
	})
}

// outcomes keeps lines as batches write them: every third was refused, every fifth got no answer.
func (w *world) outcomes(job jobs.Ref, n int) {
	w.t.Helper()
	var set []jobs.Line
	for i := range n {
		text := fmt.Sprintf(`{"id":"batch_req_01ARZ3NDEKTSV4RRFFQ69G5FAV","custom_id":"line <%d>",`, i)
		ok := false
		switch {
		case i%15 == 0:
			text += `"response":{"status_code":500,"request_id":"r","body":{"error":{"message":"Oh","type":"server_error"}}},"error":null}`
		case i%3 == 0:
			text += `"response":{"status_code":400,"request_id":"r","body":{"error":{"message":"Too long","type":"x","code":"too_long"}}},"error":null}`
		case i%5 == 0:
			text += `"response":null,"error":{"code":"timeout","message":"Nobody answered"}}`
		default:
			ok, text = true, text+`"response":{"status_code":200,"request_id":"r","body":{"custom_id":"line <3>"}},"error":null}`
		}
		set = append(set, line(job, int64(i+1), ok, text))
	}
	slices.Reverse(set) // they come in any order
	_, err := w.RecordLines(w.t.Context(), set)
	require.NoError(w.t, err)
}

// TestFailuresAreByCause, the most first.
func TestFailuresAreByCause(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		ref := w.running(60)
		require.Empty(t, must(w.Failures(t.Context(), ref))(t))
		w.outcomes(ref, 45)
		require.Equal(t, []jobs.Failure{
			{Code: "too_long", Status: 400, Message: "Too long", Lines: 12, Sample: []string{"line <3>", "line <6>", "line <9>"}},
			{Code: "timeout", Message: "Nobody answered", Lines: 6, Sample: []string{"line <5>", "line <10>", "line <20>"}},
			{Code: "server_error", Status: 500, Message: "Oh", Lines: 3, Sample: []string{"line <0>", "line <15>", "line <30>"}},
		}, must(w.Failures(t.Context(), ref))(t))
	})
}

// TestOutcomesAreInTheOrderOfTheInput, page by page, those that failed alone, or one by its custom_id.
func TestOutcomesAreInTheOrderOfTheInput(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		ref, other := w.running(60), w.running(60)
		w.outcomes(ref, 45)
		w.outcomes(other, 3)
		read := func(q jobs.OutcomeQuery) (got []int64) {
			q.Job = ref
			for {
				page, more, err := w.Outcomes(t.Context(), q)
				require.NoError(t, err)
				for _, l := range page {
					got = append(got, l.Line)
					require.Equal(t, (l.Line-1)%3 != 0 && (l.Line-1)%5 != 0, l.OK)
					require.Contains(t, string(l.Text), fmt.Sprintf(`"custom_id":"line <%d>"`, l.Line-1))
				}
				if !more {
					return got
				}
				require.Len(t, page, q.Limit)
				q.After = page[len(page)-1].Line
			}
		}
		require.Equal(t, span(1, 45), read(jobs.OutcomeQuery{Limit: 7}))
		require.Equal(t, span(31, 45), read(jobs.OutcomeQuery{Limit: 100, After: 30}))
		require.Equal(t, []int64{1, 4, 6, 7, 10, 11, 13, 16, 19, 21, 22, 25, 26, 28, 31, 34, 36, 37, 40, 41, 43}, read(jobs.OutcomeQuery{Limit: 4, Failed: true}))
		require.Equal(t, []int64{4}, read(jobs.OutcomeQuery{Limit: 5, CustomID: "line <3>"}), "what stands in an answer is no custom_id")
		require.Equal(t, []int64{31}, read(jobs.OutcomeQuery{Limit: 5, CustomID: "line <30>", Failed: true}))
		for _, none := range []string{"line", "line <99>", `"`, "%", "line <3", string(make([]byte, 300))} {
			require.Empty(t, read(jobs.OutcomeQuery{Limit: 5, CustomID: none}), "%q", none)
		}
		require.Empty(t, read(jobs.OutcomeQuery{Limit: 5, CustomID: "line <3>", After: 4}))
	})
}
