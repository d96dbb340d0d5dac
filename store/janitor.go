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
// names, used-up Idempotency-Keys; and what has been kept for its period. In a fleet one process cleans.
type Janitor struct {
	Store *Store
	Files Files
	Keep  Periods
	Owner string // this process; in a fleet it leads, or leaves the work to the one that does
	Log   *slog.Logger

	pace
}

const (
	cleanEvery = 10 * time.Minute
	// spentEvery is how soon what clients have deleted begins to go. While nothing has been, a look costs next to nothing.
	spentEvery = time.Second
	// orphanAge is how long bytes without a row are left alone: an upload that is still coming in has none yet.
	orphanAge = 24 * time.Hour
)

// Run cleans every ten minutes until ctx ends; deleted streams go sooner.
func (j *Janitor) Run(ctx context.Context) {
	tick, soon := time.NewTicker(cleanEvery), time.NewTicker(spentEvery)
	defer tick.Stop()
	defer soon.Stop()
	for clean := j.runOnce; ; {
		if _, err := clean(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, errNotLeading) {
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

// runOnce gives how many things it removed. A step that fails keeps none of the others from their work; one that finds that
// another process cleans ends the round.
func (j *Janitor) runOnce(ctx context.Context) (n int, err error) {
	whole := func(step func(context.Context) (int, error)) func(context.Context) (int, error) {
		return func(ctx context.Context) (int, error) { return j.bySlices(ctx, step) }
	}
	for _, step := range []func(context.Context) (int, error){
		whole(j.keys), whole(j.expired), whole(j.lasting), whole(j.lapsed), whole(j.parts), whole(j.streams), whole(j.spent),
		j.events, j.attempts, j.results, j.jobs, j.remains,
		whole(j.deleted), whole(j.names), whole(j.uploads), whole(j.history), j.giveBack, whole(j.orphans), whole(j.unfinished),
	} {
		m, failed := step(ctx)
		n, err = n+m, errors.Join(err, failed)
		if errors.Is(failed, errNotLeading) || ctx.Err() != nil {
			break
		}
	}
	return n, err
}

// deletedStreams removes what clients have just deleted.
func (j *Janitor) deletedStreams(ctx context.Context) (int, error) { return j.bySlices(ctx, j.spent) }

func (j *Janitor) keys(ctx context.Context) (int, error) {
	return j.remove(ctx, "idempotency_keys", "created_at <= ?", keyTTL)
}

// expired hides files whose time has passed.
func (j *Janitor) expired(ctx context.Context) (int, error) {
	return j.hide(ctx, "expires_at > 0 AND expires_at <= ?", j.Store.now())
}

// unread holds for files that no unfinished job reads, or will read at its time.
const unread = `NOT EXISTS (
	SELECT 1 FROM jobs WHERE jobs.project_id = files.project_id AND jobs.input_file_id = files.id AND jobs.ended_at = 0) AND NOT EXISTS (
	SELECT 1 FROM jobs WHERE jobs.project_id = files.project_id AND jobs.validation_file_id = files.id AND jobs.ended_at = 0
		AND jobs.validation_file_id <> '')`

const unreadBlobs = "SELECT blob FROM files WHERE deleted_at > 0 AND blob > '' AND " + unread + " LIMIT ?"

// deleted removes the bytes of hidden files that no unfinished job reads any more.
func (j *Janitor) deleted(ctx context.Context) (int, error) {
	var blobs []string
	if err := j.Store.read(ctx).Raw(unreadBlobs, j.room()).Scan(&blobs).Error; err != nil || len(blobs) == 0 {
		return 0, err
	}
	for _, blob := range blobs {
		if err := j.Files.Remove(ctx, blob); err != nil {
			return 0, err
		}
	}
	return len(blobs), j.write(ctx, func(tx *gorm.DB) error {
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

// unfinished removes what a crash in the middle of an upload has left.
func (j *Janitor) unfinished(ctx context.Context) (int, error) {
	return j.Files.DropUnfinished(ctx, j.Store.options.Now().Add(-orphanAge))
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
