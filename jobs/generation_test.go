package jobs_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/store"
)

// TestGenerationByOutcome has a row for each kind of answer: what the generation becomes, why, and after how many calls.
// The provider allows one retry.
func TestGenerationByOutcome(t *testing.T) {
	t.Parallel()
	const good = `{"choices":[{"message":{"content":"yes"}}]}`
	type answer struct {
		status int
		body   string
	}
	tests := []struct {
		name    string
		answers []answer // the last one again and again
		want    jobs.Status
		code    string
		calls   int64
	}{
		{"answered", []answer{{200, good}}, jobs.Completed, "", 1},
		{"a server error, then answered", []answer{{500, `{}`}, {200, good}}, jobs.Completed, "", 2},
		{"server errors", []answer{{500, `{}`}}, jobs.Failed, "overloaded", 2},
		{"refusals are no tries", []answer{{429, `{}`}, {429, `{}`}, {200, good}}, jobs.Completed, "", 3},
		{"a refusal, a server error, then answered", []answer{{429, `{}`}, {500, `{}`}, {200, good}}, jobs.Completed, "", 3},
		{"no quota", []answer{{429, `{"error":{"message":"pay","code":"insufficient_quota"}}`}}, jobs.Failed, "quota_exceeded", 1},
		{"a bad request", []answer{{400, `{"error":{"message":"no"}}`}}, jobs.Failed, "rejected", 1},
		{"a wrong key", []answer{{401, `{"error":{"message":"no"}}`}}, jobs.Failed, "unauthorized", 1},
		{"an error dressed as an answer", []answer{{200, `{"error":{"message":"oh"}}`}}, jobs.Failed, "invalid_answer", 2},
		{"no JSON", []answer{{200, `<html>`}}, jobs.Failed, "invalid_answer", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newExchange(t)
			x.answer = func(w http.ResponseWriter, _ *http.Request) {
				a := tt.answers[min(int(x.calls.Load()), len(tt.answers))-1]
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(a.status)
				fmt.Fprint(w, a.body)
			}
			ref := x.generation()
			s := x.settle(ref)
			require.Equal(t, tt.want, s.Status, "%s", s.Object())
			require.Equal(t, tt.code, gjson.GetBytes(s.Object(), "error.code").String())
			require.Equal(t, tt.calls, x.calls.Load())
			require.Equal(t, []string{"generation.in_progress", "generation." + string(tt.want)}, x.events(ref))
		})
	}
}

// choosy is a store that refuses for good what is given to it: answers, and shards whose batch it does not know any more.
type choosy struct {
	*store.Store
	answers, shards atomic.Int64 // refused
}

func (c *choosy) Move(ctx context.Context, ref jobs.Ref, move func(*jobs.Job) (jobs.Effects, error)) (jobs.Snapshot, jobs.Woken, error) {
	return c.Store.Move(ctx, ref, func(j *jobs.Job) (jobs.Effects, error) {
		fx, err := move(j)
		if err == nil && fx.Result != nil {
			c.answers.Add(1)
			return fx, jobs.Errorf(jobs.CodeValue, "", "A text holds a character that cannot be kept.")
		}
		return fx, err
	})
}

func (c *choosy) ReturnShard(_ context.Context, s jobs.Shard, _ jobs.Time, _ jobs.Blocked) error {
	c.shards.Add(1)
	return jobs.NotFound("No job found with id '%s'.", s.JobID)
}

// TestAnAnswerThatCanNeverBeKept ends its job, which nobody holds then; the call is not made again.
func TestAnAnswerThatCanNeverBeKept(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	c := &choosy{Store: x.store}
	x.runner.Store = c
	ref := x.generation()
	failed := x.settle(ref)
	require.Equal(t, jobs.Failed, failed.Status)
	require.Equal(t, "outcome_not_kept", gjson.GetBytes(failed.Object(), "error.code").String())
	require.Empty(t, failed.Owner)
	require.EqualValues(t, 1, x.calls.Load())
	require.EqualValues(t, 1, c.answers.Load())
	require.Equal(t, []string{"generation.in_progress", "generation.failed"}, x.events(ref))
}

// TestAShardThatNobodyKnows any more is let go of, and its worker with it.
func TestAShardThatNobodyKnows(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	c := &choosy{Store: x.store}
	x.runner.Store = c
	x.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusTooManyRequests)
	}
	x.batch(requests(1))
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		for c.shards.Load() == 0 && t.Context().Err() == nil {
			x.later(time.Second)
			x.sweep()
		}
	}()
	select {
	case <-worked:
		require.EqualValues(t, 1, c.shards.Load())
	case <-time.After(20 * time.Second):
		t.Fatalf("the worker holds on to it: %d tries", c.shards.Load())
	}
}
