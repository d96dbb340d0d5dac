package store

import (
	"context"

	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// resultBytes bounds a page that a client may read slowly; a page has at least one row.
const resultBytes = 1 << 20

// Results reads outcomes in the order in which they were kept, and gives the place of the last one. That order is the
// rows': whoever keeps some has the job's row for itself, and none of them is ever changed.
func (s *Store) Results(ctx context.Context, q jobs.ResultQuery) (lines [][]byte, last int64, err error) {
	if lines, last, err = s.keptLines(ctx, q); err != nil {
		return nil, 0, err
	}
	return lines, last, s.stillKept(ctx, q.Job)
}

// keptLines has its connection for itself alone: who asks for a second one while rows are open waits for others who do.
func (s *Store) keptLines(ctx context.Context, q jobs.ResultQuery) (lines [][]byte, last int64, err error) {
	rows, err := s.read(ctx).Raw(sqlOf(s.reads).keptLines, q.Job.ProjectID, q.Job.ID, q.After, pageRows, q.Skip).Rows()
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	last = q.After
	for size := 0; size < resultBytes && rows.Next(); {
		var text []byte
		if err := rows.Scan(&last, &text); err != nil {
			return nil, 0, err
		}
		size += len(text)
		lines = append(lines, text)
	}
	return lines, last, rows.Err()
}

const copyLines = `INSERT INTO lines (project_id, job_id, line, ok, text)
	SELECT project_id, ?, line, ok, text FROM lines WHERE project_id = ? AND job_id = ? AND line > ? AND line <= ? AND ok
	ON CONFLICT DO NOTHING`

// CopyLines keeps a page of one batch's successes as another's of the same project. What stands there already stays.
func (s *Store) CopyLines(ctx context.Context, from, to jobs.Ref, after int64) (last, n int64, err error) {
	if last, n, err = s.successes(ctx, from, after); err != nil || n == 0 {
		return last, n, err
	}
	return last, n, s.write(ctx, func(tx *gorm.DB) error {
		return tx.Exec(copyLines, to.ID, from.ProjectID, from.ID, after, last).Error
	})
}

// successes finds the end of a page of a batch's successes, and how many it has.
func (s *Store) successes(ctx context.Context, job jobs.Ref, after int64) (last, n int64, err error) {
	rows, err := byJob(s.read(ctx).Model(&jobs.Line{}), job).Select("line, length(text)").
		Where("line > ? AND ok", after).Order("line").Limit(pageRows).Rows()
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	for size := 0; size < pageBytes && rows.Next(); n++ {
		var bytes int
		if err := rows.Scan(&last, &bytes); err != nil {
			return 0, 0, err
		}
		size += bytes
	}
	return last, n, rows.Err()
}
