package store

import (
	"context"
	"database/sql"
	"time"

	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// Lease is how long a process that has not been heard of holds its claims.
const Lease = 15 * time.Second

// beatMost bounds a heartbeat: one that hangs is tried again.
const beatMost = 3 * time.Second

// dbNow is the database's clock in Unix milliseconds, so that it does not matter how the processes' clocks stand.
const dbNow = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"

// beat looks at the clock once: who is new has begun with this beat, and nobody else.
const beat = "INSERT INTO owners (id, started_at, beat_at) SELECT CAST($1 AS TEXT), now, now FROM (SELECT " + dbNow + " AS now) AS clock" +
	" ON CONFLICT (id) DO UPDATE SET beat_at = greatest(excluded.beat_at, owners.started_at + 1) RETURNING started_at < beat_at"

// Beat says that a process lives. known is false where it was not known: it is new, or it has been taken for dead and its
// claims have gone to others.
func (s *Store) Beat(ctx context.Context, owner string) (known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, beatMost)
	defer cancel()
	err = s.beats.QueryRowContext(ctx, beat, owner).Scan(&known)
	return known, kept(err)
}

// lapsed are the claims of processes that have not been heard of for a lease, or that are not known at all.
const lapsed = "owner <> '' AND owner <> @owner AND owner NOT IN (SELECT id FROM owners WHERE beat_at > " + dbNow + " - 15000)"

// unknown are those of processes that have been forgotten.
const unknown = "owner <> '' AND owner <> @owner AND owner NOT IN (SELECT id FROM owners)"

// anyLapsed looks at indexes of what is held alone, and at the clock once.
const anyLapsed = `SELECT ` + dbNow + ` AS now, EXISTS (SELECT 1 FROM jobs WHERE ` + lapsed + `) OR EXISTS (SELECT 1 FROM shards WHERE ` + lapsed + `)
	OR EXISTS (SELECT 1 FROM deliveries WHERE ` + lapsed + `) OR EXISTS (SELECT 1 FROM owners WHERE beat_at <= ` + dbNow + ` - 15000) AS found`

// TakeOver frees what other processes hold that are dead, and forgets them. It tells whether there were any.
//
// Who asks has been heard of lately, and so have all that live; but a database that stands still answers later, when none of
// them has. So the question is bounded as a heartbeat is, and what follows counts from its answer, however late it is written.
func (s *Store) TakeOver(ctx context.Context, owner string) (found bool, err error) {
	var lapse struct {
		Now   jobs.Time
		Found bool
	}
	soon, cancel := context.WithTimeout(ctx, beatMost)
	defer cancel()
	if err := s.read(soon).Raw(anyLapsed, map[string]any{"owner": owner}).Scan(&lapse).Error; err != nil || !lapse.Found {
		return false, kept(err)
	}
	return true, s.write(ctx, func(tx *gorm.DB) error {
		// In the same transaction, and first: who beats meanwhile waits, and hears that it is not known any more.
		if err := tx.Exec("DELETE FROM owners WHERE beat_at <= ?", lapse.Now.Add(-Lease)).Error; err != nil {
			return err
		}
		return s.freeIn(tx, "claims", unknown, owner)
	})
}

// Leave frees what this process still holds, when it stops in order, and forgets it.
func (s *Store) Leave(ctx context.Context, owner string) error {
	if err := s.FreeOwn(ctx, owner); err != nil || !s.Shared() {
		return err
	}
	return s.write(ctx, func(tx *gorm.DB) error {
		if err := tx.Exec("DELETE FROM leases WHERE owner = ?", owner).Error; err != nil {
			return err
		}
		return tx.Exec("DELETE FROM owners WHERE id = ?", owner).Error
	})
}

const takeLease = "INSERT INTO leases (name, owner, until_at) VALUES ($1, $2, " + dbNow + " + $3)" +
	" ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until_at = excluded.until_at" +
	" WHERE leases.owner = excluded.owner OR leases.until_at <= " + dbNow + " RETURNING 1"

// Leads tells whether this process is the one that does what one alone should do, for as long from now on. On SQLite there
// is one process.
func (s *Store) Leads(ctx context.Context, name, owner string, lease time.Duration) (bool, error) {
	if !s.Shared() {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, beatMost)
	defer cancel()
	var one int
	err := s.beats.QueryRowContext(ctx, takeLease, name, owner, lease.Milliseconds()).Scan(&one)
	if err == sql.ErrNoRows { //nolint:errorlint // Scan gives it as it is
		return false, nil
	}
	return err == nil, kept(err)
}

// Clock is the database's time: by it processes whose clocks differ find out.
func (s *Store) Clock(ctx context.Context) (now jobs.Time, err error) {
	if !s.Shared() {
		return s.now(), nil
	}
	err = s.read(ctx).Raw("SELECT " + dbNow).Scan(&now).Error
	return now, kept(err)
}
