package store

import (
	"context"

	"gorm.io/gorm"
)

// Events are read in commit order, and their positions are that order: who has read up to one never misses another.
//
// On SQLite the rows' order is that of the commits: there is one writer. On PostgreSQL a transaction that wrote first may
// commit last. So events are written without a position, and whoever wants to read gives positions to all that have
// committed since, a slice at a time, under a lock of their own: positions are given in the order in which the locks were
// had, so one that a reader can see is never followed by a lower one.
const numberEvents = `UPDATE events SET position = given.position FROM (
	SELECT kept, base + row_number() OVER (ORDER BY kept) - 1 AS position
	FROM (SELECT kept FROM events WHERE position = 0 ORDER BY kept LIMIT 1000) AS fresh, (SELECT nextval('event_positions') AS base) AS room
) AS given WHERE events.kept = given.kept`

// eventLock is the advisory lock under which positions are given; any number that nobody else takes.
const eventLock = 0x72696e67 // "ring"

// number gives positions to the events that have none yet.
func (s *Store) number(ctx context.Context) error {
	for s.Shared() {
		var fresh bool
		if err := s.read(ctx).Raw("SELECT EXISTS (SELECT 1 FROM events WHERE position = 0)").Scan(&fresh).Error; err != nil || !fresh {
			return kept(err)
		}
		err := s.write(ctx, func(tx *gorm.DB) error {
			if err := tx.Exec("SELECT pg_advisory_xact_lock(?)", eventLock).Error; err != nil {
				return err
			}
			return tx.Exec(numberEvents).Error // a statement of its own: it sees what committed before the lock was had
		})
		if err != nil {
			return err
		}
	}
	return nil
}
