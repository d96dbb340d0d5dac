package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/store"
)

// refusing answers 400 to the requests that it is told to, by their prompt's number and model.
func (x *exchange) refusing(refuse func(prompt, model string) bool) {
	x.t.Helper()
	answer := x.answer
	x.answer = func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !refuse(gjson.GetBytes(body, "messages.0.content").String(), gjson.GetBytes(body, "model").String()) {
			answer(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}`)
	}
}

func (x *exchange) retry(ref jobs.Ref, n jobs.BatchRetry) jobs.Ref {
	x.t.Helper()
	n.Webhook = &jobs.Webhook{URL: "https://example.com/hook", Method: "POST"}
	s, err := x.service.RetryBatch(x.t.Context(), ref, n)
	require.NoError(x.t, err)
	return s.Ref()
}

// text reads a file whole.
func (x *exchange) text(fileID string) string {
	x.t.Helper()
	_, r, err := x.service.FileContent(x.t.Context(), jobs.Ref{ProjectID: "default", ID: fileID})
	require.NoError(x.t, err)
	defer r.Close()
	text, err := io.ReadAll(r)
	require.NoError(x.t, err)
	return string(text)
}

func numbers(from, to int) (ids []string) {
	for i := from; i <= to; i++ {
		ids = append(ids, fmt.Sprintf("r%d", i))
	}
	return ids
}

// TestRetryRunsTheFailedLinesAlone, twice, the second time with another model; the files of the last one hold everything.
func TestRetryRunsTheFailedLinesAlone(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	mended := false
	x.refusing(func(prompt, model string) bool {
		return prompt == "3" || model == "m1" && (prompt == "9" || prompt == "10" && !mended)
	})
	first := x.settle(x.batch(request(1) + "\n\n" + strings.SplitN(requests(11), "\n", 2)[1])) // a blank line is a place of its own
	require.EqualValues(t, 8, first.Completed)
	require.EqualValues(t, 40, first.TotalTokens)

	mended = true
	calls := x.calls.Load()
	ref := x.retry(first.Ref(), jobs.BatchRetry{})
	second := x.settle(ref)
	require.Equal(t, jobs.Completed, second.Status)
	require.EqualValues(t, 3, x.calls.Load()-calls, "nothing that has an answer is called again")
	require.Equal(t, []int64{11, 9, 2, 8, 5}, []int64{second.Total, second.Completed, second.Failed, second.Copied, second.TotalTokens}, "what was paid before is not counted again")
	require.Equal(t, []string{"r1", "r2", "r4", "r5", "r6", "r7", "r8", "r10", "r11"}, x.ids(second.OutputFileID), "in the input's order")
	require.Equal(t, []string{"r3", "r9"}, x.ids(second.ErrorFileID))
	require.Equal(t, first.ID, second.RetryOf)
	require.Equal(t, []string{"batch.created", "batch.in_progress", "batch.completed"}, x.events(ref))
	for line := range strings.Lines(x.text(first.OutputFileID)) {
		require.Contains(t, x.text(second.OutputFileID), line, "byte for byte")
	}

	calls = x.calls.Load()
	third := x.settle(x.retry(ref, jobs.BatchRetry{Model: "m2"}))
	require.EqualValues(t, 2, x.calls.Load()-calls)
	require.Equal(t, "m2", third.Model)
	require.Equal(t, []int64{10, 1, 9}, []int64{third.Completed, third.Failed, third.Copied})
	require.Equal(t, []string{"r3"}, x.ids(third.ErrorFileID))
	require.Equal(t, "m2", gjson.Get(x.text(third.ErrorFileID), "body.model").String(), "the request that was sent")
	require.Equal(t, string(first.Object()), string(ended(x, first.Ref())), "the first one stands as it stood")

	before := x.job(third.Ref())
	fourth := x.settle(x.retry(third.Ref(), jobs.BatchRetry{}))
	require.Equal(t, "m2", fourth.Model, "as in the batch that is retried")
	require.Equal(t, before.Completed, fourth.Copied)
}

func ended(x *exchange, ref jobs.Ref) []byte {
	s := x.job(ref)
	return s.Object()
}

// TestRetryChangesTheModelAlone: every other byte of a body goes out as it came, wherever the model stands.
func TestRetryChangesTheModelAlone(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	sent := make(chan string, 9)
	x.answer = func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sent <- string(body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":{"message":"no"}}`)
	}
	body := `{ "seed":12345678901234567890, "model" : "m1" ,"x":1e400,"messages":[{"role":"user","content":"model"}],"metadata":{"model":"m1"},"mod\u0065l":"m1"}`
	first := x.settle(x.batch(`{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":` + body + `}`))
	require.Equal(t, body, <-sent)
	x.settle(x.retry(first.Ref(), jobs.BatchRetry{Model: "m<2"}))
	require.Equal(t, `{ "seed":12345678901234567890, "model":"m\u003c2" ,"x":1e400,"messages":[{"role":"user","content":"model"}],"metadata":{"model":"m1"},"model":"m\u003c2"}`, <-sent)
	x.settle(x.retry(first.Ref(), jobs.BatchRetry{Model: "m1"}))
	require.Equal(t, body, <-sent)
}

// TestRetryWithAModelThatIsServed: the one that the lines name may be gone; the one that they are to have must be there.
func TestRetryWithAModelThatIsServed(t *testing.T) {
	t.Parallel()
	for serves, want := range map[string]jobs.Status{"m2": jobs.Completed, "m3": jobs.Failed} {
		t.Run("only "+serves, func(t *testing.T) {
			t.Parallel()
			x := newExchange(t)
			x.refusing(func(_, model string) bool { return model == "m1" })
			old := x.settle(x.batch(requests(2)))
			ref := x.retry(old.Ref(), jobs.BatchRetry{Model: "m2"})
			upstream := httptest.NewServer(http.HandlerFunc(x.answer))
			t.Cleanup(upstream.Close)
			other, err := providers.New(providers.Options{Providers: []providers.Config{{
				Name: "up", BaseURL: upstream.URL + "/v1", Models: []string{serves}, Concurrency: 8, Timeout: 10 * time.Second,
			}}})
			require.NoError(t, err)
			t.Cleanup(other.Close)
			x.runner.Router = other
			s := x.settle(ref)
			require.Equal(t, want, s.Status)
			if want == jobs.Failed {
				require.Equal(t, []string{"model_not_found body.model 1"}, reasons(s))
				require.Contains(t, string(s.Errors), "'m2'")
			}
		})
	}
}

// TestRetryOfWhatEndedEarly runs what was never answered.
func TestRetryOfWhatEndedEarly(t *testing.T) {
	t.Parallel()
	for name, end := range map[jobs.Status]func(x *exchange, ref jobs.Ref){
		jobs.Cancelled: func(x *exchange, ref jobs.Ref) {
			_, err := x.service.Cancel(x.t.Context(), ref)
			require.NoError(x.t, err)
		},
		jobs.Expired: func(x *exchange, _ jobs.Ref) { x.later(25 * time.Hour) },
		jobs.Failed: func(x *exchange, ref jobs.Ref) {
			x.later(25 * time.Hour)
			for range jobs.MaxClaims {
				_, err := x.store.ClaimJobs(x.t.Context(), "dead", []jobs.Ref{ref}, jobs.At(x.now()))
				require.NoError(x.t, err)
				require.NoError(x.t, x.store.FreeOthers(x.t.Context(), x.owner))
			}
		},
	} {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			x := newExchange(t)
			ref := x.batch(requests(12))
			for range 2 { // two of three shards are awake
				x.later(time.Second)
				x.sweep()
			}
			end(x, ref)
			x.runner.WorkJobs(t.Context(), []string{ref.String()}) // before its last shard
			old := x.settle(ref)
			require.Equal(t, name, old.Status)
			require.EqualValues(t, 8, old.Completed)
			s := x.settle(x.retry(ref, jobs.BatchRetry{}))
			require.Equal(t, jobs.Completed, s.Status)
			require.Equal(t, numbers(1, 12), x.ids(s.OutputFileID))
			require.Empty(t, s.ErrorFileID)
			require.EqualValues(t, 12, x.calls.Load())
		})
	}
}

// TestRetryIsRefused where nothing can come of it.
func TestRetryIsRefused(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	refused := func(ref jobs.Ref, code jobs.Code, what string) {
		t.Helper()
		_, err := x.service.RetryBatch(t.Context(), ref, jobs.BatchRetry{Model: "m1"})
		require.True(t, jobs.IsCode(err, code), "%v", err)
		require.ErrorContains(t, err, what)
	}
	running := x.batch(requests(1))
	refused(running, jobs.CodeConflict, "status 'validating'")
	x.settle(running)
	refused(running, jobs.CodeConflict, "nothing is left")
	invalid := x.settle(x.batch("{}"))
	refused(invalid.Ref(), jobs.CodeConflict, "before any of its requests was run")
	refused(x.generation(), jobs.CodeNotFound, "No batch")
	refused(jobs.Ref{ProjectID: "default", ID: "batch_none"}, jobs.CodeNotFound, "")

	x.refusing(func(string, string) bool { return true })
	failed := x.settle(x.batch(requests(1)))
	_, err := x.service.RetryBatch(t.Context(), failed.Ref(), jobs.BatchRetry{Model: "none"})
	require.True(t, jobs.IsCode(err, jobs.CodeModel), "%v", err)
	require.NoError(t, x.service.DeleteFile(t.Context(), jobs.Ref{ProjectID: "default", ID: failed.InputFileID}))
	refused(failed.Ref(), jobs.CodeConflict, "was deleted or has expired")
}

// TestRetryWithoutItsInput: the client deletes it between the answer and the look at it.
func TestRetryWithoutItsInput(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	x.refusing(func(string, string) bool { return true })
	old := x.settle(x.batch(requests(1)))
	ref := x.retry(old.Ref(), jobs.BatchRetry{})
	require.NoError(t, x.service.DeleteFile(t.Context(), jobs.Ref{ProjectID: "default", ID: old.InputFileID}))
	s := x.settle(ref)
	require.Equal(t, jobs.Failed, s.Status)
	require.Equal(t, []string{"invalid_request file_id 0"}, reasons(s))
}

// TestRetryCancelledBeforeItsLook ends with nothing, and the batch before it can be retried again.
func TestRetryCancelledBeforeItsLook(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	x.refusing(func(prompt, _ string) bool { return prompt == "2" })
	old := x.settle(x.batch(requests(3)))
	ref := x.retry(old.Ref(), jobs.BatchRetry{})
	_, _, err := x.store.CopyLines(t.Context(), old.Ref(), ref, 0) // it was looking already
	require.NoError(t, err)
	_, err = x.service.Cancel(t.Context(), ref)
	require.NoError(t, err)
	s := x.settle(ref)
	require.Equal(t, jobs.Cancelled, s.Status)
	require.Zero(t, s.Total+s.Completed+s.Failed)
	require.Empty(t, s.OutputFileID+s.ErrorFileID)
	require.Equal(t, jobs.Completed, x.settle(x.retry(old.Ref(), jobs.BatchRetry{})).Status)
}

// crashing is a store that fails, as a process that dies would, in the middle of a copy.
type crashing struct {
	*store.Store
	left int // pages until then
}

var errCrash = errors.New("crash")

func (c *crashing) CopyLines(ctx context.Context, from, to jobs.Ref, after int64) (last, n int64, err error) {
	if c.left--; c.left < 0 {
		return 0, 0, errCrash
	}
	return c.Store.CopyLines(ctx, from, to, after)
}

// TestCrashWhileAnswersAreTakenOver: whatever stands already, the end is the same.
func TestCrashWhileAnswersAreTakenOver(t *testing.T) {
	t.Parallel()
	for pages := range 3 {
		t.Run(fmt.Sprintf("after %d pages", pages), func(t *testing.T) {
			t.Parallel()
			x := newExchange(t)
			x.refusing(func(prompt, _ string) bool { return prompt == "7" })
			old := x.settle(x.batch(requests(12)))
			ref := x.retry(old.Ref(), jobs.BatchRetry{})
			plain := x.runner.Store
			x.runner.Store = &crashing{x.store, pages}
			x.later(time.Second)
			x.sweep()
			x.runner.Store = plain
			if pages < 2 { // the second page is the empty one, which is the end
				require.Equal(t, jobs.Validating, x.job(ref).Status)
				require.Zero(t, x.job(ref).Completed, "nothing is counted before all of it stands")
			}
			s := x.settle(ref)
			require.Equal(t, jobs.Completed, s.Status)
			require.Equal(t, []int64{11, 1, 11}, []int64{s.Completed, s.Failed, s.Copied})
			require.Len(t, x.ids(s.OutputFileID), 11)
			require.EqualValues(t, 13, x.calls.Load())
		})
	}
}
