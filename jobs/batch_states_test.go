package jobs_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// TestJ7CancelAfterTheEnd: a batch that has ended otherwise stays as it ended.
func TestJ7CancelAfterTheEnd(t *testing.T) {
	t.Parallel()
	for status, end := range map[jobs.Status]func(x *exchange) jobs.Ref{
		jobs.Failed: func(x *exchange) jobs.Ref { return x.batch("{}") },
		jobs.Expired: func(x *exchange) jobs.Ref {
			ref := x.batch(requests(12))
			x.later(time.Second)
			x.sweep()
			x.later(25 * time.Hour)
			x.runner.WorkJobs(x.t.Context(), []string{ref.String()})
			return ref
		},
	} {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			x := newExchange(t)
			ref := end(x)
			before := x.settle(ref)
			require.Equal(t, status, before.Status)
			for range 2 {
				_, err := x.service.Cancel(t.Context(), ref)
				require.True(t, jobs.IsCode(err, jobs.CodeConflict), "%v", err)
			}
			require.Equal(t, string(before.Object()), string(ended(x, ref)))
		})
	}
}

// TestJ7CancelWhileItExpires: whichever came first counts.
func TestJ7CancelWhileItExpires(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	expiring, cancelling := x.batch(requests(4)), x.batch(requests(4))
	x.later(time.Second)
	x.sweep()
	_, err := x.service.Cancel(t.Context(), cancelling)
	require.NoError(t, err)
	x.later(25 * time.Hour)
	x.runner.WorkJobs(t.Context(), []string{expiring.String()})
	require.Equal(t, jobs.Finalizing, x.job(expiring).Status)
	_, err = x.service.Cancel(t.Context(), expiring)
	require.True(t, jobs.IsCode(err, jobs.CodeConflict), "%v", err)
	require.Equal(t, jobs.Expired, x.settle(expiring).Status)
	require.Equal(t, jobs.Cancelled, x.settle(cancelling).Status)
	require.Equal(t, []string{"batch.created", "batch.in_progress", "batch.expired"}, x.events(expiring))
	require.Equal(t, []string{"batch.created", "batch.in_progress", "batch.cancelled"}, x.events(cancelling))
}

// TestJ7InputDeleted before a batch is looked at, and while its files are written.
func TestJ7InputDeleted(t *testing.T) {
	t.Parallel()
	for sweeps, want := range map[int]jobs.Status{0: jobs.Failed, 2: jobs.Completed} {
		t.Run(string(want), func(t *testing.T) {
			t.Parallel()
			x := newExchange(t)
			x.refusing(func(prompt, _ string) bool { return prompt == "2" })
			ref := x.batch(requests(4))
			for range sweeps {
				x.later(time.Second)
				x.sweep()
			}
			before := x.job(ref)
			require.NoError(t, x.service.DeleteFile(t.Context(), jobs.Ref{ProjectID: "default", ID: before.InputFileID}))
			s := x.settle(ref)
			require.Equal(t, want, s.Status)
			if want == jobs.Failed {
				require.Equal(t, []string{"invalid_request file_id 0"}, reasons(s))
				return
			}
			require.Equal(t, jobs.Finalizing, before.Status)
			require.Equal(t, []string{"r1", "r3", "r4"}, x.ids(s.OutputFileID))
			require.Equal(t, "m1", gjson.Get(x.text(s.ErrorFileID), "body.model").String(), "its bytes stay for the requests that failed")
		})
	}
}

// TestJ7OutputDeleted: what a batch has written may go at any time; a batch that reads it has it to its end, and a retry
// needs neither file.
func TestJ7OutputDeleted(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	refuse := true
	x.refusing(func(prompt, _ string) bool { return refuse && prompt == "2" })
	first := x.settle(x.batch(requests(4)))
	refuse = false
	again := x.again(first.ErrorFileID)
	x.later(time.Second)
	x.sweep()
	for _, id := range []string{first.OutputFileID, first.ErrorFileID} {
		require.NoError(t, x.service.DeleteFile(t.Context(), jobs.Ref{ProjectID: "default", ID: id}))
	}
	require.Equal(t, string(first.Object()), string(ended(x, first.Ref())), "the batch still names them")
	second := x.settle(again)
	require.Equal(t, []string{"r2"}, x.ids(second.OutputFileID))
	third := x.settle(x.retry(first.Ref(), jobs.BatchRetry{}))
	require.Equal(t, numbers(1, 4), x.ids(third.OutputFileID))
}
