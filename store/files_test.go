package store

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// lesson keeps a file of examples.
func (w *world) lesson() jobs.File {
	w.t.Helper()
	f := jobs.File{ProjectID: "default", ID: jobs.NewID("file-"), Filename: "a.jsonl", Purpose: jobs.PurposeFineTune, CreatedAt: w.now()}
	f.Blob = "in/" + f.ID
	require.NoError(w.t, w.CreateFile(w.t.Context(), f, nil))
	return f
}

// learning is a fine-tuning that reads files.
func (w *world) learning(training, validation string) jobs.NewJob {
	j := jobs.Job{
		ProjectID: "default", ID: jobs.NewID("ftjob-"), Kind: jobs.KindTuning, Status: jobs.ValidatingFiles, Model: "m",
		InputFileID: training, ValidationFileID: validation, CreatedAt: w.now(), ChangedAt: w.now(), Tuning: &jobs.Tuning{},
	}
	j.Due(w.now())
	return jobs.NewJob{Job: j, Body: []byte("{}")}
}

// TestJobsReadNoDeletedFile: it was there when the submission was judged, and is not any more. A batch's input is judged
// later.
func TestJobsReadNoDeletedFile(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		there, gone := w.lesson(), w.lesson()
		blob := must(w.DeleteFile(t.Context(), host(gone.ID), w.now()))(t)
		require.Equal(t, gone.Blob, blob)
		for name, n := range map[string]jobs.NewJob{
			"training": w.learning(gone.ID, ""), "validation": w.learning(there.ID, gone.ID), "unknown": w.learning("file-none", ""),
		} {
			_, err := w.CreateJob(t.Context(), n)
			require.True(t, jobs.IsCode(err, jobs.CodeNotFound), "%s: %v", name, err)
		}
		require.Zero(t, w.count("jobs"))
		must(w.CreateJob(t.Context(), w.learning(there.ID, there.ID)))(t)
		require.Empty(t, must(w.DeleteFile(t.Context(), host(there.ID), w.now()))(t), "it is read")
		batch := newBatch(w.now())
		batch.InputFileID = gone.ID
		must(w.CreateJob(t.Context(), jobs.NewJob{Job: batch}))(t)
	})
}

// TestADeleteAndAJobAtOnce: the bytes of a file go, or a job reads them; never both.
func TestADeleteAndAJobAtOnce(t *testing.T) {
	t.Parallel()
	f := fleet(t)
	w := f[0]
	for name, create := range map[string]func(file string) error{
		"a fine-tuning": func(file string) error {
			_, err := f[1].CreateJob(context.Background(), w.learning(file, ""))
			return err
		},
		"a batch": func(file string) error {
			batch := newBatch(w.now())
			batch.InputFileID = file
			_, err := f[1].CreateJob(context.Background(), jobs.NewJob{Job: batch})
			if err != nil {
				return err
			}
			input, err := f[1].InputFile(context.Background(), host(file)) // as its validation does
			if err == nil && input.DeletedAt > 0 {
				err = jobs.NotFound("it fails for this")
			}
			return err
		},
	} {
		file := w.lesson()
		holding := must(w.Store.reading.Begin())(t)
		_, err := holding.Exec("LOCK TABLE events IN SHARE MODE") // the delete waits here, after its count
		require.NoError(t, err)
		blobs := make(chan string, 1)
		go func() {
			blob, _ := w.DeleteFile(context.Background(), host(file.ID), w.now())
			blobs <- blob
		}()
		<-w.blocked(1)
		created := make(chan error, 1)
		go func() { created <- create(file.ID) }()
		var reads error
		select {
		case reads = <-created:
			require.NoError(t, holding.Rollback())
		case <-w.blocked(2):
			require.NoError(t, holding.Rollback())
			reads = <-created
		}
		require.Equal(t, file.Blob, <-blobs)
		require.True(t, jobs.IsCode(reads, jobs.CodeNotFound), "%s reads bytes that are gone: %v", name, reads)
	}
}

// blocked is closed when so many wait for others' locks in this database.
func (w *world) blocked(n int) <-chan struct{} {
	there := make(chan struct{})
	go func() {
		defer close(there)
		const waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
		for deadline := time.Now().Add(statementMost / 2); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			found := 0
			if err := w.reads.Raw(waiting).Scan(&found).Error; err != nil || found >= n {
				return
			}
		}
	}()
	return there
}
