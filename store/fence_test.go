package store

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

func newBatch(now jobs.Time) jobs.Job {
	j := jobs.Job{
		ProjectID: "default", ID: jobs.NewID("batch_"), Kind: jobs.KindBatch, Status: jobs.Validating,
		Path: "/v1/chat/completions", CreatedAt: now, ChangedAt: now, ExpiresAt: now.Add(time.Hour),
	}
	j.Due(now)
	return j
}

// running makes a batch of two shards with two lines each, in progress.
func running(t *testing.T, s *Store) jobs.Ref {
	t.Helper()
	j := newBatch(s.now())
	hook := &jobs.Webhook{URL: "https://example.com/hook?token=canary-query", Method: "POST", Headers: map[string]string{"X-T": "canary-header"}}
	j.Webhook = callbacks.Shown(hook)
	_, err := s.CreateJob(t.Context(), jobs.NewJob{Job: j, Webhook: hook})
	require.NoError(t, err)
	_, woken, err := s.Move(t.Context(), j.Ref(), func(j *jobs.Job) (jobs.Effects, error) {
		j.Status, j.Total = jobs.InProgress, 4
		j.Due(j.ExpiresAt)
		var shards []jobs.Shard
		for n := range 3 {
			shards = append(shards, jobs.Shard{ProjectID: "default", ID: fmt.Sprintf("%s:%d", j.ID, n), JobID: j.ID, N: n, FirstLine: int64(2*n + 1), LastLine: int64(2*n + 2), Lines: 2})
		}
		return jobs.Effects{Shards: shards}, nil
	})
	require.NoError(t, err)
	require.Len(t, woken.Shards, 2, "only so many are awake")
	return j.Ref()
}

func line(ref jobs.Ref, n int64, ok bool, text string) jobs.Line {
	return jobs.Line{ProjectID: ref.ProjectID, JobID: ref.ID, Line: n, OK: ok, Text: []byte(text)}
}

func TestJobsAreClaimedOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		s := w.Store
		j := newBatch(s.now())
		_, err := s.CreateJob(t.Context(), jobs.NewJob{Job: j})
		require.NoError(t, err)
		var mu sync.Mutex
		var claims []jobs.Job
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				got, err := s.ClaimJobs(t.Context(), fmt.Sprint("own_", i), []jobs.Ref{j.Ref(), {ProjectID: "default", ID: "batch_none"}}, s.now())
				mu.Lock()
				defer mu.Unlock()
				require.NoError(t, err)
				claims = append(claims, got...)
			})
		}
		wg.Wait()
		require.Len(t, claims, 1)
		require.EqualValues(t, 1, claims[0].Attempt)
		require.Equal(t, 1, claims[0].Claims)
	})
}

func TestNothingIsClaimedBeforeItIsDue(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		s := w.Store
		j := newBatch(s.now())
		j.Due(s.now().Add(time.Hour))
		_, err := s.CreateJob(t.Context(), jobs.NewJob{Job: j})
		require.NoError(t, err)
		got, err := s.ClaimJobs(t.Context(), "own", []jobs.Ref{j.Ref()}, s.now())
		require.NoError(t, err)
		require.Empty(t, got, "a wake-up decides nothing")
		got, err = s.ClaimJobs(t.Context(), "own", []jobs.Ref{j.Ref()}, s.now().Add(2*time.Hour))
		require.NoError(t, err)
		require.Len(t, got, 1)
	})
}

// TestDueOffersOnce moves wake_at on in the statement that offers.
func TestDueOffersOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		s := w.Store
		now := time.Now()
		s.options.Now = func() time.Time { return now }
		for range 5 {
			_, err := s.CreateJob(t.Context(), jobs.NewJob{Job: newBatch(s.now())})
			require.NoError(t, err)
		}
		offered := func() int { refs, err := s.DueBatches(t.Context(), 3); require.NoError(t, err); return len(refs) }
		require.Zero(t, offered(), "the commit's own wake-up is on its way")
		now = now.Add(wakeSlack)
		require.Equal(t, 3, offered())
		require.Equal(t, 2, offered())
		require.Zero(t, offered())
		now = now.Add(offerAgain)
		require.Equal(t, 3, offered(), "a task that died with its offer blocks nothing")
	})
}

func TestLateFinisherIsRefused(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		s := w.Store
		ref := running(t, s)
		shard := jobs.Ref{ProjectID: "default", ID: ref.ID + ":0"}
		claimed, err := s.ClaimShards(t.Context(), "frozen", []jobs.Ref{shard}, s.now())
		require.NoError(t, err)
		require.Len(t, claimed, 1)
		require.NoError(t, s.FreeOthers(t.Context(), "alive"))
		again, err := s.ClaimShards(t.Context(), "alive", []jobs.Ref{shard}, s.now())
		require.NoError(t, err)
		require.Len(t, again, 1)

		_, err = s.FinishShard(t.Context(), claimed[0], s.now())
		require.ErrorIs(t, err, jobs.ErrStale)
		require.ErrorIs(t, s.ReturnShard(t.Context(), claimed[0], s.now(), ""), jobs.ErrStale)
		woken, err := s.FinishShard(t.Context(), again[0], s.now())
		require.NoError(t, err)
		require.Equal(t, []jobs.Ref{{ProjectID: "default", ID: ref.ID + ":2"}}, woken.Shards, "the next one wakes")
	})
}

// TestFirstOutcomeOfALineWins holds whatever attempt it comes from, and counters move by rows that are new.
func TestFirstOutcomeOfALineWins(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		s := w.Store
		ref := running(t, s)
		record := func(lines ...jobs.Line) jobs.Woken {
			woken, err := s.RecordLines(t.Context(), lines)
			require.NoError(t, err)
			return woken
		}
		one := line(ref, 1, true, `{"first":1}`)
		one.TotalTokens = 5
		record(one, line(ref, 2, false, `{"bad":2}`), line(ref, 1, true, `{"same set":1}`))
		record(line(ref, 1, false, `{"later":1}`), line(ref, 3, true, `{"ok":3}`))
		job, err := s.Job(t.Context(), ref)
		require.NoError(t, err)
		require.EqualValues(t, 2, job.Completed)
		require.EqualValues(t, 1, job.Failed)
		require.EqualValues(t, 5, job.TotalTokens)
		require.Equal(t, jobs.InProgress, job.Status)

		woken := record(line(ref, 4, true, `{"ok":4}`))
		require.Equal(t, []jobs.Ref{ref}, woken.Batches, "the last line makes the batch due for its files")
		job, err = s.Job(t.Context(), ref)
		require.NoError(t, err)
		require.Equal(t, jobs.Finalizing, job.Status)
		ok := true
		page, err := s.Lines(t.Context(), jobs.LineQuery{Job: ref, OK: &ok})
		require.NoError(t, err)
		require.Len(t, page, 3)
		require.Equal(t, `{"first":1}`, string(page[0].Text))
	})
}

func TestLinesOfAnEndedBatchAreDropped(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		s := w.Store
		ref := running(t, s)
		_, _, err := s.Move(t.Context(), ref, func(j *jobs.Job) (jobs.Effects, error) {
			j.Status, j.EndedAt = jobs.Cancelled, s.now()
			j.Rest()
			return jobs.Effects{}, nil
		})
		require.NoError(t, err)
		_, err = s.RecordLines(t.Context(), []jobs.Line{line(ref, 1, true, "{}")})
		require.NoError(t, err)
		page, err := s.Lines(t.Context(), jobs.LineQuery{Job: ref})
		require.NoError(t, err)
		require.Empty(t, page)
		claimed, err := s.ClaimShards(t.Context(), "own", []jobs.Ref{{ProjectID: "default", ID: ref.ID + ":0"}}, s.now())
		require.NoError(t, err)
		require.Empty(t, claimed)
	})
}

// TestLinesArePagedByBytes bounds what a finalizer holds in memory.
func TestLinesArePagedByBytes(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		s := w.Store
		ref := running(t, s)
		text := make([]byte, 3<<20)
		for n := int64(1); n <= 4; n++ {
			_, err := s.RecordLines(t.Context(), []jobs.Line{line(ref, n, true, string(text))})
			require.NoError(t, err)
		}
		page, err := s.Lines(t.Context(), jobs.LineQuery{Job: ref, OK: new(bool)})
		require.NoError(t, err)
		require.Empty(t, page)
		ok := true
		page, err = s.Lines(t.Context(), jobs.LineQuery{Job: ref, OK: &ok})
		require.NoError(t, err)
		require.Len(t, page, 3, "8 MiB are reached by the third of 3 MiB")
		page, err = s.Lines(t.Context(), jobs.LineQuery{Job: ref, OK: &ok, After: page[2].Line})
		require.NoError(t, err)
		require.Len(t, page, 1)
	})
}

// TestEndEventAndDeliveryStandTogether aborts the transaction after each of its parts.
func TestEndEventAndDeliveryStandTogether(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		s := w.Store
		ref := running(t, s)
		end := func(j *jobs.Job) (jobs.Effects, error) {
			j.Status, j.EndedAt = jobs.Failed, s.now()
			j.Rest()
			return jobs.Effects{Events: []jobs.EventType{"batch.failed"}}, nil
		}
		err := s.write(t.Context(), func(tx *gorm.DB) error {
			if _, _, err := s.move(tx, ref, end); err != nil {
				return err
			}
			panic("the process ends here, before the commit")
		})
		require.ErrorContains(t, err, "the process ends here")
		events, _, err := s.Events(t.Context(), "default", "", 10)
		require.NoError(t, err)
		require.Empty(t, events)
		job, err := s.Job(t.Context(), ref)
		require.NoError(t, err)
		require.Equal(t, jobs.InProgress, job.Status)

		_, woken, err := s.Move(t.Context(), ref, end)
		require.NoError(t, err)
		require.Len(t, woken.Deliveries, 1)
		claimed, err := s.ClaimDeliveries(t.Context(), "own", behind(woken.Deliveries...), s.now())
		require.NoError(t, err)
		require.Len(t, claimed, 1)
		events, _, err = s.Events(t.Context(), "default", "", 10)
		require.NoError(t, err)
		require.Equal(t, events[0].Body, claimed[0].Body)
		require.Equal(t, "canary-header", claimed[0].Receiver.Headers["X-T"])
		require.NotEmpty(t, claimed[0].Receiver.Keys.Secrets, "the project's")
		require.NoError(t, claimed[0].Receiver.Keys.Check())
	})
}

func TestR11StaleOutcomeOfADeliveryIsRefusedAndRecorded(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		s := w.Store
		ref := running(t, s)
		_, woken, err := s.Move(t.Context(), ref, func(j *jobs.Job) (jobs.Effects, error) {
			j.Status = jobs.Failed
			j.Rest()
			return jobs.Effects{Events: []jobs.EventType{"batch.failed"}}, nil
		})
		require.NoError(t, err)
		frozen, err := s.ClaimDeliveries(t.Context(), "frozen", behind(woken.Deliveries...), s.now())
		require.NoError(t, err)
		require.NoError(t, s.FreeOthers(t.Context(), "alive"))
		alive, err := s.ClaimDeliveries(t.Context(), "alive", behind(woken.Deliveries...), s.now())
		require.NoError(t, err)
		outcome := func(c callbacks.Claimed, id string, state callbacks.State) []callbacks.Outcome {
			return []callbacks.Outcome{{
				Claimed: c, Attempt: callbacks.Attempt{ProjectID: "default", ID: id, DeliveryID: c.ID, Number: 1, StartedAt: s.now()},
				Decision: callbacks.Decision{State: state, Delay: time.Minute},
			}}
		}
		refused, err := s.RecordAttempts(t.Context(), outcome(alive[0], "att_1", callbacks.Delivered), s.now())
		require.NoError(t, err)
		require.Zero(t, refused)
		refused, err = s.RecordAttempts(t.Context(), outcome(frozen[0], "att_2", callbacks.Waiting), s.now())
		require.NoError(t, err)
		require.Equal(t, 1, refused)
		deliveries, attempts, err := s.JobDeliveries(t.Context(), ref)
		require.NoError(t, err)
		require.Equal(t, callbacks.Delivered, deliveries[0].State)
		require.Equal(t, 1, deliveries[0].Tries)
		require.Len(t, attempts, 3, "the repeat is on record, and so is that its first process ended")
		require.Equal(t, 2, deliveries[0].Recorded, "the refused one moves nothing")
	})
}

// TestUnreadableDeliveriesHoldUpNobody: one whose receiver does not open is handed out as broken, and while nothing can
// be read nothing is claimed.
func TestUnreadableDeliveriesHoldUpNobody(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		s := w.Store
		var due []jobs.Ref
		for range 2 {
			_, woken, err := s.Move(t.Context(), running(t, s), func(j *jobs.Job) (jobs.Effects, error) {
				j.Status = jobs.Failed
				j.Rest()
				return jobs.Effects{Events: []jobs.EventType{"batch.failed"}}, nil
			})
			require.NoError(t, err)
			due = woken.Deliveries // one gate: both go to one host
		}
		change := func(query string) {
			require.NoError(t, s.write(t.Context(), func(tx *gorm.DB) error { return tx.Exec(query).Error }))
		}
		change("ALTER TABLE webhooks RENAME TO hidden")
		_, err := s.ClaimDeliveries(t.Context(), "own", behind(due...), s.now())
		require.Error(t, err)
		change("ALTER TABLE hidden RENAME TO webhooks")
		w.exec("UPDATE webhooks SET spec = ? WHERE id = (SELECT min(id) FROM webhooks)", []byte{0})

		claimed, err := s.ClaimDeliveries(t.Context(), "own", behind(due...), s.now())
		require.NoError(t, err)
		require.Len(t, claimed, 2, "the failed claim has claimed nothing")
		broken := 0
		for _, c := range claimed {
			if c.Broken != nil {
				broken++
			} else {
				require.Equal(t, "canary-header", c.Receiver.Headers["X-T"])
			}
		}
		require.Equal(t, 1, broken)
	})
}
