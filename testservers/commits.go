package testservers

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// CommitRate is how many transactions a second the server commits that write one row each, for so many clients at once, over
// that time: what whoever keeps facts in it one by one can reach at most. It leaves a database behind.
func (p *Postgres) CommitRate(ctx context.Context, clients int, span time.Duration) (perSecond float64, err error) {
	dsn, err := p.NewDatabase()
	if err != nil {
		return 0, err
	}
	first, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		return 0, fmt.Errorf("testservers: commits: %w", err)
	}
	defer func() { _ = first.Close(ctx) }()
	if _, err := first.Exec(ctx, "CREATE TABLE kept (client int, text text)").ReadAll(); err != nil {
		return 0, fmt.Errorf("testservers: commits: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var commits atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for range clients {
		all.Go(func() {
			if err := commitFor(ctx, dsn, began.Add(span), &commits); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	return float64(commits.Load()) / time.Since(began).Seconds(), context.Cause(ctx)
}

func commitFor(ctx context.Context, dsn string, end time.Time, commits *atomic.Int64) error {
	conn, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for time.Now().Before(end) {
		if _, err := conn.Exec(ctx, "INSERT INTO kept VALUES (1, 'a row of about as many bytes as a fact has that stands alone')").ReadAll(); err != nil {
			return err
		}
		commits.Add(1)
	}
	return nil
}

// Writes is how many transactions that write have begun so far, in all databases.
func (p *Postgres) Writes(ctx context.Context) (int64, error) {
	rows, err := p.exec(ctx, "SELECT pg_snapshot_xmax(pg_current_snapshot())")
	if err != nil {
		return 0, fmt.Errorf("testservers: commits: %w", err)
	}
	return strconv.ParseInt(string(rows[0].Rows[0][0]), 10, 64)
}
