package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// offerAgain is how long a row that was offered for work is left alone: a task that died with its offer blocks it no
// longer than that.
const offerAgain = 5 * time.Second

// DueBatches offers batches whose time has come; see due.
func (s *Store) DueBatches(ctx context.Context, n int) ([]string, error) {
	return s.due(ctx, "jobs", n, "kind = 'batch'")
}

// DueCalls offers generations, responses and fine-tunings whose time has come; see due.
func (s *Store) DueCalls(ctx context.Context, n int) ([]string, error) {
	return s.due(ctx, "jobs", n, "kind = 'generation'", "kind = 'response'", "kind = 'fine_tuning'")
}

// DueShards offers shards whose time has come; see due.
func (s *Store) DueShards(ctx context.Context, n int) ([]string, error) {
	return s.due(ctx, "shards", n, "TRUE")
}

// DueGates offers gates behind which deliveries are due; see due.
func (s *Store) DueGates(ctx context.Context, n int) (texts []string, err error) {
	if waiting, err := s.anyDue(ctx, "gates", "TRUE"); err != nil || !waiting {
		return nil, err
	}
	err = s.write(ctx, func(tx *gorm.DB) error {
		texts, err = offer(tx, "gates", "TRUE", s.now(), n)
		return err
	})
	return texts, err
}

// due takes up to n rows whose wake_at has passed and moves it on in the same transaction, so that nothing is offered
// without end. A higher priority goes first; of the same, the sorts in their order. Each is a range of an index: rows that
// are not due yet cost nothing, however many they are. A look with the read pool comes first: nothing is written while
// nothing is due.
func (s *Store) due(ctx context.Context, table string, n int, sorts ...string) (texts []string, err error) {
	if waiting, err := s.anyDue(ctx, table, "("+strings.Join(sorts, " OR ")+") AND priority IN (1, 0, -1)"); err != nil || !waiting {
		return nil, err
	}
	err = s.write(ctx, func(tx *gorm.DB) error {
		texts = nil
		for _, p := range jobs.Priorities() {
			for _, sort := range sorts {
				if len(texts) >= n {
					return nil
				}
				more, err := offer(tx, table, sort+" AND priority = "+strconv.Itoa(p.Rank()), s.now(), n-len(texts))
				if err != nil {
					return err
				}
				texts = append(texts, more...)
			}
		}
		return nil
	})
	return texts, err
}

const isDue = " AND wake_at > 0 AND wake_at <= ?"

func (s *Store) anyDue(ctx context.Context, table, which string) (bool, error) {
	var waiting []string
	err := s.read(ctx).Table(table).Where(which+isDue, s.now()).Limit(1).Pluck("id", &waiting).Error
	return len(waiting) > 0, err
}

// offer takes rows that are due, the longest due first, and has the sweeper leave them alone for a while.
func offer(tx *gorm.DB, table, which string, now jobs.Time, n int) ([]string, error) {
	var rows []jobs.Ref
	err := tx.Raw("UPDATE "+table+" SET wake_at = ? WHERE "+some(tx, table, which+isDue+" ORDER BY wake_at")+
		" RETURNING project_id, id", now.Add(offerAgain), now, n).Scan(&rows).Error
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
	return s.free(ctx, "CASE WHEN claims > 0 THEN claims - 1 ELSE 0 END", "owner <> '' AND owner = @owner", owner)
}

func (s *Store) free(ctx context.Context, claims, whose, owner string) error {
	return s.write(ctx, func(tx *gorm.DB) error { return s.freeIn(tx, claims, whose, owner) })
}

func (s *Store) freeIn(tx *gorm.DB, claims, whose, owner string) error {
	now := s.now()
	held, err := s.interrupted(tx, whose, owner, now)
	if err != nil {
		return err
	}
	for _, table := range []string{"jobs", "shards"} {
		// What was put to rest while it was held (its job has ended) stays at rest.
		query := "UPDATE " + table + " SET owner = '', due_at = CASE WHEN due_at > 0 THEN CAST(@now AS BIGINT) ELSE 0 END, " +
			"wake_at = CASE WHEN due_at > 0 THEN CAST(@now AS BIGINT) ELSE 0 END, claims = " + claims + " WHERE " + whose
		if err := tx.Exec(query, map[string]any{"now": now, "owner": owner}).Error; err != nil {
			return err
		}
	}
	for project, ids := range byProject(held) {
		for some := range slices.Chunk(ids, slice) { // those that have their attempt, and no others that lapsed meanwhile
			err := tx.Exec("UPDATE deliveries SET state = 'waiting', owner = '', due_at = ?, recorded = recorded + 1, claims = "+claims+
				" WHERE project_id = ? AND id IN ?", now, project, some).Error
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// giveBack undoes claims of which it is not known whether they stood. A claim that nobody knows of would hold its row for as
// long as its owner lives.
func (s *Store) giveBack(ctx context.Context, table, owner string, claims []held) {
	for _, c := range claims {
		for s.unclaim(ctx, table, owner, c) != nil && ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
}

// held is a claim of a row.
type held struct {
	jobs.Ref
	attempt int64
	gate    jobs.Ref // of a delivery
}

func heldOf[T any](rows []T, of func(*T) held) []held {
	claims := make([]held, len(rows))
	for i := range rows {
		claims[i] = of(&rows[i])
	}
	return claims
}

func (s *Store) unclaim(ctx context.Context, table, owner string, c held) error {
	// What was put to rest meanwhile stays at rest.
	set := "owner = '', due_at = CASE WHEN due_at > 0 THEN CAST(@now AS BIGINT) ELSE 0 END, wake_at = CASE WHEN due_at > 0 THEN CAST(@now AS BIGINT) ELSE 0 END"
	if table == "deliveries" {
		set = "owner = '', due_at = @now, state = 'waiting'"
	}
	return s.write(ctx, func(tx *gorm.DB) error {
		now := s.now()
		r := tx.Exec("UPDATE "+table+" SET "+set+" WHERE project_id = @project AND id = @id AND owner = @owner AND attempt = @attempt",
			map[string]any{"now": now, "project": c.ProjectID, "id": c.ID, "owner": owner, "attempt": c.attempt})
		if r.Error != nil || r.RowsAffected == 0 || table != "deliveries" {
			return r.Error
		}
		return wakeGates(tx, map[jobs.Ref]jobs.Time{c.gate: now})
	})
}

// interrupted writes an attempt for each delivery whose process ended with it in hand: its receiver may have got it, and
// will get it again. So each callback that is ever repeated has its row. It is no try: it picks neither delay nor end.
func (s *Store) interrupted(tx *gorm.DB, whose, owner string, now jobs.Time) ([]jobs.Ref, error) {
	var held []callbacks.Delivery
	if err := locked(tx).Where(whose, map[string]any{"owner": owner}).Find(&held).Error; err != nil || len(held) == 0 {
		return nil, err
	}
	due, attempts, refs := map[jobs.Ref]jobs.Time{}, make([]callbacks.Attempt, len(held)), make([]jobs.Ref, len(held))
	for i := range held {
		refs[i] = held[i].Ref()
		attempts[i] = callbacks.Interrupted(&held[i], now)
		sooner(due, held[i].GateRef(), now)
	}
	if err := tx.CreateInBatches(&attempts, 100).Error; err != nil {
		return nil, err
	}
	return refs, wakeGates(tx, due)
}
