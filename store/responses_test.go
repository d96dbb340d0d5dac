package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// response makes one that is streamed, claimed by "own", with n events.
func (d *depot) response(id string, n int) jobs.Ref {
	d.t.Helper()
	j := jobs.Job{ProjectID: "default", ID: id, Kind: jobs.KindResponse, Status: jobs.Queued, CreatedAt: d.now()}
	j.Due(d.now())
	facts := &jobs.Response{ProjectID: "default", JobID: id, Settings: []byte(`{"user":"u"}`), Items: []byte(`[1]`), Streaming: jobs.Streamed}
	must(d.CreateJob(d.t.Context(), jobs.NewJob{Job: j, Body: []byte(`{}`), Response: facts}))(d.t)
	held := must(d.ClaimJobs(d.t.Context(), "own", []jobs.Ref{j.Ref()}, d.now()))(d.t)[0]
	events := make([]jobs.ResponseEvent, n)
	for i := range events {
		events[i] = jobs.ResponseEvent{ProjectID: "default", JobID: id, N: int64(3 + i), Type: "a", Data: []byte(`{}`)}
	}
	require.NoError(d.t, d.KeepResponseEvents(d.t.Context(), held, events))
	return held.Ref()
}

// endAs ends a response with an answer.
func (d *depot) endAs(ref jobs.Ref, s jobs.Status) {
	d.t.Helper()
	_, _, err := d.Move(d.t.Context(), ref, func(j *jobs.Job) (jobs.Effects, error) {
		j.Status, j.EndedAt = s, d.now()
		j.Rest()
		return jobs.Effects{Events: []jobs.EventType{jobs.ResponseCompleted}, Result: []byte(`{"id":"` + ref.ID + `"}`)}, nil
	})
	require.NoError(d.t, err)
}

// TestResponseEventsAreKeptForADay: those of one that runs stay, however long; those of one that has ended go after a day,
// and what says that there are some with them.
func TestResponseEventsAreKeptForADay(t *testing.T) {
	t.Parallel()
	onEachDepot(t, func(t *testing.T, d *depot) {
		running, ended := d.response("resp_1", 2), d.response("resp_2", 2500)
		d.endAs(ended, jobs.Completed)
		const kept = "response_events WHERE job_id = ?"
		d.pass(streamTTL - time.Second)
		d.clean()
		require.Equal(t, 2500, d.count(kept, ended.ID))

		d.pass(2 * time.Second)
		require.Equal(t, 1, must(d.janitor.streams(t.Context()))(t))
		require.Equal(t, 2500, d.count(kept, ended.ID))
		_, err := d.LookAtStream(t.Context(), ended, jobs.StreamQuery{Events: 10, Bytes: 1000})
		require.True(t, jobs.IsCode(err, jobs.CodeNotFound), "nobody reads a stream with a hole: %v", err)
		d.clean()
		require.Zero(t, d.count(kept, ended.ID))
		require.Zero(t, d.count("spent_streams"))
		require.Equal(t, 2, d.count(kept, running.ID))
		require.Equal(t, jobs.StreamGone, must(d.Response(t.Context(), ended))(t).Streaming)
		require.Equal(t, jobs.Streamed, must(d.Response(t.Context(), running))(t).Streaming)
		require.Equal(t, `{"id":"resp_2"}`, string(must(d.Job(t.Context(), ended))(t).Result), "the answer stays")
	})
}

// TestADeletedResponseLeavesNothing but its event and what that owes.
func TestADeletedResponseLeavesNothing(t *testing.T) {
	t.Parallel()
	onEachDepot(t, func(t *testing.T, d *depot) {
		d.endpoint(wants("response.*"))
		other := d.response("resp_0", 1)
		ended, running := d.response("resp_1", 2), d.response("resp_2", 2)
		d.endAs(ended, jobs.Completed)
		cancel := func(j *jobs.Job) (jobs.Effects, error) {
			require.Equal(t, running.ID, j.ID, "one that has ended is not ended again")
			j.Status, j.EndedAt = jobs.Cancelled, d.now()
			return jobs.Effects{Events: []jobs.EventType{jobs.ResponseCancelled}}, nil
		}
		for _, ref := range []jobs.Ref{ended, running} {
			must(d.DeleteResponse(t.Context(), ref, cancel))(t)
			_, err := d.LookAtStream(t.Context(), ref, jobs.StreamQuery{Events: 10, Bytes: 1000})
			require.True(t, jobs.IsCode(err, jobs.CodeNotFound), "its events are out of sight at once: %v", err)
			d.clean()
			for _, table := range []string{"payloads", "responses", "response_events", "spent_streams"} {
				require.Zero(t, d.count(""+table+" WHERE job_id = ?", ref.ID), table)
			}
			_, err = d.DeleteResponse(t.Context(), ref, cancel)
			require.True(t, jobs.IsCode(err, jobs.CodeNotFound), "%v", err)
			require.Equal(t, 1, d.count("events WHERE job_id = ?", ref.ID))
			require.Equal(t, 1, d.count("deliveries WHERE job_id = ?", ref.ID))
		}
		left, _, err := d.Jobs(t.Context(), jobs.JobQuery{ProjectID: "default", Limit: 10})
		require.NoError(t, err)
		require.Len(t, left, 1)
		require.Equal(t, other.ID, left[0].ID)
		require.Equal(t, 1, d.count("response_events WHERE job_id = ?", other.ID))
	})
}

// TestEndedStreamsAreFoundByTheirIndex: the look for them reads only responses whose events are kept.
func TestEndedStreamsAreFoundByTheirIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var steps []struct{ Detail string }
	require.NoError(t, w.reads.Raw("EXPLAIN QUERY PLAN "+endedStreams, 1).Scan(&steps).Error)
	require.Len(t, steps, 2)
	require.Contains(t, steps[0].Detail, "SCAN responses USING COVERING INDEX responses_streamed")
	require.Contains(t, steps[1].Detail, "SEARCH jobs USING")
}
