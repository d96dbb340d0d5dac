package store

import (
	"context"
	"database/sql"
	"time"

	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// Lease is how long a process that has not been heard of holds its claims.
const Lease = jobs.BeatLease

// beatMost bounds a heartbeat: one that hangs is tried again.
const beatMost = 3 * time.Second

// dbNow is the database's clock in Unix milliseconds, so that it does not matter how the processes' clocks stand.
const dbNow = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"

// beat looks at the clock once.
const beat = "INSERT INTO owners (id, started_at, beat_at) SELECT CAST($1 AS TEXT), now, now FROM (SELECT " + dbNow + " AS now) AS clock" +
	" ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at RETURNING life, beat_at"

// Beat says that a process lives. What it hears tells whether it has been taken for dead meanwhile: then its row is another
// one, however many answers were lost.
func (s *Store) Beat(ctx context.Context, owner string) (heard jobs.Heard, err error) {
	ctx, cancel := context.WithTimeout(ctx, beatMost)
	defer cancel()
	err = s.beats.QueryRowContext(ctx, beat, owner).Scan(&heard.Life, &heard.At)
	return heard, kept(err)
}

// forgotten are the claims of processes that have no row.
const forgotten = "owner <> '' AND owner <> @owner AND owner NOT IN (SELECT id FROM owners)"

// anyDead looks at indexes of what is held alone, and at the clock once. Dead is who was not heard of for a lease; a beat of
// the future is one from before the clock was set back. Who asks must have beaten just now by that clock: it
// may have been set, and then all others look dead until they beat again.
const anyDead = `SELECT clock.now, EXISTS (SELECT 1 FROM owners WHERE id = @owner AND beat_at BETWEEN clock.now - @fresh AND clock.now)
		AND (EXISTS (SELECT 1 FROM owners WHERE NOT beat_at BETWEEN clock.now - @lease + 1 AND clock.now + @lease)
			OR EXISTS (SELECT 1 FROM jobs WHERE ` + forgotten + `) OR EXISTS (SELECT 1 FROM shards WHERE ` + forgotten + `)
			OR EXISTS (SELECT 1 FROM deliveries WHERE ` + forgotten + `)) AS found
	FROM (SELECT ` + dbNow + ` AS now) AS clock`

// TakeOver frees what other processes hold that are dead, and forgets them. It tells whether there were any.
//
// Who asks has been heard of lately, and so have all that live; but a database that stands still answers later, when none of
// them has. So the question is bounded as a heartbeat is, and what follows counts from its answer, however late it is written.
func (s *Store) TakeOver(ctx context.Context, owner string) (found bool, err error) {
	var dead struct {
		Now   jobs.Time
		Found bool
	}
	named := map[string]any{"owner": owner, "lease": Lease.Milliseconds(), "fresh": jobs.BeatGap.Milliseconds()}
	soon, cancel := context.WithTimeout(ctx, beatMost)
	defer cancel()
	if err := s.read(soon).Raw(anyDead, named).Scan(&dead).Error; err != nil || !dead.Found {
		return false, kept(err)
	}
	return true, s.write(ctx, func(tx *gorm.DB) error {
		// In the same transaction, and first: who beats meanwhile waits, and hears that its row is another one.
		err := tx.Exec("DELETE FROM owners WHERE id <> ? AND NOT beat_at BETWEEN ? AND ?", owner, dead.Now.Add(-Lease)+1, dead.Now.Add(Lease)).Error
		if err != nil {
			return err
		}
		return s.freeIn(tx, "claims", forgotten, owner)
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
