package store

import (
	"context"

	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// Outlook adds to a job that is not at its end what its own row does not tell: its place in the queue, and how long calls
// like it took lately. It is asked for single reads only.
func (s *Store) Outlook(ctx context.Context, snapshot *jobs.Snapshot) error {
	job := &snapshot.Job
	if job.Status.Terminal() {
		return nil
	}
	if waits := job.Attempt == 0 && job.DueAt > 0 && job.DueAt <= s.now(); waits {
		ahead, err := s.ahead(ctx, job)
		if err != nil {
			return err
		}
		snapshot.Position = ahead + 1
	}
	if !job.Kind.OneCall() {
		return nil
	}
	var err error
	snapshot.AskedAt = s.now()
	snapshot.Typical, err = s.typical(ctx, job)
	return err
}

// mostAhead bounds how many are counted.
const mostAhead = 10_000

// ahead counts the jobs of the same kind and project that wait and go first: of a higher priority, or due sooner.
func (s *Store) ahead(ctx context.Context, job *jobs.Job) (n int64, err error) {
	waiting := func(rank int) *gorm.DB {
		return s.read(ctx).Model(&jobs.Job{}).Select("1").
			Where("kind = ? AND priority = ? AND wake_at > 0 AND project_id = ? AND owner = '' AND attempt = 0", job.Kind, rank, job.ProjectID).
			Limit(mostAhead)
	}
	for _, p := range jobs.Priorities() {
		if p.Rank() < job.Priority.Rank() {
			continue
		}
		sooner := waiting(p.Rank()).Where("due_at > 0 AND due_at <= ?", s.now())
		if p == job.Priority {
			sooner = waiting(p.Rank()).Where("due_at > 0 AND (due_at, id) < (?, ?)", job.DueAt, job.ID)
		}
		var more int64
		if err := s.read(ctx).Raw("SELECT count(*) FROM (?) AS ahead", sooner).Scan(&more).Error; err != nil {
			return 0, err
		}
		n += more
	}
	return n, nil
}

// Of the newest calls, so many are looked at for those of the same model and path that have been answered.
const lookedAt = 200

const typicalTime = `SELECT CAST(coalesce(avg(ended_at - started_at), 0) AS BIGINT) FROM (
	SELECT model, path, status, started_at, ended_at FROM jobs WHERE project_id = ? AND kind = ? ORDER BY created_at DESC, id DESC LIMIT ?) AS newest
	WHERE model = ? AND path = ? AND status = 'completed'`

// typical is the mean time that the newest calls of the same model and path took, in milliseconds.
func (s *Store) typical(ctx context.Context, job *jobs.Job) (t jobs.Time, err error) {
	err = s.read(ctx).Raw(typicalTime, job.ProjectID, job.Kind, lookedAt, job.Model, job.Path).Scan(&t).Error
	return t, err
}
