package store

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// depot is a world with a file store and uploads in it.
type depot struct {
	*world
	dir     string
	files   *Folder
	janitor *Janitor
}

func onEachDepot(t *testing.T, test func(t *testing.T, d *depot)) {
	t.Helper()
	onEach(t, func(t *testing.T, w *world) { test(t, depotOver(t, w)) })
}

func depotOver(t *testing.T, w *world) *depot {
	t.Helper()
	d := &depot{world: w, dir: t.TempDir()}
	d.files = must(OpenFolder(d.dir))(t)
	t.Cleanup(func() { require.NoError(t, d.files.Close()) })
	d.janitor = &Janitor{Store: d.Store, Files: d.files, Log: slog.New(slog.DiscardHandler)}
	return d
}

// upload makes one with two parts, which are named after it.
func (d *depot) upload(id string) jobs.Ref {
	d.t.Helper()
	u := jobs.Upload{
		ProjectID: "default", ID: id, Status: jobs.UploadPending, Filename: "a", Purpose: "user_data", Bytes: 2,
		CreatedAt: d.now(), ExpiresAt: d.now().Add(jobs.UploadTTL),
	}
	require.NoError(d.t, d.CreateUpload(d.t.Context(), u, nil))
	for _, n := range []string{"1", "2"} {
		p := jobs.UploadPart{ProjectID: "default", ID: id + n, UploadID: id, Bytes: 1, Blob: "parts/" + id + n, CreatedAt: d.now()}
		d.put(p.Blob)
		must(d.MoveUpload(d.t.Context(), u.Ref(), nil, func(u *jobs.Upload) (jobs.UploadEffects, error) {
			u.Parts++
			return jobs.UploadEffects{Part: &p}, nil
		}))(d.t)
	}
	return u.Ref()
}

func (d *depot) put(key string) {
	d.t.Helper()
	must(d.files.Put(d.t.Context(), key, strings.NewReader("x")))(d.t)
}

func (d *depot) end(ref jobs.Ref, status jobs.UploadStatus, f *jobs.File) {
	d.t.Helper()
	must(d.MoveUpload(d.t.Context(), ref, nil, func(u *jobs.Upload) (jobs.UploadEffects, error) {
		if u.Status = status; f != nil {
			u.FileID = f.ID
		}
		return jobs.UploadEffects{File: f}, nil
	}))(d.t)
}

func (d *depot) clean() []string {
	d.t.Helper()
	must(d.janitor.runOnce(d.t.Context()))(d.t)
	return filesIn(d.t, d.dir)
}

func (d *depot) file(id string) *jobs.File {
	d.put("in/" + id)
	return &jobs.File{ProjectID: "default", ID: id, Purpose: "user_data", Bytes: 1, Blob: "in/" + id, CreatedAt: d.now()}
}

// TestPartsGoWithTheirUpload: those of a pending upload stay; the janitor expires it at its time and takes them.
func TestPartsGoWithTheirUpload(t *testing.T) {
	t.Parallel()
	onEachDepot(t, func(t *testing.T, d *depot) {
		d.upload("pending")
		d.end(d.upload("cancelled"), jobs.UploadCancelled, nil)
		d.end(d.upload("completed"), jobs.UploadCompleted, d.file("file-1"))
		require.Len(t, filesIn(t, d.dir), 7)
		require.ElementsMatch(t, []string{"parts/pending1", "parts/pending2", "in/file-1"}, d.clean())
		require.Equal(t, 2, d.count("upload_parts"))

		d.pass(jobs.UploadTTL - time.Millisecond)
		require.Len(t, d.clean(), 3)
		d.pass(time.Millisecond)
		u := must(d.Upload(t.Context(), host("pending")))(t)
		require.Equal(t, jobs.UploadExpired, u.Status, "before any janitor came")
		require.Equal(t, 1, d.count("uploads WHERE status = 'pending'"))
		require.Equal(t, []string{"in/file-1"}, d.clean())
		require.Zero(t, d.count("upload_parts"))
		require.Equal(t, 1, d.count("uploads WHERE id = 'pending' AND status = 'expired' AND ended_at > 0"))
		require.Equal(t, 2, d.count("uploads WHERE status <> 'expired'"), "what has ended otherwise does not expire")
	})
}

// TestOrphansAreWhatNoRowNames: old bytes of a part stay while its row does.
func TestOrphansAreWhatNoRowNames(t *testing.T) {
	t.Parallel()
	onEachDepot(t, func(t *testing.T, d *depot) {
		d.upload("pending")
		d.exec("UPDATE uploads SET expires_at = expires_at * 2")
		d.put("parts/orphan")
		d.put("in/orphan")
		d.put("in/young")
		long := d.now().Time().Add(-orphanAge - time.Second)
		for _, key := range filesIn(t, d.dir) {
			if at := long; key != "in/young" {
				require.NoError(t, os.Chtimes(filepath.Join(d.dir, key), at, at))
			}
		}
		require.ElementsMatch(t, []string{"parts/pending1", "parts/pending2", "in/young"}, d.clean())
	})
}

// TestAnUploadMovesWholeOrNotAtAll: what a failing move had written is gone, its key too; a used key speaks first.
func TestAnUploadMovesWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	onEachDepot(t, func(t *testing.T, d *depot) {
		ref := d.upload("u")
		refused := errors.New("refused")
		key := &jobs.Idempotency{Key: "k", Hash: []byte("h")}
		complete := func(f *jobs.File, err error) (jobs.UploadSnapshot, error) {
			return d.MoveUpload(t.Context(), ref, key, func(u *jobs.Upload) (jobs.UploadEffects, error) {
				u.Status, u.FileID = jobs.UploadCompleted, f.ID
				return jobs.UploadEffects{File: f}, err
			})
		}
		_, err := complete(d.file("file-1"), refused)
		require.ErrorIs(t, err, refused)
		require.Zero(t, d.count("files")+d.count("events")+d.count("idempotency_keys"))
		require.Equal(t, 1, d.count("uploads WHERE status = 'pending' AND file_id = ''"))

		u := must(complete(d.file("file-1"), nil))(t)
		require.EqualValues(t, 1, u.File.Sequence)
		require.Equal(t, 1, d.count("files"))
		require.Equal(t, 1, d.count("events WHERE type = 'file.created'"))
		_, err = complete(d.file("file-2"), refused)
		var replay *jobs.Replay
		require.ErrorAs(t, err, &replay)
		require.Equal(t, string(u.Object()), string(replay.Answer))
		require.Equal(t, 1, d.count("files"))

		kept := must(d.Upload(t.Context(), ref))(t)
		require.Equal(t, string(u.Object()), string(kept.Object()))
		must(d.DeleteFile(t.Context(), host("file-1"), d.now()))(t)
		require.Nil(t, must(d.Upload(t.Context(), ref))(t).File, "a file that is gone is not shown")

		_, err = d.Upload(t.Context(), jobs.Ref{ProjectID: "other", ID: "u"})
		require.True(t, jobs.IsCode(err, jobs.CodeNotFound), "%v", err)
		require.Empty(t, must(d.UploadParts(t.Context(), jobs.Ref{ProjectID: "other", ID: "u"}))(t))
	})
}

func TestAStaleUploadIsNotWritten(t *testing.T) {
	t.Parallel()
	onEachDepot(t, func(t *testing.T, d *depot) {
		ref := d.upload("u")
		for name, change := range map[string]string{"status": "status = 'expired'", "parts": "parts = parts + 1"} {
			before := must(d.Upload(t.Context(), ref))(t).Upload
			d.exec("UPDATE uploads SET " + change)
			after := before
			after.Filename = "other"
			err := d.write(t.Context(), func(tx *gorm.DB) error { return replaceUpload(tx, &before, &after) })
			require.ErrorIs(t, err, jobs.ErrStale, name)
			d.exec("UPDATE uploads SET status = 'pending'")
		}
		require.Equal(t, 1, d.count("uploads WHERE filename = 'a'"))
	})
}

func TestUploadsQueriesUseTheirIndexes(t *testing.T) {
	t.Parallel()
	d := depotOver(t, newWorld(t))
	ref := d.upload("u")
	asked := d.asked()
	for name, tt := range map[string]struct {
		do    func()
		index string
	}{
		"parts":  {func() { must(d.UploadParts(t.Context(), ref))(t) }, "upload_parts_upload (project_id=? AND upload_id=?)"},
		"expiry": {func() { must(d.janitor.lapsed(t.Context()))(t) }, "uploads_expiry (expires_at<?)"},
		"blobs":  {func() { must(d.janitor.removeUnnamed(t.Context(), []string{"x"}))(t) }, "upload_parts_blob (blob=?)"},
	} {
		plans := asked(tt.do)
		require.Contains(t, strings.Join(plans, "\n"), tt.index, name)
	}
}
