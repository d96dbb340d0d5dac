package store

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// TestFleetRecordsLinesOnce: two processes keep the same lines of one batch at once, in any order, while a third pages. Each
// line counts once, the last one makes the batch final, once, and who pages misses none.
func TestFleetRecordsLinesOnce(t *testing.T) {
	t.Parallel()
	const total = 600
	f := fleet(t)
	job := f[0].running(total - 1)
	var read []int64
	paging := f[0].another()
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		q := jobs.ResultQuery{Job: job}
		for len(read) < total {
			lines, last, err := paging.Results(t.Context(), q)
			if err != nil || stopped(stop) && len(lines) == 0 {
				return
			}
			for _, text := range lines {
				var n int64
				_, _ = fmt.Sscanf(string(text), `{"n":%d`, &n)
				read = append(read, n)
			}
			q.After = last
		}
	})
	var finals tally
	errs := together(f, 2, func(w *world, owner string) error {
		for set := range slices.Chunk(shuffled(span(1, total)), 7) {
			var lines []jobs.Line
			for _, n := range set {
				l := line(job, n, n%3 != 0, fmt.Sprintf(`{"n":%d}`, n))
				l.TotalTokens = n
				lines = append(lines, l)
			}
			woken, err := w.RecordLines(t.Context(), lines)
			if err != nil {
				return err
			}
			for range woken.Batches {
				finals.add(owner)
			}
		}
		return nil
	})
	close(stop)
	reader.Wait()
	require.Empty(t, errs)
	finals.requireOnce(t, 1)
	made := must(f[0].Job(t.Context(), job))(t)
	require.Equal(t, jobs.Finalizing, made.Status)
	require.Equal(t, []int64{total * 2 / 3, total / 3, total * (total + 1) / 2}, []int64{made.Completed, made.Failed, made.TotalTokens})
	slices.Sort(read)
	require.Equal(t, span(1, total), read, "who pages misses none and sees none twice")
}

func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// inShards makes a batch in progress of so many shards of a line each.
func (w *world) inShards(n int) jobs.Ref {
	w.t.Helper()
	j := newBatch(w.now())
	must(w.CreateJob(w.t.Context(), jobs.NewJob{Job: j}))(w.t)
	_, _, err := w.Move(w.t.Context(), j.Ref(), func(j *jobs.Job) (jobs.Effects, error) {
		j.Status, j.Total = jobs.InProgress, int64(n)
		j.Due(j.ExpiresAt)
		var shards []jobs.Shard
		for i := range n {
			shards = append(shards, jobs.Shard{ProjectID: "default", ID: fmt.Sprintf("%s:%d", j.ID, i), JobID: j.ID, N: i, FirstLine: int64(i + 1), LastLine: int64(i + 1), Lines: 1})
		}
		return jobs.Effects{Shards: shards}, nil
	})
	require.NoError(w.t, err)
	return j.Ref()
}

// awake are a batch's shards that are due.
func (w *world) awake(job jobs.Ref) (refs []jobs.Ref, err error) {
	err = byJob(w.reads.WithContext(w.t.Context()).Model(&jobs.Shard{}), job).Select("project_id, id").Where("due_at > 0").Scan(&refs).Error
	return refs, err
}

// TestFleetGivesEveryShardItsTurn: however many end at once, each wakes another one. Two are awake at any time until the
// last ones.
func TestFleetGivesEveryShardItsTurn(t *testing.T) {
	t.Parallel()
	const shards = 100
	f := fleet(t)
	job := f[0].inShards(shards)
	f[0].exec("UPDATE shards SET due_at = ? WHERE n < 6", f[0].now()) // six are awake
	var finished, woken tally
	require.Empty(t, together(f, 3, func(w *world, owner string) error {
		for began := time.Now(); ; {
			refs, err := w.awake(job)
			if err != nil || len(refs) == 0 {
				return err
			}
			claimed, err := w.ClaimShards(t.Context(), owner, shuffled(refs)[:1], w.now())
			if err != nil {
				return err
			}
			if time.Since(began) > 30*time.Second {
				return errors.New("some shards never got their turn")
			}
			for _, s := range claimed {
				next, err := w.FinishShard(t.Context(), s, w.now())
				if err != nil {
					return err
				}
				finished.add(s.ID)
				for _, ref := range next.Shards {
					woken.add(ref.ID)
				}
			}
		}
	}))
	finished.requireOnce(t, shards)
	woken.requireOnce(t, shards-6)
	require.Zero(t, f[0].count("shards WHERE NOT done"))
}

// TestFleetCancelsForGood: whatever others do with a batch's shards at the moment in which it is cancelled, none stays due.
func TestFleetCancelsForGood(t *testing.T) {
	t.Parallel()
	f := fleet(t)
	for range 60 {
		job := f[0].inShards(5)
		var wg sync.WaitGroup
		var held []jobs.Shard
		var errs [3]error
		wg.Go(func() {
			_, _, errs[0] = f[1].Move(t.Context(), job, func(j *jobs.Job) (jobs.Effects, error) {
				j.Status, j.Ending = jobs.Cancelling, jobs.Cancelled
				j.Due(f[1].now())
				return jobs.Effects{Hush: true}, nil
			})
		})
		wg.Go(func() { errs[1] = f[0].work(job, ":0", func(s jobs.Shard) error { return f[0].finish(s) }) })
		wg.Go(func() {
			errs[2] = f[0].work(job, ":1", func(s jobs.Shard) error { return f[0].ReturnShard(t.Context(), s, f[0].now(), "") })
			if errs[2] == nil {
				held, errs[2] = f[0].ClaimShards(t.Context(), "last", []jobs.Ref{host(job.ID + ":1")}, f[0].now())
			}
		})
		wg.Wait()
		require.Equal(t, [3]error{}, errs)
		require.Zero(t, f[0].count("shards WHERE due_at > 0 OR wake_at > 0"))
		for _, s := range held {
			require.NoError(t, f[0].ReturnShard(t.Context(), s, f[0].now(), ""))
		}
		require.Zero(t, f[0].count("shards WHERE due_at > 0 OR wake_at > 0 OR owner <> ''"), "what was held is put to rest")
	}
}

func (w *world) finish(s jobs.Shard) error {
	_, err := w.FinishShard(w.t.Context(), s, w.now())
	return err
}

// work claims one shard, if it can be claimed, and does something with it.
func (w *world) work(job jobs.Ref, n string, do func(jobs.Shard) error) error {
	claimed, err := w.ClaimShards(w.t.Context(), "own", []jobs.Ref{host(job.ID + n)}, w.now())
	if err != nil || len(claimed) == 0 {
		return err
	}
	return do(claimed[0])
}
