package store

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// jobWalk goes through ended jobs in the order of their ends.
type jobWalk struct {
	*Janitor
	gone    string // whether the results of those that it looks at are: TRUE or FALSE
	before  jobs.Time
	reached endedJob
	// do removes what it can of a job that the transaction has for itself, and tells whether that is all.
	do func(tx *gorm.DB, ref jobs.Ref, left *int) (bool, error)
}

type endedJob struct {
	ProjectID string
	ID        string
	EndedAt   jobs.Time
}

const endedJobs = ` AND ended_at > 0 AND ended_at <= ? AND (ended_at, id) > (?, ?) ORDER BY ended_at, id LIMIT ?`

// step is a slice: of many jobs, or of one that is large.
func (w *jobWalk) step(ctx context.Context) (seen, removed int, err error) {
	var page []endedJob
	query := "SELECT project_id, id, ended_at FROM jobs WHERE results_gone = " + w.gone + endedJobs
	err = w.Store.read(ctx).Raw(query, w.before, w.reached.EndedAt, w.reached.ID, w.room()).Scan(&page).Error
	if err != nil || len(page) == 0 {
		return 0, 0, err
	}
	err = w.write(ctx, func(tx *gorm.DB) error {
		seen, removed = 0, 0
		for left := w.room(); seen < len(page) && left > 0; seen++ {
			ref := jobs.Ref{ProjectID: page[seen].ProjectID, ID: page[seen].ID}
			mine, err := settled(tx, ref)
			if left--; err != nil || !mine {
				if err != nil {
					return err
				}
				continue
			}
			done, err := w.do(tx, ref, &left)
			if err != nil {
				return err
			}
			if done {
				removed++
			} else if left <= 0 {
				break // the next slice goes on with it
			}
		}
		return nil
	})
	if err == nil && seen > 0 {
		w.reached = page[seen-1]
	}
	return max(seen, 1), removed, err
}

// settled tells of an ended job whether nothing is left to do, and has it for itself then: a provider may still have to be
// told that it was given up, and a retry that has not ended takes its answers over.
func settled(tx *gorm.DB, ref jobs.Ref) (bool, error) {
	var mine []string
	err := locked(tx).Model(&jobs.Job{}).Where("project_id = ? AND id = ? AND ended_at > 0 AND due_at = 0 AND owner = ''", ref.ProjectID, ref.ID).Pluck("id", &mine).Error
	if err != nil || len(mine) == 0 {
		return false, err
	}
	// From here on no retry comes in: it needs the row (readsRetried).
	read, err := anyOf(tx, "SELECT id FROM jobs WHERE project_id = ? AND retry_of = ? AND ended_at = 0 AND retry_of <> '' LIMIT 1", ref)
	return !read, err
}

// anyOf tells whether a query about a job finds a row.
func anyOf(db *gorm.DB, query string, ref jobs.Ref) (bool, error) {
	var found []string
	err := db.Raw(query, ref.ProjectID, ref.ID).Scan(&found).Error
	return len(found) > 0, err
}

// results takes the results of jobs out of sight whose period is over. What they are goes slice by slice: see remains.
func (j *Janitor) results(ctx context.Context) (int, error) {
	before, ok := j.over(j.Keep.Results)
	if !ok {
		return 0, nil
	}
	w := &jobWalk{Janitor: j, gone: "FALSE", before: before, do: spendResults}
	return j.byWalk(ctx, w.step)
}

func spendResults(tx *gorm.DB, ref jobs.Ref, _ *int) (bool, error) {
	if err := tx.Exec("UPDATE jobs SET results_gone = TRUE WHERE project_id = ? AND id = ?", ref.ProjectID, ref.ID).Error; err != nil {
		return false, err
	}
	if err := spend(tx, ref); err != nil {
		return false, err
	}
	return true, spendJob(tx, ref, false)
}

// spendJob notes that a job, or its results alone, can be read no more, so that what is left of it goes.
func spendJob(tx *gorm.DB, ref jobs.Ref, whole bool) error {
	return tx.Exec("INSERT INTO spent_jobs (project_id, job_id, whole) VALUES (?, ?, ?)"+
		" ON CONFLICT (project_id, job_id) DO UPDATE SET whole = spent_jobs.whole OR excluded.whole", ref.ProjectID, ref.ID, whole).Error
}

// jobs removes jobs that ended long ago: their deliveries first, then at once the row, so that nobody reads half of one.
// All else goes slice by slice: see remains.
func (j *Janitor) jobs(ctx context.Context) (n int, err error) {
	before, ok := j.over(j.Keep.Jobs)
	if !ok {
		return 0, nil
	}
	for _, gone := range []string{"TRUE", "FALSE"} {
		w := &jobWalk{Janitor: j, gone: gone, before: before, do: dropJob}
		m, failed := j.byWalk(ctx, w.step)
		n, err = n+m, errors.Join(err, failed)
	}
	return n, err
}

// dropJob removes as many of a job's deliveries as there is room for; with the last, the job. While one waits, all stays.
func dropJob(tx *gorm.DB, ref jobs.Ref, left *int) (done bool, err error) {
	const its = "SELECT id FROM deliveries WHERE project_id = ? AND job_id = ?"
	if waits, err := anyOf(tx, its+" AND state IN ('waiting', 'sending') LIMIT 1", ref); err != nil || waits {
		return false, err
	}
	var ids []string
	if err := tx.Raw(its+" LIMIT ?", ref.ProjectID, ref.ID, max(*left, 1)).Scan(&ids).Error; err != nil {
		return false, err
	}
	n, err := dropDeliveries(tx, ref.ProjectID, ids)
	if *left -= 2 * n; err != nil {
		return false, err
	}
	if more, err := anyOf(tx, its+" LIMIT 1", ref); err != nil || more {
		return false, err
	}
	if err := spend(tx, ref); err != nil {
		return false, err
	}
	if err := forgetWords(tx, ref); err != nil {
		return false, err
	}
	if err := tx.Exec("DELETE FROM jobs WHERE project_id = ? AND id = ?", ref.ProjectID, ref.ID).Error; err != nil {
		return false, err
	}
	return true, spendJob(tx, ref, true)
}

// readsRetried has the batch that a new one retries stay until that has ended, or says that its results are gone.
func readsRetried(tx *gorm.DB, j *jobs.Job) error {
	if j.RetryOf == "" {
		return nil
	}
	old, err := takeJob(locked(tx), jobs.Ref{ProjectID: j.ProjectID, ID: j.RetryOf})
	if err == nil {
		err = old.Kept()
	}
	return err
}

// stillKept says that a job's results are kept no longer. What was read before it says nothing was whole.
func (s *Store) stillKept(ctx context.Context, ref jobs.Ref) error {
	var gone []bool
	err := s.read(ctx).Raw("SELECT results_gone FROM jobs WHERE project_id = ? AND id = ?", ref.ProjectID, ref.ID).Scan(&gone).Error
	if err == nil && len(gone) > 0 && gone[0] {
		err = jobs.ErrResultsGone(ref.ID)
	}
	return err
}
