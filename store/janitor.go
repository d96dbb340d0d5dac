package store

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// Janitor removes what nobody can see any more: expired files, the parts of uploads that have ended, bytes that no row
// names, used-up Idempotency-Keys.
type Janitor struct {
	Store *Store
	Files *Folder
	Log   *slog.Logger
}

const (
	cleanEvery = 10 * time.Minute
	// spentEvery is how soon what clients have deleted begins to go. While nothing has been, a look costs next to nothing.
	spentEvery = time.Second
	// orphanAge is how long bytes without a row are left alone: an upload that is still coming in has none yet.
	orphanAge = 24 * time.Hour
	slice     = 1000 // rows that one purge removes at once, so that it never holds the writer for long
)

// Run cleans every ten minutes until ctx ends; deleted streams go sooner.
func (j *Janitor) Run(ctx context.Context) {
	tick, soon := time.NewTicker(cleanEvery), time.NewTicker(spentEvery)
	defer tick.Stop()
	defer soon.Stop()
	for clean := j.runOnce; ; {
		if _, err := clean(ctx); err != nil && ctx.Err() == nil {
			j.Log.Error("cannot clean up; trying again later", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-soon.C:
			clean = j.deletedStreams
		case <-tick.C:
			clean = j.runOnce
		}
	}
}

// runOnce gives how many things it removed. A step that fails keeps none of the others from their work.
func (j *Janitor) runOnce(ctx context.Context) (n int, err error) {
	for _, step := range []func(context.Context) (int, error){
		j.keys, j.gates, j.expired, j.deleted, j.lapsed, j.parts, j.streams, j.spent, j.orphans,
	} {
		m, failed := bySlices(ctx, step)
		n, err = n+m, errors.Join(err, failed)
	}
	return n, err
}

func (j *Janitor) deletedStreams(ctx context.Context) (int, error) { return bySlices(ctx, j.spent) }

// bySlices repeats a step until it finds nothing more: others can write in between.
func bySlices(ctx context.Context, step func(context.Context) (int, error)) (n int, err error) {
	for m := 1; m > 0 && err == nil; n += m {
		m, err = step(ctx)
	}
	return n, err
}

func (j *Janitor) keys(ctx context.Context) (int, error) {
	var n int64
	err := j.Store.write(ctx, func(tx *gorm.DB) error {
		r := tx.Exec("DELETE FROM idempotency_keys WHERE rowid IN (SELECT rowid FROM idempotency_keys WHERE created_at <= ? LIMIT ?)",
			j.Store.now().Add(-keyTTL), slice)
		n = r.RowsAffected
		return r.Error
	})
	return int(n), err
}

// gates removes the rows of gates behind which nothing waits; the next delivery makes its own again.
func (j *Janitor) gates(ctx context.Context) (int, error) {
	var n int64
	err := j.Store.write(ctx, func(tx *gorm.DB) error {
		r := tx.Exec("DELETE FROM gates WHERE rowid IN (SELECT rowid FROM gates WHERE wake_at = 0 AND shut_at = 0 LIMIT ?)", slice)
		n = r.RowsAffected
		return r.Error
	})
	return int(n), err
}

// expired hides files whose time has passed; their bytes follow as those of deleted files do.
func (j *Janitor) expired(ctx context.Context) (n int, err error) {
	err = j.Store.write(ctx, func(tx *gorm.DB) error {
		now := j.Store.now()
		var files []jobs.File
		if err := tx.Where("expires_at > 0 AND expires_at <= ? AND deleted_at = 0 AND "+unread, now).Limit(eventSlice).Find(&files).Error; err != nil {
			return err
		}
		n = len(files)
		for i := range files {
			if err := j.Store.hideFile(tx, &files[i], now); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

// unread holds for files that no unfinished job reads, or will read at its time.
const unread = `NOT EXISTS (
	SELECT 1 FROM jobs WHERE jobs.project_id = files.project_id AND jobs.input_file_id = files.id AND jobs.ended_at = 0) AND NOT EXISTS (
	SELECT 1 FROM jobs WHERE jobs.project_id = files.project_id AND jobs.validation_file_id = files.id AND jobs.ended_at = 0
		AND jobs.validation_file_id <> '')`

const unreadBlobs = "SELECT blob FROM files WHERE deleted_at > 0 AND blob <> '' AND " + unread + " LIMIT ?"

// deleted removes the bytes of hidden files that no unfinished job reads any more.
func (j *Janitor) deleted(ctx context.Context) (int, error) {
	var blobs []string
	if err := j.Store.read(ctx).Raw(unreadBlobs, slice).Scan(&blobs).Error; err != nil || len(blobs) == 0 {
		return 0, err
	}
	for _, blob := range blobs {
		if err := j.Files.Remove(ctx, blob); err != nil {
			return 0, err
		}
	}
	return len(blobs), j.Store.write(ctx, func(tx *gorm.DB) error {
		return tx.Model(&jobs.File{}).Where("blob IN ? AND deleted_at > 0", blobs).Update("blob", "").Error
	})
}

// orphans removes old bytes that no row of a file or a part names: what a crash between the bytes and the row has left.
func (j *Janitor) orphans(ctx context.Context) (n int, err error) {
	keys, err := j.Files.Older(ctx, j.Store.options.Now().Add(-orphanAge))
	for len(keys) > 0 && err == nil {
		some := keys[:min(len(keys), slice)]
		keys = keys[len(some):]
		var m int
		m, err = j.removeUnnamed(ctx, some)
		n += m
	}
	return n, err
}

func (j *Janitor) removeUnnamed(ctx context.Context, keys []string) (n int, err error) {
	keep := make(map[string]bool, len(keys))
	for _, table := range []any{&jobs.File{}, &jobs.UploadPart{}} {
		var named []string
		if err := j.Store.read(ctx).Model(table).Where("blob IN ?", keys).Pluck("blob", &named).Error; err != nil {
			return 0, err
		}
		for _, key := range named {
			keep[key] = true
		}
	}
	for _, key := range keys {
		if !keep[key] {
			if err := j.Files.Remove(ctx, key); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}
