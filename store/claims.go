package store

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// FreeOthers takes every claim away from owners other than this one: the exclusive lock on data_dir says that they are
// dead. What they worked on is due at once.
func (s *Store) FreeOthers(ctx context.Context, owner string) error {
	return s.free(ctx, "claims", "owner <> '' AND owner <> @owner", owner)
}

// dueAgain makes a row that was held due at once. What was put to rest meanwhile, since its job has ended, stays at rest.
const dueAgain = "due_at = CASE WHEN due_at > 0 THEN CAST(@now AS BIGINT) ELSE 0 END," +
	" wake_at = CASE WHEN due_at > 0 THEN CAST(@now AS BIGINT) ELSE 0 END"

// lessOne takes back one of a row's claims: nobody has worked on it.
const lessOne = "CASE WHEN claims > 0 THEN claims - 1 ELSE 0 END"

// FreeOwn gives back what this process still holds, when it stops in order: such a claim does not count towards
// MaxClaims.
func (s *Store) FreeOwn(ctx context.Context, owner string) error {
	return s.free(ctx, lessOne, "owner <> '' AND owner = @owner", owner)
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
		query := "UPDATE " + table + " SET owner = '', claims = " + claims + ", " + dueAgain + " WHERE " + whose
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

// claim runs a transaction in which an owner takes rows. Where the answer to its COMMIT is lost, what it may have got is given
// back: a claim that nobody knows of would hold its row for as long as its owner lives.
//
// Until that is done nobody here makes the same claim again: where the first one came to nothing, a second would have its number,
// and would be given back in its place.
func (s *Store) claim(ctx context.Context, table, owner string, take func(tx *gorm.DB) ([]held, error)) error {
	var mine []held
	defer func() { s.claiming.end(table, mine) }()
	err := s.write(ctx, func(tx *gorm.DB) error {
		s.claiming.end(table, mine) // of a run before this one
		mine = nil
		claims, err := take(tx)
		if err != nil {
			return err
		}
		if !s.claiming.begin(table, claims) {
			return errInDoubt
		}
		mine = claims
		return nil
	})
	if errors.Is(err, errUnknown) {
		s.giveBack(ctx, table, owner, mine)
	}
	return err
}

// claiming are the claims that are being made here: each from before its COMMIT until it is known to stand or not.
type claiming struct {
	mu     sync.Mutex
	claims map[claimOf]struct{}
}

type claimOf struct {
	table string
	jobs.Ref
	attempt int64
}

var errInDoubt = errors.New("store: it is not known yet what an earlier claim of the same row came to")

// begin enters all of the claims, or none where one of them is entered already: that one came to nothing, or this one could not
// be made, and is about to be given back.
func (c *claiming) begin(table string, claims []held) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range claims {
		if _, entered := c.claims[one.of(table)]; entered {
			return false
		}
	}
	for _, one := range claims {
		c.claims[one.of(table)] = struct{}{}
	}
	return true
}

func (c *claiming) end(table string, claims []held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range claims {
		delete(c.claims, one.of(table))
	}
}

// giveBack undoes claims of which it is not known whether they stood. When ctx ends first, they go with the rest of the owner's.
func (s *Store) giveBack(ctx context.Context, table, owner string, claims []held) {
	for s.unclaim(ctx, table, owner, claims) != nil && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// held is a claim of a row.
type held struct {
	jobs.Ref
	attempt int64
	gate    jobs.Ref // of a delivery
}

func (h held) of(table string) claimOf { return claimOf{table, h.Ref, h.attempt} }

func heldOf[T any](rows []T, of func(*T) held) []held {
	claims := make([]held, len(rows))
	for i := range rows {
		claims[i] = of(&rows[i])
	}
	return claims
}

func (s *Store) unclaim(ctx context.Context, table, owner string, claims []held) error {
	set := dueAgain
	if table == "deliveries" {
		set = "due_at = @now, state = 'waiting'"
	}
	query := "UPDATE " + table + " SET owner = '', claims = " + lessOne + ", " + set +
		" WHERE project_id = @project AND id = @id AND owner = @owner AND attempt = @attempt"
	return s.write(ctx, func(tx *gorm.DB) error {
		// The server may not have brought the COMMIT to its end, one way or the other: then the rows are locked, and this waits.
		if err := lockRows(tx, table, claims); err != nil {
			return err
		}
		now, due := s.now(), map[jobs.Ref]jobs.Time{}
		for _, c := range claims {
			r := tx.Exec(query, map[string]any{"now": now, "project": c.ProjectID, "id": c.ID, "owner": owner, "attempt": c.attempt})
			if r.Error != nil {
				return r.Error
			}
			if r.RowsAffected > 0 && table == "deliveries" {
				sooner(due, c.gate, now)
			}
		}
		return wakeGates(tx, due)
	})
}

// lockRows waits until no other transaction has changed rows and not ended yet.
func lockRows(tx *gorm.DB, table string, claims []held) error {
	refs := make([]jobs.Ref, len(claims))
	for i, c := range claims {
		refs[i] = c.Ref
	}
	for project, ids := range byProject(refs) {
		err := locked(tx).Table(table).Select("id").Where("project_id = ? AND id IN ?", project, ids).Order("id").Scan(&[]string{}).Error
		if err != nil {
			return err
		}
	}
	return nil
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
