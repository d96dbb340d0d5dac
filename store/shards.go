package store

import (
	"context"
	"maps"
	"slices"

	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// createShards writes a batch's index. Only the first few shards are due: each that ends makes the next one due, so
// that a large batch never fills the queue.
func (s *Store) createShards(tx *gorm.DB, job jobs.Ref, shards []jobs.Shard, now jobs.Time) (woken []jobs.Ref, err error) {
	if len(shards) == 0 {
		return nil, nil
	}
	rows := append([]jobs.Shard(nil), shards...)
	for i := range rows[:min(len(rows), s.options.ShardsAwake)] {
		rows[i].Due(now)
		rows[i].WakeAt = s.wakeAt(now)
		woken = append(woken, rows[i].Ref())
	}
	if err := byJob(tx, job).Delete(&jobs.Shard{}).Error; err != nil {
		return nil, err
	}
	return woken, tx.CreateInBatches(&rows, 500).Error
}

// hushShards takes a batch's shards out of the sweeper's sight.
func hushShards(tx *gorm.DB, job jobs.Ref) error {
	return tx.Exec("UPDATE shards SET due_at = 0, wake_at = 0 WHERE project_id = ? AND job_id = ? AND due_at > 0", job.ProjectID, job.ID).Error
}

const claimShards = `UPDATE shards SET owner = ?, attempt = attempt + 1, claims = claims + 1, wake_at = 0
	WHERE project_id = ? AND id IN ? AND owner = '' AND due_at > 0 AND due_at <= ?
	AND EXISTS (SELECT 1 FROM jobs WHERE jobs.project_id = shards.project_id AND jobs.id = shards.job_id AND jobs.status = 'in_progress')
	RETURNING *`

// ClaimShards takes the shards that are due and free, of batches that are in progress.
func (s *Store) ClaimShards(ctx context.Context, owner string, refs []jobs.Ref, now jobs.Time) (claimed []jobs.Shard, err error) {
	err = s.claim(ctx, "shards", owner, func(tx *gorm.DB) ([]held, error) {
		claimed = nil
		all := byProject(refs)
		for _, project := range slices.Sorted(maps.Keys(all)) { // in one order: no two claims wait for each other
			ids := all[project]
			var rows []jobs.Shard
			if err := lockJobs(tx, project, ids); err != nil {
				return nil, err
			}
			if err := tx.Raw(claimShards, owner, project, ids, now).Scan(&rows).Error; err != nil {
				return nil, err
			}
			claimed = append(claimed, rows...)
		}
		return heldOf(claimed, func(h *jobs.Shard) held { return held{Ref: h.Ref(), attempt: h.Attempt} }), nil
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// lockJobs has the jobs of shards stand as they are until the end of the transaction: one that is being cancelled is
// either cancelled before it, or has its shards put to rest after it.
func lockJobs(tx *gorm.DB, project string, shards []string) error {
	if sqlOf(tx) == &onSQLite {
		return nil
	}
	var held []string
	return locked(tx).Model(&jobs.Job{}).Select("id").Order("id").
		Where("project_id = ? AND id IN (SELECT job_id FROM shards WHERE project_id = ? AND id IN ?)", project, project, shards).Scan(&held).Error
}

const nextShard = `UPDATE shards SET due_at = ?, wake_at = ? WHERE project_id = ? AND id = (
		SELECT id FROM shards WHERE project_id = ? AND job_id = ? AND NOT done AND due_at = 0 AND owner = '' ORDER BY n LIMIT 1)
	AND EXISTS (SELECT 1 FROM jobs WHERE jobs.project_id = shards.project_id AND jobs.id = shards.job_id AND jobs.status = 'in_progress')
	RETURNING *`

// FinishShard ends a shard and makes the batch's next one due.
func (s *Store) FinishShard(ctx context.Context, shard jobs.Shard, now jobs.Time) (woken jobs.Woken, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		woken = jobs.Woken{}
		if err := lockJobs(tx, shard.ProjectID, []string{shard.ID}); err != nil {
			return err
		}
		done := shard
		done.Done, done.Claims, done.Retries = true, 0, nil
		done.Rest()
		if err := replaceShard(tx, &shard, &done); err != nil {
			return err
		}
		var next []jobs.Shard
		if err := tx.Raw(nextShard, now, now.Add(wakeSlack), shard.ProjectID, shard.ProjectID, shard.JobID).Scan(&next).Error; err != nil {
			return err
		}
		for _, n := range next {
			woken.Shards = append(woken.Shards, n.Ref())
		}
		return nil
	})
	return woken, err
}

// ReturnShard gives a shard back. One whose batch is no longer in progress is not to be woken any more.
// What the batch waits for is noted until one of its lines has an outcome.
func (s *Store) ReturnShard(ctx context.Context, shard jobs.Shard, due jobs.Time, why jobs.Blocked) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		job, err := takeJob(locked(tx), jobs.Ref{ProjectID: shard.ProjectID, ID: shard.JobID})
		if err != nil {
			return err
		}
		back := shard
		back.Claims = 0
		if back.Rest(); job.Status == jobs.InProgress {
			back.Due(due)
			if err := blockJob(tx, job.Ref(), why, due); err != nil {
				return err
			}
		}
		return replaceShard(tx, &shard, &back)
	})
}

func blockJob(tx *gorm.DB, job jobs.Ref, why jobs.Blocked, until jobs.Time) error {
	if why == "" {
		return nil
	}
	return tx.Exec("UPDATE jobs SET blocked_by = ?, blocked_until = ? WHERE project_id = ? AND id = ?", why, until, job.ProjectID, job.ID).Error
}

func replaceShard(tx *gorm.DB, held, next *jobs.Shard) error {
	r := tx.Model(&jobs.Shard{}).Select("done", "retries", "claims", "tries", "owner", "due_at", "wake_at").
		Where("project_id = ? AND id = ? AND attempt = ? AND owner = ?", held.ProjectID, held.ID, held.Attempt, held.Owner).
		Updates(next)
	if r.Error == nil && r.RowsAffected == 0 {
		return jobs.ErrStale
	}
	return r.Error
}

const passShards = "UPDATE shards SET wake_at = ? WHERE project_id = ? AND id IN ? AND owner = '' AND due_at > 0"

// PassShards has shards that nobody holds offered again at a time.
func (s *Store) PassShards(ctx context.Context, refs []jobs.Ref, wake jobs.Time) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		for project, ids := range byProject(refs) {
			if err := tx.Exec(passShards, wake, project, ids).Error; err != nil {
				return err
			}
		}
		return nil
	})
}

const freeShards = `SELECT project_id, id FROM shards
	WHERE project_id = ? AND job_id = ? AND owner = '' AND due_at > 0 AND due_at <= ? ORDER BY n LIMIT ?`

// FreeShards are the first of a batch's shards that are due and that nobody holds, at most so many.
func (s *Store) FreeShards(ctx context.Context, batch jobs.Ref, now jobs.Time, most int) (refs []jobs.Ref, err error) {
	err = s.read(ctx).Raw(freeShards, batch.ProjectID, batch.ID, now, most).Scan(&refs).Error
	return refs, err
}

// HeldShards counts a batch's shards that somebody works on.
func (s *Store) HeldShards(ctx context.Context, job jobs.Ref) (int, error) {
	var n int64
	err := byJob(s.read(ctx).Model(&jobs.Shard{}), job).Where("owner <> ''").Count(&n).Error
	return int(n), err
}
