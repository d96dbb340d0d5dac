package store

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// offerAgain is how long a row that was offered for work is left alone: a task that died with its offer blocks it no
// longer than that.
const offerAgain = 5 * time.Second

// DueBatches offers batches whose time has come; see due.
func (s *Store) DueBatches(ctx context.Context, n int) ([]string, error) {
	return s.due(ctx, "jobs", "kind = 'batch' AND ", n)
}

// DueGenerations offers generations whose time has come; see due.
func (s *Store) DueGenerations(ctx context.Context, n int) ([]string, error) {
	return s.due(ctx, "jobs", "kind = 'generation' AND ", n)
}

// DueShards offers shards whose time has come; see due.
func (s *Store) DueShards(ctx context.Context, n int) ([]string, error) {
	return s.due(ctx, "shards", "", n)
}

// DueDeliveries offers deliveries whose time has come; see due.
func (s *Store) DueDeliveries(ctx context.Context, n int) ([]string, error) {
	return s.due(ctx, "deliveries", "", n)
}

// due takes up to n rows whose wake_at has passed and moves it on in the same statement, so that nothing is offered
// without end. A look with the read pool comes first: nothing is written while nothing is due.
func (s *Store) due(ctx context.Context, table, which string, n int) ([]string, error) {
	now := s.now()
	which += "wake_at > 0 AND wake_at <= ?"
	var waiting []string
	if err := s.read(ctx).Table(table).Where(which, now).Limit(1).Pluck("id", &waiting).Error; err != nil || len(waiting) == 0 {
		return nil, err
	}
	var rows []jobs.Ref
	err := s.write(ctx, func(tx *gorm.DB) error {
		rows = nil
		return tx.Raw("UPDATE "+table+" SET wake_at = ? WHERE rowid IN (SELECT rowid FROM "+table+" WHERE "+which+
			" ORDER BY wake_at LIMIT ?) RETURNING project_id, id", now.Add(offerAgain), now, n).Scan(&rows).Error
	})
	texts := make([]string, len(rows))
	for i, r := range rows {
		texts[i] = r.String()
	}
	return texts, err
}

// FreeOthers takes every claim away from owners other than this one: the exclusive lock on data_dir says that they are
// dead. What they worked on is due at once.
func (s *Store) FreeOthers(ctx context.Context, owner string) error {
	return s.free(ctx, "claims", "owner <> '' AND owner <> @owner", owner)
}

// FreeOwn gives back what this process still holds, when it stops in order: such a claim does not count towards
// MaxClaims.
func (s *Store) FreeOwn(ctx context.Context, owner string) error {
	return s.free(ctx, "max(claims - 1, 0)", "owner <> '' AND owner = @owner", owner)
}

func (s *Store) free(ctx context.Context, claims, whose, owner string) error {
	now := s.now()
	return s.write(ctx, func(tx *gorm.DB) error {
		for table, more := range map[string]string{"jobs": "", "shards": "", "deliveries": "state = 'waiting', "} {
			// What was put to rest while it was held (its job has ended) stays at rest.
			query := "UPDATE " + table + " SET " + more + "owner = '', due_at = CASE WHEN due_at > 0 THEN @now ELSE 0 END, " +
				"wake_at = CASE WHEN due_at > 0 THEN @now ELSE 0 END, claims = " + claims + " WHERE " + whose
			if err := tx.Exec(query, map[string]any{"now": now, "owner": owner}).Error; err != nil {
				return err
			}
		}
		return nil
	})
}
