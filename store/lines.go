package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"github.com/ringback/ringback/history"
	"github.com/ringback/ringback/jobs"
)

// recordersAtOnce is how many batches' outcomes are written at the same time, where that is possible.
const recordersAtOnce = 4

// RecordLines keeps the first outcome of each line. Lines of batches that have ended are dropped: their files stand. After an
// error some may be kept, and all can be sent again.
//
// On PostgreSQL each batch has a transaction of its own: nobody waits for a batch's row who holds another one's.
func (s *Store) RecordLines(ctx context.Context, lines []jobs.Line) (woken jobs.Woken, err error) {
	byJob := map[jobs.Ref][]jobs.Line{}
	for _, l := range lines {
		ref := jobs.Ref{ProjectID: l.ProjectID, ID: l.JobID}
		byJob[ref] = append(byJob[ref], l)
	}
	sets := [][]jobs.Ref{inOrder(byJob)}
	if s.Shared() {
		sets = slices.Collect(slices.Chunk(sets[0], 1))
	}
	var mu sync.Mutex
	var all errgroup.Group
	all.SetLimit(recordersAtOnce)
	for _, set := range sets {
		all.Go(func() error {
			more, err := s.recordSet(ctx, set, byJob)
			mu.Lock()
			defer mu.Unlock()
			woken.Join(more)
			return err
		})
	}
	err = all.Wait()
	return woken, err
}

// recordSet keeps the lines of some batches in one transaction.
func (s *Store) recordSet(ctx context.Context, set []jobs.Ref, byJob map[jobs.Ref][]jobs.Line) (woken jobs.Woken, err error) {
	var batches []freshLines
	n := 0
	err = s.write(ctx, func(tx *gorm.DB) error {
		woken, batches, n = jobs.Woken{}, nil, 0
		for _, ref := range set {
			fresh, more, err := s.recordLines(tx, ref, byJob[ref])
			if err != nil {
				return err
			}
			n += len(byJob[ref])
			batches = append(batches, fresh)
			woken.Join(more)
		}
		return nil
	})
	if err != nil {
		return jobs.Woken{}, err
	}
	s.options.Meter.lines(n, batches)
	return woken, nil
}

// freshLines are those of a batch's lines that were new.
type freshLines struct {
	jobs.Tally
	batch jobs.Job       // before them
	took  history.Spread // of the calls that answered them
}

// recordLines keeps one batch's.
func (s *Store) recordLines(tx *gorm.DB, ref jobs.Ref, lines []jobs.Line) (fresh freshLines, woken jobs.Woken, err error) {
	job, err := takeJob(locked(tx), ref)                                            // so a batch's outcomes are kept one set after the other
	if jobs.IsCode(err, jobs.CodeNotFound) || err == nil && job.Status.Terminal() { // gone, or ended: nobody wants them
		return freshLines{}, jobs.Woken{}, nil
	}
	if err != nil {
		return freshLines{}, jobs.Woken{}, err
	}
	fresh.batch = job
	if err := insertLines(tx, lines, &fresh); err != nil || fresh.Tally == (jobs.Tally{}) {
		return fresh, jobs.Woken{}, err
	}
	if err := noteProgress(tx, ref, lines); err != nil {
		return fresh, jobs.Woken{}, err
	}
	now := s.now() // in the transaction: the pause between two events of progress counts from here
	if !job.Needs(fresh.Tally, now) {
		return fresh, jobs.Woken{}, addCounts(tx, ref, fresh.Tally, now)
	}
	_, woken, err = s.move(tx, ref, func(j *jobs.Job) (jobs.Effects, error) {
		return j.Answered(fresh.Tally, now), nil
	})
	return fresh, woken, err
}

// noteProgress begins the count of claims anew for shards that have brought results: only claims without any end a row.
func noteProgress(tx *gorm.DB, ref jobs.Ref, lines []jobs.Line) error {
	var shards []int
	for _, l := range lines {
		if !slices.Contains(shards, l.Shard) {
			shards = append(shards, l.Shard)
		}
	}
	return tx.Exec("UPDATE shards SET claims = 1 WHERE project_id = ? AND job_id = ? AND n IN ? AND claims > 1", ref.ProjectID, ref.ID, shards).Error
}

func addCounts(tx *gorm.DB, ref jobs.Ref, t jobs.Tally, now jobs.Time) error {
	return tx.Exec(`UPDATE jobs SET completed = completed + ?, failed = failed + ?, input_tokens = input_tokens + ?,
		cached_tokens = cached_tokens + ?, output_tokens = output_tokens + ?, reasoning_tokens = reasoning_tokens + ?,
		total_tokens = total_tokens + ?, changed_at = ?, blocked_by = '', blocked_until = 0 WHERE project_id = ? AND id = ?`,
		t.Completed, t.Failed, t.InputTokens, t.CachedTokens, t.OutputTokens, t.ReasoningTokens, t.TotalTokens, now,
		ref.ProjectID, ref.ID).Error
}

// insertSizes are the lengths of multi-row inserts: few, so that their statements stay prepared.
var insertSizes = []int{256, 32, 4, 1}

// insertLines writes the rows that are new and counts them.
func insertLines(tx *gorm.DB, lines []jobs.Line, t *freshLines) error {
	for _, size := range insertSizes {
		for ; len(lines) >= size; lines = lines[size:] {
			numbers, err := insertSet(tx, lines[:size])
			if err != nil {
				return err
			}
			t.tally(lines[:size], numbers)
		}
	}
	return nil
}

const lineRow = "(?, ?, ?, ?, ?)"

// insertSet is one statement; it gives the numbers of the lines that were new.
func insertSet(tx *gorm.DB, lines []jobs.Line) (map[int64]bool, error) {
	query := "INSERT INTO lines (project_id, job_id, line, ok, text) VALUES " +
		strings.Repeat(lineRow+", ", len(lines)-1) + lineRow + " ON CONFLICT DO NOTHING RETURNING line"
	args := make([]any, 0, len(lines)*5)
	for _, l := range lines {
		args = append(args, l.ProjectID, l.JobID, l.Line, l.OK, l.Text)
	}
	numbers := make(map[int64]bool, len(lines))
	return numbers, each(tx, func(rows *sql.Rows) error {
		var n int64
		err := rows.Scan(&n)
		numbers[n] = true
		return err
	}, query, args...)
}

// tally counts the new ones. Of two outcomes of one line in one set the first is the row.
func (t *freshLines) tally(lines []jobs.Line, fresh map[int64]bool) {
	for _, l := range lines {
		if !fresh[l.Line] {
			continue
		}
		delete(fresh, l.Line)
		t.Add(l)
		if l.OK {
			t.took.Add(l.Took)
		}
	}
}

// DoneLines tells which lines from first to last have an outcome.
func (s *Store) DoneLines(ctx context.Context, job jobs.Ref, first, last int64) (map[int64]bool, error) {
	var numbers []int64
	err := byJob(s.read(ctx).Model(&jobs.Line{}), job).Where("line BETWEEN ? AND ?", first, last).Pluck("line", &numbers).Error
	done := make(map[int64]bool, len(numbers))
	for _, n := range numbers {
		done[n] = true
	}
	return done, err
}

// A page of outcomes: this many rows, or about this many bytes; at least one row.
const (
	pageRows  = 1000
	pageBytes = 8 << 20
)

// Lines reads a page of outcomes in the file's order.
func (s *Store) Lines(ctx context.Context, q jobs.LineQuery) ([]jobs.Line, error) {
	db := byJob(s.read(ctx).Model(&jobs.Line{}), q.Job).Where("line > ?", q.After).Order("line").Limit(pageRows)
	if q.OK == nil {
		db = db.Select("line, ok, CASE WHEN NOT ok THEN text END")
	} else {
		db = db.Select("line, ok, text").Where("ok = ?", *q.OK)
	}
	rows, err := db.Rows()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []jobs.Line
	for size := 0; size < pageBytes && rows.Next(); {
		l := jobs.Line{ProjectID: q.Job.ProjectID, JobID: q.Job.ID}
		if err := rows.Scan(&l.Line, &l.OK, &l.Text); err != nil {
			return nil, err
		}
		size += len(l.Text)
		page = append(page, l)
	}
	return page, rows.Err()
}
