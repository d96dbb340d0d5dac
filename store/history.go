package store

import (
	"cmp"
	"context"
	"database/sql"
	"time"

	"gorm.io/gorm"

	"github.com/ringback/ringback/history"
)

// History reads points: series by series as they were asked for, of each its abouts in their order, of each the oldest first.
func (s *Store) History(ctx context.Context, q history.Query) (points []history.Point, err error) {
	for _, series := range q.Series {
		abouts := []string{q.About}
		if q.AnyAbout {
			if abouts, err = s.abouts(ctx, q.ProjectID, series); err != nil {
				return nil, err
			}
		}
		for _, about := range abouts {
			read := s.slots
			if history.Gauge(series) {
				read = s.samples
			}
			some, err := read(ctx, slotQuery{Query: q, series: series, about: about})
			if err != nil {
				return nil, err
			}
			points = append(points, some...)
		}
	}
	return points, nil
}

// eachAbout goes from one about to the next by the index, over all slots in between.
const eachAbout = `WITH RECURSIVE next_about(about) AS (
	SELECT (SELECT min(about) FROM history WHERE project_id = @project AND series = @series AND about > '')
	UNION ALL SELECT (SELECT min(about) FROM history WHERE project_id = @project AND series = @series AND about > next_about.about)
		FROM next_about WHERE next_about.about IS NOT NULL)
	SELECT about FROM next_about WHERE about IS NOT NULL`

func (s *Store) abouts(ctx context.Context, project, series string) (abouts []string, err error) {
	err = s.read(ctx).Raw(eachAbout, map[string]any{"project": project, "series": series}).Scan(&abouts).Error
	return abouts, err
}

// slotQuery asks for one series about one thing.
type slotQuery struct {
	history.Query
	series, about string
}

func (s *Store) slots(ctx context.Context, q slotQuery) (points []history.Point, err error) {
	db := s.read(ctx)
	query, args := q.sql(db)
	err = each(db, func(rows *sql.Rows) (err error) {
		p := history.Point{Series: q.series, About: q.about}
		var span int64
		var spread string
		if err := rows.Scan(&p.At, &span, &p.N, &spread); err != nil {
			return err
		}
		p.Span = max(milliseconds(span), q.Step)
		p.Spread, err = history.ParseSpread(spread)
		points = append(points, p)
		return err
	}, query, args...)
	return points, err
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// sql merges in the database: of thousands of slots few points are left.
func (q *slotQuery) sql(db *gorm.DB) (query string, args []any) {
	since, until := q.Bounds()
	step := q.Step.Milliseconds()
	args = []any{step, max(step, 1), q.ProjectID, q.series, q.about, int64(since), int64(until)}
	from := "job_history WHERE project_id = ? AND series = ? AND job_id = ? AND at >= ? AND at < ?"
	if span := history.SpanFor(q.series, q.about, q.Step); span > 0 {
		from = "history WHERE project_id = ? AND series = ? AND about = ? AND at >= ? AND at < ? AND span = ?"
		args = append(args, span.Milliseconds())
	}
	return `SELECT start_at, max(span), CAST(sum(n) AS BIGINT), ` + sqlOf(db).joined("spread") + ` FROM (
		SELECT CASE WHEN span < CAST(? AS BIGINT) THEN at - at % CAST(? AS BIGINT) ELSE at END AS start_at, span, n, spread FROM ` + from + `) AS slots
		GROUP BY start_at ORDER BY start_at`, args
}

const (
	sampleColumns = "SELECT at, n FROM history WHERE project_id = ? AND series = ? AND about = ?"
	lastSample    = sampleColumns + " AND at < ? ORDER BY at DESC LIMIT 1"
	samplesSince  = sampleColumns + " AND at >= ? AND at < ? ORDER BY at"
)

// samples reads a gauge.
func (s *Store) samples(ctx context.Context, q slotQuery) ([]history.Point, error) {
	q.Step = cmp.Or(q.Step, history.SpanGauges)
	since, until := q.Bounds()
	until = min(until, s.now()+1)
	var all, more []history.Sample
	db := s.read(ctx)
	if err := db.Raw(lastSample, q.ProjectID, q.series, q.about, since).Scan(&all).Error; err != nil {
		return nil, err
	}
	if err := db.Raw(samplesSince, q.ProjectID, q.series, q.about, since, until).Scan(&more).Error; err != nil {
		return nil, err
	}
	points := history.Carry(append(all, more...), since, until, q.Step)
	for i := range points {
		points[i].Series, points[i].About = q.series, q.about
	}
	return points, nil
}

// KeepHistory writes slots as they are now, each in the place of what its source wrote before.
func (s *Store) KeepHistory(ctx context.Context, rows []history.Row) error {
	var project, batches []history.Row
	for i := range rows {
		if history.OfBatch(rows[i].Series, rows[i].About) {
			batches = append(batches, rows[i])
		} else {
			project = append(project, rows[i])
		}
	}
	return s.write(ctx, func(tx *gorm.DB) error {
		if err := keepSlots(tx, "history", "about", project); err != nil {
			return err
		}
		return keepSlots(tx, "job_history", "job_id", batches)
	})
}

const slotRow = "(?, ?, ?, ?, ?, ?, ?, ?)"

func keepSlots(tx *gorm.DB, table, about string, rows []history.Row) error {
	key := "project_id, series, " + about + ", at, span, source"
	return inSets(rows, func(set []history.Row) error {
		args := make([]any, 0, 8*len(set))
		for i := range set {
			r := &set[i]
			args = append(args, r.ProjectID, r.Series, r.About, int64(r.At), r.Span.Milliseconds(), r.Source, r.N, r.Spread.String())
		}
		return exec(tx, "INSERT INTO "+table+" ("+key+", n, spread) VALUES "+times(slotRow, len(set))+
			" ON CONFLICT ("+key+") DO UPDATE SET n = excluded.n, spread = excluded.spread", args...)
	})
}

// historyKept is how long the history of projects is kept. A batch's own stays as long as the batch.
const historyKept = 8 * 24 * time.Hour

// history removes what is older.
func (j *Janitor) history(ctx context.Context) (int, error) {
	var n int64
	err := j.write(ctx, func(tx *gorm.DB) error {
		r := tx.Exec("DELETE FROM history WHERE "+oldest(tx), j.Store.now().Add(-historyKept), j.room())
		n = r.RowsAffected
		return r.Error
	})
	return int(n), err
}

// oldest picks slots by their age. In SQLite the table has no places but its keys.
func oldest(tx *gorm.DB) string {
	const which, key = "at <= ? ORDER BY at", "(project_id, series, about, at, span, source)"
	if sqlOf(tx) == &onSQLite {
		return key + " IN (SELECT project_id, series, about, at, span, source FROM history WHERE " + which + " LIMIT ?)"
	}
	return some(tx, "history", which)
}
