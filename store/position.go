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
//
// The room is taken once: inside a join it could be taken for each row.
const numberEvents = `WITH room AS MATERIALIZED (SELECT nextval('event_positions') AS base)
UPDATE events SET position = given.position FROM (
	SELECT kept, base + row_number() OVER (ORDER BY kept) - 1 AS position
	FROM (SELECT kept FROM events WHERE position = 0 ORDER BY kept LIMIT ?) AS fresh, room
) AS given WHERE events.kept = given.kept`

// eventLock is the advisory lock under which positions are given; any number that nobody else takes.
const eventLock = 0x72696e67 // "ring"

// numberedAtOnce is how many a slice has at most: by so many the sequence event_positions goes on.
const numberedAtOnce = 1000

// number gives positions to the events that had none when it was called. A slice that is not full has had all of them: it does
// not go on for those that come meanwhile, of which there may be some for ever.
func (s *Store) number(ctx context.Context) error {
	if !s.Shared() {
		return nil
	}
	for {
		var fresh bool
		if err := s.read(ctx).Raw("SELECT EXISTS (SELECT 1 FROM events WHERE position = 0)").Scan(&fresh).Error; err != nil || !fresh {
			return kept(err)
		}
		n, err := s.numberSlice(ctx)
		if err != nil || n < numberedAtOnce {
			return err
		}
	}
}

func (s *Store) numberSlice(ctx context.Context) (n int64, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		if err := tx.Exec("SELECT pg_advisory_xact_lock(?)", eventLock).Error; err != nil {
			return err
		}
		r := tx.Exec(numberEvents, numberedAtOnce) // a statement of its own: it sees what committed before the lock was had
		n = r.RowsAffected
		return r.Error
	})
	return n, err
}
