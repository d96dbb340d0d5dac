package jobs_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

func TestBatchIsDoneByTheSweeperAlone(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	ref := x.batch(requests(11))
	s := x.settle(ref)
	require.Equal(t, jobs.Completed, s.Status)
	require.Equal(t, []string{"r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11"}, x.ids(s.OutputFileID))
	require.Empty(t, s.ErrorFileID)
	require.EqualValues(t, 11, x.calls.Load())
	require.EqualValues(t, 55, s.TotalTokens)
	require.Equal(t, []string{"batch.created", "batch.in_progress", "batch.completed"}, x.events(ref))
}

func TestBatchEventIsWhatPollingAnswers(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	ref := x.batch(requests(3))
	s := x.settle(ref)
	events, _, err := x.store.Events(t.Context(), "default", "", 100)
	require.NoError(t, err)
	var sequence int64
	var last jobs.Event
	for _, e := range events {
		if e.JobID == ref.ID {
			sequence++
			require.Equal(t, sequence, e.Sequence)
			last = e
		}
	}
	require.Equal(t, jobs.BatchCompleted, last.Type)
	require.Equal(t, string(s.Object()), gjson.GetBytes(last.Body, "data.object").Raw)
	require.Equal(t, sequence, s.Sequence)
}

// TestFilesFire: each upload, each output file and each deletion is an event of the file's own.
func TestFilesFire(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	s := x.settle(x.batch(requests(3)))
	require.NoError(t, x.service.DeleteFile(t.Context(), jobs.Ref{ProjectID: "default", ID: s.OutputFileID}))
	events, _, err := x.store.Events(t.Context(), "default", "", 100)
	require.NoError(t, err)
	var got []string
	for _, e := range events {
		if strings.HasPrefix(string(e.Type), "file.") {
			require.Empty(t, e.JobID)
			got = append(got, fmt.Sprintf("%s %s %d", e.Type, gjson.GetBytes(e.Body, "data.id"), e.Sequence))
		}
	}
	require.Equal(t, []string{
		"file.created " + s.InputFileID + " 1", "file.created " + s.OutputFileID + " 1", "file.deleted " + s.OutputFileID + " 2",
	}, got)
}

func TestBatchLinesByOutcome(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	answer := x.answer
	x.answer = func(w http.ResponseWriter, r *http.Request) {
		if x.calls.Load()%3 == 0 {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}`)
			return
		}
		answer(w, r)
	}
	s := x.settle(x.batch(requests(9)))
	require.Equal(t, jobs.Completed, s.Status)
	require.EqualValues(t, 6, s.Completed)
	require.EqualValues(t, 3, s.Failed)
	require.Len(t, x.ids(s.OutputFileID), 6)
	require.Len(t, x.ids(s.ErrorFileID), 3)
	require.EqualValues(t, 9, x.calls.Load(), "a 400 is not sent again")
}

func TestBatchWithoutASuccessIsStillCompleted(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	x.answer = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) }
	s := x.settle(x.batch(requests(2)))
	require.Equal(t, jobs.Completed, s.Status)
	require.Empty(t, s.OutputFileID)
	require.Equal(t, []string{"r1 overloaded", "r2 overloaded"}, x.ids(s.ErrorFileID))
	require.EqualValues(t, 4, x.calls.Load(), "one retry each")
}

// TestJ7BatchExpires lets the window pass with some lines answered, some in flight and some never started.
func TestJ7BatchExpires(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	answer := x.answer
	hang := make(chan struct{})
	x.answer = func(w http.ResponseWriter, r *http.Request) {
		if x.calls.Load() > 4 {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
			return
		}
		answer(w, r)
	}
	t.Cleanup(func() { close(hang) })
	ref := x.batch(requests(12))
	x.later(time.Second)
	x.sweep() // validates
	x.later(time.Second)
	working := make(chan struct{})
	go func() { defer close(working); x.sweep() }()
	require.Eventually(t, func() bool { return x.calls.Load() > 4 && x.job(ref).Completed == 4 }, 10*time.Second, time.Millisecond)

	refs := []string{ref.String()}
	x.later(25 * time.Hour)
	x.runner.WorkJobs(t.Context(), refs)
	require.Equal(t, jobs.Finalizing, x.job(ref).Status)
	<-working // the calls in flight were interrupted
	s := x.settle(ref)
	require.Equal(t, jobs.Expired, s.Status)
	require.EqualValues(t, 4, s.Completed)
	require.EqualValues(t, 8, s.Failed, "lines that were never answered count as failed")
	require.Len(t, x.ids(s.OutputFileID), 4)
	never := x.ids(s.ErrorFileID)
	require.Len(t, never, 8)
	for _, id := range never {
		require.True(t, strings.HasSuffix(id, " batch_expired"), id)
	}
	require.Equal(t, []string{"batch.created", "batch.in_progress", "batch.expired"}, x.events(ref))
}

// TestJ7Cancel cancels in each state.
func TestJ7Cancel(t *testing.T) {
	t.Parallel()
	steps := []struct {
		name   string
		sweeps int
		before jobs.Status
		after  jobs.Status
		lines  int
		events []string
	}{
		{"validating", 0, jobs.Validating, jobs.Cancelled, 0, []string{"batch.created", "batch.cancelled"}},
		{"in progress", 2, jobs.InProgress, jobs.Cancelled, 8, []string{"batch.created", "batch.in_progress", "batch.cancelled"}},
		{"finalizing", 3, jobs.Finalizing, jobs.Completed, 12, []string{"batch.created", "batch.in_progress", "batch.completed"}},
		{"completed", 4, jobs.Completed, jobs.Completed, 12, []string{"batch.created", "batch.in_progress", "batch.completed"}},
	}
	for _, tt := range steps {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newExchange(t)
			ref := x.batch(requests(12)) // three shards, two awake at once
			for range tt.sweeps {
				x.later(time.Second)
				x.sweep()
			}
			require.Equal(t, tt.before, x.job(ref).Status)
			s, err := x.service.Cancel(t.Context(), ref)
			if tt.after == jobs.Cancelled {
				require.NoError(t, err)
				require.Equal(t, jobs.Cancelling, s.Status)
				_, err = x.service.Cancel(t.Context(), ref)
				require.NoError(t, err, "twice is no error")
			} else {
				require.True(t, jobs.IsCode(err, jobs.CodeConflict), "%v", err)
			}
			s = x.settle(ref)
			require.Equal(t, tt.after, s.Status)
			require.Len(t, x.ids(s.OutputFileID), tt.lines)
			require.Equal(t, tt.events, x.events(ref))
			if tt.name == "in progress" {
				require.Equal(t, []string{"r9 batch_cancelled", "r10 batch_cancelled", "r11 batch_cancelled", "r12 batch_cancelled"}, x.ids(s.ErrorFileID))
			}
			if s.Status == jobs.Cancelled {
				_, err = x.service.Cancel(t.Context(), ref)
				require.NoError(t, err, "cancelling what is cancelled is no error")
			}
		})
	}
}

func TestJ7InputDeletedWhileItRuns(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	ref := x.batch(requests(12))
	x.later(time.Second)
	x.sweep()
	input := jobs.Ref{ProjectID: "default", ID: x.job(ref).InputFileID}
	require.NoError(t, x.service.DeleteFile(t.Context(), input))
	_, err := x.store.File(t.Context(), input)
	require.True(t, jobs.IsCode(err, jobs.CodeNotFound))
	s := x.settle(ref)
	require.Equal(t, jobs.Completed, s.Status)
	require.EqualValues(t, 12, s.Completed)
}

// TestCrashBetweenSteps kills the process after each number of sweeps: a new one goes on from there, and no line that
// has a row is called again.
func TestCrashBetweenSteps(t *testing.T) {
	t.Parallel()
	for sweeps := range 6 {
		t.Run(fmt.Sprintf("after %d sweeps", sweeps), func(t *testing.T) {
			t.Parallel()
			x := newExchange(t)
			ref, gen := x.batch(requests(20)), x.generation()
			for range sweeps {
				x.later(time.Second)
				x.sweep()
			}
			x.later(time.Second)
			for _, due := range []struct {
				claim func() error
			}{
				{func() error {
					_, err := x.store.ClaimJobs(t.Context(), "dead", []jobs.Ref{ref, gen}, jobs.At(x.now()))
					return err
				}},
				{func() error {
					refs, err := x.store.DueShards(t.Context(), 100)
					if err != nil {
						return err
					}
					_, err = x.store.ClaimShards(t.Context(), "dead", jobs.ParseRefs(refs), jobs.At(x.now()))
					return err
				}},
			} {
				require.NoError(t, due.claim())
			}
			require.NoError(t, x.store.FreeOthers(t.Context(), x.owner))
			s := x.settle(ref)
			require.Equal(t, jobs.Completed, s.Status)
			require.Len(t, x.ids(s.OutputFileID), 20)
			require.Equal(t, jobs.Completed, x.settle(gen).Status)
			require.EqualValues(t, 21, x.calls.Load(), "nothing that was kept is called again")
			require.Equal(t, []string{"batch.created", "batch.in_progress", "batch.completed"}, x.events(ref))
			require.Equal(t, []string{"generation.in_progress", "generation.completed"}, x.events(gen))
		})
	}
}

// TestShardThatBringsResultsIsNotPoisoned crashes more often than a row may be claimed without an outcome, but each time
// a line was kept in between.
func TestShardThatBringsResultsIsNotPoisoned(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	ref := x.batch(requests(4))
	x.later(time.Second)
	x.sweep()
	shard := []jobs.Ref{{ProjectID: "default", ID: ref.ID + ":0"}}
	for i := range 3 * jobs.MaxClaims {
		claimed, err := x.store.ClaimShards(t.Context(), "dead", shard, jobs.At(x.now()))
		require.NoError(t, err)
		require.Len(t, claimed, 1)
		if i%jobs.MaxClaims == 5 {
			line := jobs.Line{ProjectID: "default", JobID: ref.ID, Line: int64(i/jobs.MaxClaims + 1), OK: true, Text: []byte(`{"custom_id":"kept"}`)}
			_, err = x.store.RecordLines(t.Context(), []jobs.Line{line})
			require.NoError(t, err)
		}
		require.NoError(t, x.store.FreeOthers(t.Context(), x.owner))
	}
	s := x.settle(ref)
	require.Equal(t, jobs.Completed, s.Status)
	require.EqualValues(t, 4, s.Completed)
	require.EqualValues(t, 1, x.calls.Load())
}

// TestProviderOutageFailsNothing: while a provider is down for everybody, its failures are no tries of any line or
// generation, though they are more than either has.
func TestProviderOutageFailsNothing(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	answer := x.answer
	x.answer = func(w http.ResponseWriter, r *http.Request) {
		if x.calls.Load() <= 8 { // five begin the outage, three are its probes
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		answer(w, r)
	}
	ref := x.batch(requests(12))
	for range 2 { // validated, then run into the outage
		x.later(time.Second)
		x.sweep()
	}
	gen := x.generation()
	s := x.settle(ref)
	require.Equal(t, jobs.Completed, s.Status)
	require.EqualValues(t, 12, s.Completed, "%s", s.Object())
	require.Equal(t, jobs.Completed, x.settle(gen).Status)
}

// TestPoisonedShardEnds claims a shard again and again without an outcome: its lines fail, the batch ends.
func TestPoisonedShardEnds(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	ref := x.batch(requests(6))
	x.later(time.Second)
	x.sweep()
	poisoned := []jobs.Ref{{ProjectID: "default", ID: ref.ID + ":0"}}
	for range jobs.MaxClaims {
		claimed, err := x.store.ClaimShards(t.Context(), "dead", poisoned, jobs.At(x.now()))
		require.NoError(t, err)
		require.Len(t, claimed, 1)
		require.NoError(t, x.store.FreeOthers(t.Context(), x.owner))
	}
	s := x.settle(ref)
	require.Equal(t, jobs.Completed, s.Status)
	require.Equal(t, []string{"r1 claimed_too_often", "r2 claimed_too_often", "r3 claimed_too_often", "r4 claimed_too_often"}, x.ids(s.ErrorFileID))
	require.Equal(t, []string{"r5", "r6"}, x.ids(s.OutputFileID))
}
