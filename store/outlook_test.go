package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// planned makes a generation as a submission would, and gives its reference.
func (w *world) planned(change ...func(*jobs.Job)) jobs.Ref {
	w.t.Helper()
	j := jobs.Job{
		ProjectID: "default", ID: jobs.NewID("gen_"), Kind: jobs.KindGeneration, Status: jobs.Queued, Path: "/v1/x", Model: "m",
		Priority: jobs.PriorityNormal, CreatedAt: w.now(), ChangedAt: w.now(),
	}
	j.Due(w.now())
	for _, c := range change {
		c(&j)
	}
	_, err := w.CreateJob(w.t.Context(), jobs.NewJob{Job: j, Body: []byte("{}")})
	require.NoError(w.t, err)
	return j.Ref()
}

func with(p jobs.Priority) func(*jobs.Job) { return func(j *jobs.Job) { j.Priority = p } }

func (w *world) at(d time.Duration) func(*jobs.Job) {
	return func(j *jobs.Job) {
		j.RunAt = w.now().Add(d)
		j.Due(j.RunAt)
	}
}

// TestHigherPrioritiesAreOfferedFirst, however long the others have waited; what is planned for later is not.
func TestHigherPrioritiesAreOfferedFirst(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		low := w.planned(with(jobs.PriorityLow))
		normal := w.planned()
		w.pass(time.Minute)
		later := w.planned(w.at(time.Hour), with(jobs.PriorityHigh))
		high := w.planned(with(jobs.PriorityHigh))
		response := w.planned(func(j *jobs.Job) { j.Kind = jobs.KindResponse })
		tuning := w.planned(func(j *jobs.Job) { j.Kind, j.Status = jobs.KindTuning, jobs.ValidatingFiles })
		w.pass(time.Minute)
		require.Equal(t, []string{high.String(), normal.String()}, must(w.DueCalls(t.Context(), 2))(t))
		require.Equal(t, []string{response.String(), tuning.String(), low.String()}, must(w.DueCalls(t.Context(), 9))(t))
		require.Empty(t, must(w.DueCalls(t.Context(), 9))(t), "what was offered is not offered again at once")
		batch := w.planned(func(j *jobs.Job) { j.Kind, j.Status = jobs.KindBatch, jobs.Validating })
		w.pass(time.Second)
		require.Equal(t, []string{batch.String()}, must(w.DueBatches(t.Context(), 9))(t))
		require.Len(t, must(w.ClaimJobs(t.Context(), "own", []jobs.Ref{high}, w.now()))(t), 1)
		w.pass(time.Hour)
		require.Equal(t, later.String(), must(w.DueCalls(t.Context(), 1))(t)[0])
	})
}

// TestPlannedJobsWait: neither a wake-up nor a claim takes one before its time.
func TestPlannedJobsWait(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		ref := w.planned(w.at(time.Hour))
		claim := func() []jobs.Job { return must(w.ClaimJobs(t.Context(), "own", []jobs.Ref{ref}, w.now()))(t) }
		require.Empty(t, claim())
		w.pass(time.Hour - time.Millisecond)
		require.Empty(t, claim())
		w.pass(time.Millisecond)
		require.Len(t, claim(), 1)
	})
}

// TestPlaceInTheQueue counts those of a higher priority, and those of the same that have waited longer.
func TestPlaceInTheQueue(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		place := func(ref jobs.Ref) int64 {
			s := must(w.Job(t.Context(), ref))(t)
			require.NoError(t, w.Outlook(t.Context(), &s))
			return s.Position
		}
		low := w.planned(with(jobs.PriorityLow))
		first := w.planned()
		w.pass(time.Second)
		second := w.planned()
		w.planned(w.at(time.Hour), with(jobs.PriorityHigh))
		w.planned(func(j *jobs.Job) { j.ProjectID = "other" })
		w.planned(func(j *jobs.Job) { j.Kind = jobs.KindBatch })
		require.Equal(t, int64(1), place(first))
		require.Equal(t, int64(2), place(second))
		require.Equal(t, int64(3), place(low))
		high := w.planned(with(jobs.PriorityHigh))
		require.Equal(t, int64(1), place(high))
		require.Equal(t, int64(4), place(low))
		require.Len(t, must(w.ClaimJobs(t.Context(), "own", []jobs.Ref{high, first}, w.now()))(t), 2)
		require.Equal(t, int64(1), place(second))
		require.Zero(t, place(first), "it does not wait any more")
		planned := w.planned(w.at(time.Hour))
		require.Zero(t, place(planned), "its time has not come")
	})
}

// TestTypicalTime is the mean of the newest calls of the same model and path that have been answered.
func TestTypicalTime(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		ended := func(d time.Duration, change ...func(*jobs.Job)) {
			w.planned(append([]func(*jobs.Job){func(j *jobs.Job) {
				j.Status, j.StartedAt, j.EndedAt = jobs.Completed, w.now(), w.now().Add(d)
				j.Rest()
			}}, change...)...)
		}
		ended(time.Second)
		ended(3 * time.Second)
		ended(time.Hour, func(j *jobs.Job) { j.Model = "slow" })
		ended(time.Hour, func(j *jobs.Job) { j.Path = "/v1/videos" })
		ended(time.Hour, func(j *jobs.Job) { j.Status = jobs.Failed })
		s := must(w.Job(t.Context(), w.planned()))(t)
		require.NoError(t, w.Outlook(t.Context(), &s))
		require.Equal(t, jobs.Time(2000), s.Typical)
		unknown := must(w.Job(t.Context(), w.planned(func(j *jobs.Job) { j.Model = "new" })))(t)
		require.NoError(t, w.Outlook(t.Context(), &unknown))
		require.Zero(t, unknown.Typical)
	})
}
