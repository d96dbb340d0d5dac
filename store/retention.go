package store

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// Periods say how long what is over and done is kept. Zero is for ever. What a period has ended goes with the janitor's next
// round, at most ten minutes later.
type Periods struct {
	Files    time.Duration // a file that names no end of its own, from its creation
	Results  time.Duration // a batch's lines, a single call's request and answer, from the job's end
	Events   time.Duration // an event with its body, from when it happened; not while a delivery of it waits
	Attempts time.Duration // a delivery with its attempts, from the delivery's end
	Jobs     time.Duration // a job with all that is its own, from its end; ended uploads; the names of deleted files
}

// over is the last instant of which nothing is kept any more. ok is false while everything is kept.
func (j *Janitor) over(keep time.Duration) (before jobs.Time, ok bool) {
	return j.Store.now().Add(-keep), keep > 0
}

// lasting hides files that name no end of their own, once their period is over. An unfinished job's stay until it has ended.
func (j *Janitor) lasting(ctx context.Context) (int, error) {
	before, ok := j.over(j.Keep.Files)
	if !ok {
		return 0, nil
	}
	return j.hide(ctx, "expires_at = 0 AND created_at <= ?", before)
}

// hide takes a slice of files out of sight, each with its event; their bytes follow as those of deleted files do. It asks who
// reads them once more when it has locked them: a job that was being created meanwhile keeps its file.
func (j *Janitor) hide(ctx context.Context, which string, before jobs.Time) (n int, err error) {
	err = j.write(ctx, func(tx *gorm.DB) error {
		n = 0
		var refs []jobs.Ref
		err := locked(tx).Model(&jobs.File{}).Select("project_id, id").Where(which+" AND deleted_at = 0 AND "+unread, before).
			Limit(min(j.room(), eventSlice)).Scan(&refs).Error
		if err != nil {
			return err
		}
		for project, ids := range byProject(refs) {
			var files []jobs.File
			if err := tx.Where("project_id = ? AND id IN ? AND "+unread, project, ids).Find(&files).Error; err != nil {
				return err
			}
			for i := range files {
				if err := j.Store.hideFile(tx, &files[i], j.Store.now()); err != nil {
					return err
				}
			}
			n += len(files)
		}
		return nil
	})
	return n, err
}

// names removes the rows of files that have long been deleted; until then they are places in lists.
func (j *Janitor) names(ctx context.Context) (int, error) {
	return j.remove(ctx, "files", "blob = '' AND deleted_at > 0 AND deleted_at <= ? AND "+unread, j.Keep.Jobs)
}

// uploads removes the rows of uploads that have long ended.
func (j *Janitor) uploads(ctx context.Context) (int, error) {
	return j.remove(ctx, "uploads", "ended_at > 0 AND ended_at <= ?", j.Keep.Jobs)
}

// remove deletes a slice of short rows whose period is over.
func (j *Janitor) remove(ctx context.Context, table, which string, keep time.Duration) (int, error) {
	before, ok := j.over(keep)
	if !ok {
		return 0, nil
	}
	var n int64
	err := j.write(ctx, func(tx *gorm.DB) error {
		r := tx.Exec("DELETE FROM "+table+" WHERE "+some(tx, table, which), before, j.room())
		n = r.RowsAffected
		return r.Error
	})
	return int(n), err
}

// projects are walked one after the other: what is ordered by time is ordered so within a project.
func (j *Janitor) projects(ctx context.Context) (ids []string, err error) {
	err = j.Store.read(ctx).Model(&project{}).Order("project_id").Pluck("project_id", &ids).Error
	return ids, err
}
