package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// TestReplayedKeys: a key is looked up by itself, for a day: the same request is answered, another is refused.
func TestReplayedKeys(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		key := func(hash byte) *jobs.Idempotency { return &jobs.Idempotency{Key: "k", Hash: []byte{hash}} }
		asked := func(project string, idem *jobs.Idempotency) error { return w.Replayed(t.Context(), project, idem) }
		require.NoError(t, asked("default", nil))
		require.NoError(t, asked("default", key(1)))
		_, err := w.CreateJob(t.Context(), jobs.NewJob{Job: newBatch(begun), Idempotency: key(1), Answer: []byte("first")})
		require.NoError(t, err)
		var replay *jobs.Replay
		require.ErrorAs(t, asked("default", key(1)), &replay)
		require.Equal(t, "first", string(replay.Answer))
		require.True(t, jobs.IsCode(asked("default", key(2)), jobs.CodeKeyReused))
		require.NoError(t, asked("other", key(1)))
		w.pass(keyTTL)
		require.NoError(t, asked("default", key(2)))
	})
}

// TestFilesOfWaitingJobsDoNotExpire: what a job that is planned for later will read stays until then.
func TestFilesOfWaitingJobsDoNotExpire(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		keep := func(id string) {
			f := jobs.File{ProjectID: "default", ID: id, Filename: "f", Purpose: "batch", Blob: "in/" + id, CreatedAt: w.now(), ExpiresAt: w.now().Add(time.Hour)}
			require.NoError(t, w.CreateFile(t.Context(), f, nil))
		}
		for _, id := range []string{"file-input", "file-validation", "file-nobody"} {
			keep(id)
		}
		batch := newBatch(w.now())
		batch.InputFileID = "file-input"
		_, err := w.CreateJob(t.Context(), jobs.NewJob{Job: batch})
		require.NoError(t, err)
		w.planned(func(j *jobs.Job) { j.Kind, j.ValidationFileID = jobs.KindTuning, "file-validation" })
		w.pass(2 * time.Hour)
		janitor := &Janitor{Store: w.Store}
		n, err := janitor.expired(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, 2, w.count("files WHERE deleted_at = 0"))
		_, _, err = w.Move(t.Context(), batch.Ref(), func(j *jobs.Job) (jobs.Effects, error) {
			j.Status, j.EndedAt = jobs.Failed, w.now()
			j.Rest()
			return jobs.Effects{}, nil
		})
		require.NoError(t, err)
		n, err = janitor.expired(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n, "its job has ended")
	})
}
