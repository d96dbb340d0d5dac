package store

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// A job's trace stays with it through claims and moves, goes into each of its events, and comes with each delivery; what is
// about no job has none.
func TestTraceStaysWithTheJobAndItsCallbacks(t *testing.T) {
	t.Parallel()
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 vendor=a"
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint()
		ref := w.oneOff("r.example.com", func(n *jobs.NewJob) {
			n.Job.Trace, n.Job.Status = trace, jobs.Validating
			n.Job.Due(w.now())
		})
		w.fire(jobs.FileCreated)

		claimed := must(w.ClaimJobs(t.Context(), "own", []jobs.Ref{ref}, w.now()))(t)
		require.Len(t, claimed, 1)
		require.Equal(t, trace, claimed[0].Trace)
		_, _, err := w.Move(t.Context(), ref, func(j *jobs.Job) (jobs.Effects, error) {
			require.Equal(t, trace, j.Trace)
			j.Status = jobs.InProgress
			return jobs.Effects{Events: []jobs.EventType{jobs.BatchInProgress}}, nil
		})
		require.NoError(t, err)
		require.Equal(t, trace, must(w.Job(t.Context(), ref))(t).Trace)

		traces := map[jobs.EventType]string{}
		for _, c := range w.claim(e, host("r.example.com")) {
			traces[c.EventType] = c.Trace
		}
		require.Equal(t, map[jobs.EventType]string{jobs.BatchFailed: trace, jobs.BatchInProgress: trace, jobs.FileCreated: ""}, traces)
		require.Equal(t, trace, w.eventsOf(jobs.BatchInProgress)[0].Trace)
	})
}
