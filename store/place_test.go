package store

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	openStore(t, dir)
	_, err := Open(t.Context(), Options{Dir: dir, Now: time.Now})
	require.ErrorContains(t, err, "in use by another ringback")
}

func TestSettingsOfTheDatabase(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	for pragma, want := range map[string]string{"journal_mode": "wal", "auto_vacuum": "2", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		require.NoError(t, s.writer.(*writer).db.Raw("PRAGMA "+pragma).Scan(&got).Error)
		require.Equal(t, want, got, pragma)
	}
	require.Error(t, s.reads.Exec("DELETE FROM jobs").Error, "the read pool cannot write")
}

func TestSealedValuesOpenOnlyInTheirPlace(t *testing.T) {
	t.Parallel()
	one, err := newSealer(bytes.Repeat([]byte{1}, 32), "", false)
	require.NoError(t, err)
	two, err := newSealer(bytes.Repeat([]byte{2}, 32), "", false)
	require.NoError(t, err)
	sealed := one.seal("a", []byte("secret"))
	plain, err := one.open("a", sealed)
	require.NoError(t, err)
	require.Equal(t, "secret", string(plain))
	_, err = one.open("b", sealed)
	require.Error(t, err)
	_, err = two.open("a", sealed)
	require.ErrorContains(t, err, "another key")
	_, err = newSealer([]byte("short"), "", false)
	require.ErrorContains(t, err, "must have 32")
}

// TestWrongKeyRefusesToStart: a Ringback that cannot open its secrets would accept jobs whose callbacks it cannot sign.
func TestWrongKeyRefusesToStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	reopen := func(key []byte, secret string) error {
		s, err := Open(t.Context(), Options{Dir: dir, Key: key, SigningSecret: secret, Now: time.Now})
		if err != nil {
			return err
		}
		return s.Close()
	}
	require.NoError(t, reopen(nil, ""))
	require.NoError(t, reopen(nil, ""))
	require.ErrorContains(t, reopen(bytes.Repeat([]byte{7}, 32), ""), "another key")
	require.ErrorContains(t, reopen(bytes.Repeat([]byte{7}, 32), "whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5"), "another key")
	require.NoError(t, os.Rename(filepath.Join(dir, "master.key"), filepath.Join(dir, "kept")))
	require.ErrorContains(t, reopen(nil, ""), "restore it")
	require.NoError(t, os.Rename(filepath.Join(dir, "kept"), filepath.Join(dir, "master.key")))
	require.NoError(t, reopen(nil, ""))
	for _, name := range []string{"ringback.db", "master.key"} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
	}
}

func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	require.NoError(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			name, _ := filepath.Rel(dir, path)
			names = append(names, name)
		}
		return err
	}))
	return names
}

// TestJanitor removes expired and deleted files' bytes and orphans, and nothing that somebody still reads.
func TestJanitor(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		dir, s := t.TempDir(), w.Store
		f, err := OpenFolder(filepath.Join(dir, "files"))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, f.Close()) })
		now := time.Now()
		s.options.Now = func() time.Time { return now }
		put := func(key string) {
			_, err := f.Put(t.Context(), key, strings.NewReader(key))
			require.NoError(t, err)
		}
		file := func(id string, expires jobs.Time) {
			put(id)
			require.NoError(t, s.CreateFile(t.Context(), jobs.File{ProjectID: "default", ID: id, Purpose: "batch", Blob: id, CreatedAt: s.now(), ExpiresAt: expires}, nil))
		}
		file("kept", 0)
		file("expiring", s.now().Add(time.Hour))
		file("read", 0)
		put("orphan")
		j := newBatch(s.now())
		j.InputFileID = "read"
		_, err = s.CreateJob(t.Context(), jobs.NewJob{Job: j})
		require.NoError(t, err)
		blob, err := s.DeleteFile(t.Context(), jobs.Ref{ProjectID: "default", ID: "read"}, s.now())
		require.NoError(t, err)
		require.Empty(t, blob, "an unfinished job reads it")
		require.NoError(t, s.CreateFile(t.Context(), jobs.File{ProjectID: "default", ID: "keyed", Blob: "keyed", CreatedAt: s.now()}, &jobs.Idempotency{Key: "k", Hash: []byte("h")}))
		put("keyed")

		janitor := &Janitor{Store: s, Files: f, Log: slog.New(slog.DiscardHandler)}
		_, err = janitor.runOnce(t.Context())
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"kept", "expiring", "read", "orphan", "keyed"}, filesIn(t, filepath.Join(dir, "files")))

		now = now.Add(25 * time.Hour)
		_, err = janitor.runOnce(t.Context())
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"kept", "read", "keyed"}, filesIn(t, filepath.Join(dir, "files")))
		var keys int64
		require.NoError(t, s.reads.Model(&idempotencyKey{}).Count(&keys).Error)
		require.Zero(t, keys)

		_, _, err = s.Move(t.Context(), j.Ref(), func(j *jobs.Job) (jobs.Effects, error) {
			j.Status, j.EndedAt = jobs.Cancelled, s.now()
			return jobs.Effects{}, nil
		})
		require.NoError(t, err)
		_, err = janitor.runOnce(t.Context())
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"kept", "keyed"}, filesIn(t, filepath.Join(dir, "files")))
	})
}

func TestJ9IdempotencyKey(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		s := w.Store
		now := time.Now()
		s.options.Now = func() time.Time { return now }
		create := func(hash string) (jobs.Job, error) {
			j := newBatch(s.now())
			_, err := s.CreateJob(t.Context(), jobs.NewJob{Job: j, Idempotency: &jobs.Idempotency{Key: "k", Hash: []byte(hash)}, Answer: []byte(j.ID)})
			return j, err
		}
		first, err := create("a")
		require.NoError(t, err)
		_, err = create("a")
		var replay *jobs.Replay
		require.ErrorAs(t, err, &replay)
		require.Equal(t, first.ID, string(replay.Answer))
		_, err = create("b")
		require.True(t, jobs.IsCode(err, jobs.CodeKeyReused))
		all, _, err := s.Jobs(t.Context(), jobs.JobQuery{ProjectID: "default", Limit: 10})
		require.NoError(t, err)
		require.Len(t, all, 1)
		now = now.Add(25 * time.Hour)
		_, err = create("b")
		require.NoError(t, err, "it is kept for 24 hours")
	})
}

func TestListsPageWithoutGaps(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		s := w.Store
		now := time.Now()
		s.options.Now = func() time.Time { return now }
		for range 7 {
			_, err := s.CreateJob(t.Context(), jobs.NewJob{Job: newBatch(s.now())}) // all in one millisecond
			require.NoError(t, err)
		}
		seen := map[string]bool{}
		for after, more := "", true; more; {
			var page []jobs.Job
			var err error
			page, more, err = s.Jobs(t.Context(), jobs.JobQuery{ProjectID: "default", After: after, Limit: 3})
			require.NoError(t, err)
			for _, j := range page {
				require.False(t, seen[j.ID])
				seen[j.ID] = true
			}
			after = page[len(page)-1].ID
		}
		require.Len(t, seen, 7)
		_, _, err := s.Jobs(t.Context(), jobs.JobQuery{ProjectID: "default", After: "batch_none", Limit: 3})
		require.True(t, jobs.IsCode(err, jobs.CodeValue))
		other, _, err := s.Jobs(t.Context(), jobs.JobQuery{ProjectID: "other", Limit: 3})
		require.NoError(t, err)
		require.Empty(t, other)
	})
}
