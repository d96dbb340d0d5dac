package store

import (
	"context"

	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// spentJob is one of which nobody can read everything any more, while something of it is left.
type spentJob struct {
	ProjectID string
	JobID     string
	Whole     bool // the job itself is gone, not its results alone
}

func (s *spentJob) ref() jobs.Ref { return jobs.Ref{ProjectID: s.ProjectID, ID: s.JobID} }

// part is a table with rows that are a job's own.
type part struct {
	table string
	key   string // a number that orders a job's rows, with an index; empty: a job has one row
	size  string // of a row
	whole bool   // they go with the job, not with its results
}

var partsOfJobs = []part{
	{"lines", "line", "length(text)", false},
	{"payloads", "", "length(request) + coalesce(length(result), 0)", false},
	{"shards", "n", "coalesce(length(retries), 0)", true},
	{"tuning_events", "position", "coalesce(length(data), 0)", true},
	{"checkpoints", "step", "coalesce(length(metrics), 0)", true},
	{"job_history", "at", "100 + length(spread)", true},
	{"response_events", "n", "length(data)", true},
	{"responses", "", "length(settings) + length(items)", true},
	{"webhooks", "", "length(spec)", true},
}

// remains removes what is left of spent jobs. The webhook of a response that its client deleted stays as long as one of its
// deliveries does: that may be sent again.
func (j *Janitor) remains(ctx context.Context) (int, error) {
	w := remainsWalk{Janitor: j}
	return j.byWalk(ctx, w.step)
}

// remainsWalk goes through the marks in the order of their keys.
type remainsWalk struct {
	*Janitor
	reached spentJob
}

const spentJobs = "SELECT project_id, job_id, whole FROM spent_jobs WHERE (project_id, job_id) > (?, ?) ORDER BY project_id, job_id LIMIT ?"

// step removes a slice, of many jobs or of a part of one.
func (w *remainsWalk) step(ctx context.Context) (seen, removed int, err error) {
	var marks []spentJob
	err = w.Store.read(ctx).Raw(spentJobs, w.reached.ProjectID, w.reached.JobID, w.room()).Scan(&marks).Error
	if err != nil || len(marks) == 0 {
		return 0, 0, err
	}
	free, err := w.unneeded(ctx, marks)
	if err != nil || len(free) == 0 {
		w.reached = marks[len(marks)-1]
		return len(marks), 0, err
	}
	done := 0
	err = w.write(ctx, func(tx *gorm.DB) (err error) {
		done, removed, err = clearJobs(tx, free, w.room())
		return err
	})
	switch {
	case err == nil && done == len(free):
		w.reached = marks[len(marks)-1]
	case err == nil && done > 0:
		w.reached = free[done-1]
	}
	return len(marks), removed, err
}

// unneeded are the marks of which no delivery is left that may need the webhook.
func (w *remainsWalk) unneeded(ctx context.Context, marks []spentJob) (free []spentJob, err error) {
	for _, s := range marks {
		needed := false
		if s.Whole {
			needed, err = anyOf(w.Store.read(ctx), "SELECT id FROM deliveries WHERE project_id = ? AND job_id = ? LIMIT 1", s.ref())
		}
		if err != nil {
			return nil, err
		}
		if !needed {
			free = append(free, s)
		}
	}
	return free, nil
}

// clearJobs removes what a slice has room for, and tells how many of the jobs are done.
func clearJobs(tx *gorm.DB, marks []spentJob, rows int) (done, removed int, err error) {
	left := space{rows: rows, bytes: sliceBytes}
	for ; done < len(marks) && left.rows > 0 && left.bytes > 0; done++ {
		all, err := left.clear(tx, &marks[done])
		if err != nil || !all {
			return done, left.removed, err
		}
	}
	return done, left.removed, nil
}

// space is what is left of a slice.
type space struct {
	rows    int
	bytes   int64
	removed int
}

// clear removes what it can of a job, with the last of it its mark. all is false where some is left.
func (r *space) clear(tx *gorm.DB, s *spentJob) (all bool, err error) {
	for _, p := range partsOfJobs {
		if p.whole && !s.Whole {
			continue
		}
		if all, err := r.cut(tx, p, s.ref()); err != nil || !all {
			return false, err
		}
	}
	if !s.Whole {
		if err := tx.Exec("UPDATE responses SET items = ? WHERE project_id = ? AND job_id = ?", []byte("[]"), s.ProjectID, s.JobID).Error; err != nil {
			return false, err
		}
	}
	r.rows-- // a job costs something, be it empty
	return true, tx.Exec("DELETE FROM spent_jobs WHERE project_id = ? AND job_id = ? AND whole = ?", s.ProjectID, s.JobID, s.Whole).Error
}

// cut removes rows of a table in their order, as far as there is room: a row that is longer goes alone.
func (r *space) cut(tx *gorm.DB, p part, ref jobs.Ref) (all bool, err error) {
	const own = " WHERE project_id = ? AND job_id = ?"
	var rows []struct{ Key, Size int64 }
	key, order := "0", ""
	if p.key != "" {
		key, order = p.key, " ORDER BY "+p.key
	}
	err = tx.Raw("SELECT "+key+" AS key, "+p.size+" AS size FROM "+p.table+own+order+" LIMIT ?", ref.ProjectID, ref.ID, max(r.rows, 0)+1).Scan(&rows).Error
	if err != nil || len(rows) == 0 {
		return err == nil, err
	}
	n := 0
	for n < len(rows) && r.take(rows[n].Size) {
		n++
	}
	if n == 0 {
		return false, nil
	}
	if p.key == "" {
		return true, tx.Exec("DELETE FROM "+p.table+own, ref.ProjectID, ref.ID).Error
	}
	err = tx.Exec("DELETE FROM "+p.table+own+" AND "+p.key+" <= ?", ref.ProjectID, ref.ID, rows[n-1].Key).Error
	return n == len(rows), err
}

// take uses room up for a row, if there is; the first row of a slice always has it.
func (r *space) take(size int64) bool {
	if r.rows <= 0 || size > r.bytes && r.removed > 0 {
		return false
	}
	r.rows, r.bytes, r.removed = r.rows-1, r.bytes-size, r.removed+1
	return true
}
