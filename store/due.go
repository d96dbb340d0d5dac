package store

import (
	"context"
	"strconv"
	"time"

	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// offerAgain is how long a row that was offered for work is left alone: a task that died with its offer blocks it no
// longer than that.
const offerAgain = 5 * time.Second

// DueJobs offers batches and fine-tunings whose time has come; see due.
func (s *Store) DueJobs(ctx context.Context, n int) ([]string, error) {
	return s.due(ctx, "jobs", byPriority("kind = 'batch' AND ", "kind = 'fine_tuning' AND "), n)
}

// DueCalls offers generations and responses whose time has come; see due.
func (s *Store) DueCalls(ctx context.Context, n int) ([]string, error) {
	return s.due(ctx, "jobs", byPriority("kind = 'generation' AND ", "kind = 'response' AND "), n)
}

// DueShards offers shards whose time has come; see due.
func (s *Store) DueShards(ctx context.Context, n int) ([]string, error) {
	return s.due(ctx, "shards", byPriority(""), n)
}

// DueGates offers gates behind which deliveries are due; see due.
func (s *Store) DueGates(ctx context.Context, n int) ([]string, error) {
	return s.due(ctx, "gates", []string{""}, n)
}

// byPriority are the conditions that pick rows of each sort, those of a higher priority first. Each is a range of an
// index: rows that are not due yet cost nothing, however many they are.
func byPriority(sorts ...string) (conditions []string) {
	for _, p := range jobs.Priorities() {
		for _, sort := range sorts {
			conditions = append(conditions, sort+"priority = "+strconv.Itoa(p.Rank())+" AND ")
		}
	}
	return conditions
}

// due takes up to n rows whose wake_at has passed and moves it on in the same transaction, so that nothing is offered
// without end. The conditions are asked in their order. A look with the read pool comes first: nothing is written while
// nothing is due.
func (s *Store) due(ctx context.Context, table string, conditions []string, n int) (texts []string, err error) {
	now := s.now()
	if waiting, err := s.anyDue(ctx, table, conditions, now); err != nil || !waiting {
		return nil, err
	}
	err = s.write(ctx, func(tx *gorm.DB) error {
		texts = nil
		for _, which := range conditions {
			var rows []jobs.Ref
			err := tx.Raw("UPDATE "+table+" SET wake_at = ? WHERE rowid IN (SELECT rowid FROM "+table+" WHERE "+which+isDue+
				" ORDER BY wake_at LIMIT ?) RETURNING project_id, id", now.Add(offerAgain), now, n-len(texts)).Scan(&rows).Error
			if err != nil {
				return err
			}
			for _, r := range rows {
				texts = append(texts, r.String())
			}
			if len(texts) >= n {
				return nil
			}
		}
		return nil
	})
	return texts, err
}

const isDue = "wake_at > 0 AND wake_at <= ?"

func (s *Store) anyDue(ctx context.Context, table string, conditions []string, now jobs.Time) (bool, error) {
	for _, which := range conditions {
		var waiting []string
		if err := s.read(ctx).Table(table).Where(which+isDue, now).Limit(1).Pluck("id", &waiting).Error; err != nil || len(waiting) > 0 {
			return len(waiting) > 0, err
		}
	}
	return false, nil
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
		if err := s.interrupted(tx, whose, owner, now); err != nil {
			return err
		}
		for _, table := range []string{"jobs", "shards"} {
			// What was put to rest while it was held (its job has ended) stays at rest.
			query := "UPDATE " + table + " SET owner = '', due_at = CASE WHEN due_at > 0 THEN @now ELSE 0 END, " +
				"wake_at = CASE WHEN due_at > 0 THEN @now ELSE 0 END, claims = " + claims + " WHERE " + whose
			if err := tx.Exec(query, map[string]any{"now": now, "owner": owner}).Error; err != nil {
				return err
			}
		}
		return tx.Exec("UPDATE deliveries SET state = 'waiting', owner = '', due_at = @now, recorded = recorded + 1, claims = "+claims+
			" WHERE "+whose, map[string]any{"now": now, "owner": owner}).Error
	})
}

// interrupted writes an attempt for each delivery whose process ended with it in hand: its receiver may have got it, and
// will get it again. So each callback that is ever repeated has its row. It is no try: it picks neither delay nor end.
func (s *Store) interrupted(tx *gorm.DB, whose, owner string, now jobs.Time) error {
	var held []callbacks.Delivery
	if err := tx.Where(whose, map[string]any{"owner": owner}).Find(&held).Error; err != nil || len(held) == 0 {
		return err
	}
	due, attempts := map[jobs.Ref]jobs.Time{}, make([]callbacks.Attempt, len(held))
	for i := range held {
		attempts[i] = callbacks.Interrupted(&held[i], now)
		sooner(due, held[i].GateRef(), now)
	}
	if err := tx.CreateInBatches(&attempts, 100).Error; err != nil {
		return err
	}
	return wakeGates(tx, due)
}
