package store

import (
	"context"
	"database/sql"

	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// gate is the row of what deliveries to one receiver pass through, while its breaker is open.
type gate struct {
	ProjectID string
	ID        string
	ShutAt    jobs.Time
}

// wakeGates has the sweeper look at gates when deliveries behind them become due.
//
// Each wake is a row that is added: nobody who ends a job waits for another one with the same receiver. A claim takes away
// those that it finds, before it looks at the deliveries: what commits later has its wake still.
func wakeGates(tx *gorm.DB, due map[jobs.Ref]jobs.Time) error {
	return inSets(inOrder(due), func(set []jobs.Ref) error {
		args := make([]any, 0, 3*len(set))
		for _, ref := range set {
			args = append(args, ref.ProjectID, ref.ID, due[ref])
		}
		return tx.Exec("INSERT INTO wakes (project_id, gate, wake_at) VALUES "+times("(?, ?, ?)", len(set)), args...).Error
	})
}

// takenAtOnce is how many wakes of a gate a claim takes away; more are left to the next look.
const takenAtOnce = 1000

// takeWakes removes a gate's wakes. One that somebody else removes at the same time is left to them.
func takeWakes(tx *gorm.DB, ref jobs.Ref) error {
	return exec(tx, "DELETE FROM wakes WHERE "+some(tx, "wakes", "project_id = ? AND gate = ?"), ref.ProjectID, ref.ID, takenAtOnce)
}

// sweepRounds bounds how often one sweep looks for more gates, where some have many wakes.
const sweepRounds = 16

// offerGates takes the wakes that are due, the longest due first, and gives each of their gates one in a while. Of a gate that
// has many it takes the others too: none keeps the rest from their turn.
func offerGates(tx *gorm.DB, now jobs.Time, n int) ([]string, error) {
	again, texts := map[jobs.Ref]jobs.Time{}, []string(nil)
	for range sweepRounds {
		room, taken, many := n-len(again), 0, map[jobs.Ref]bool{}
		err := each(tx, func(rows *sql.Rows) error {
			var ref jobs.Ref
			err := rows.Scan(&ref.ProjectID, &ref.ID)
			if _, known := again[ref]; known {
				many[ref] = true
			} else {
				texts = append(texts, ref.String())
			}
			again[ref] = now.Add(offerAgain)
			taken++
			return err
		}, "DELETE FROM wakes WHERE "+some(tx, "wakes", "wake_at <= ? ORDER BY wake_at")+" RETURNING project_id, gate", int64(now), room)
		if err != nil {
			return nil, err
		}
		for ref := range many {
			if err := takeWakes(tx, ref); err != nil {
				return nil, err
			}
		}
		if taken < room || len(again) >= n {
			break
		}
	}
	return texts, wakeGates(tx, again)
}

// sooner notes that something behind a gate becomes due; zero is never.
func sooner(due map[jobs.Ref]jobs.Time, ref jobs.Ref, at jobs.Time) {
	if old, ok := due[ref]; at > 0 && (!ok || at < old) {
		due[ref] = at
	}
}

const shutGate = `INSERT INTO gates (project_id, id, shut_at) VALUES (?, ?, ?)
	ON CONFLICT (project_id, id) DO UPDATE SET shut_at = excluded.shut_at`

// ShutGate keeps since when a gate has been shut, zero where it is open again, and has it woken.
func (s *Store) ShutGate(ctx context.Context, ref jobs.Ref, since, wake jobs.Time) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		query, args := shutGate, []any{ref.ProjectID, ref.ID, int64(since)}
		if since == 0 {
			query, args = "DELETE FROM gates WHERE project_id = ? AND id = ?", args[:2]
		}
		if err := exec(tx, query, args...); err != nil {
			return err
		}
		if err := takeWakes(tx, ref); err != nil {
			return err
		}
		return wakeGates(tx, map[jobs.Ref]jobs.Time{ref: wake})
	})
}

// shutGates tells since when those of the gates are shut that are.
func shutGates(tx *gorm.DB, refs []jobs.Ref) (map[jobs.Ref]jobs.Time, error) {
	shut := map[jobs.Ref]jobs.Time{}
	for project, ids := range byProject(refs) {
		err := eachOf(tx, func(rows *sql.Rows) error {
			var id string
			var at jobs.Time
			err := rows.Scan(&id, &at)
			shut[jobs.Ref{ProjectID: project, ID: id}] = at
			return err
		}, "SELECT id, shut_at FROM gates WHERE project_id = ? AND id IN", project, ids)
		if err != nil {
			return nil, err
		}
	}
	return shut, nil
}

// nextLook is when the sweeper is to look at a gate again: when the next of its deliveries becomes due, or soon where some
// are due already, or never.
const nextLook = `INSERT INTO wakes (project_id, gate, wake_at)
	SELECT project_id, gate, CASE WHEN due_at > @now THEN due_at ELSE CAST(@again AS BIGINT) END FROM deliveries
	WHERE project_id = @project AND gate = @gate AND state = 'waiting' AND due_at > 0 ORDER BY due_at LIMIT 1`

func lookAgain(tx *gorm.DB, ref jobs.Ref, now jobs.Time) error {
	return tx.Exec(nextLook, map[string]any{"now": now, "again": now.Add(offerAgain), "project": ref.ProjectID, "gate": ref.ID}).Error
}

// eventSlice bounds what ends in one transaction with an event for each.
const eventSlice = 200

// expireDeliveries begins with the gates, which are few.
func expireDeliveries(tx *gorm.DB) string {
	d := sqlOf(tx)
	lock := d.free
	if lock != "" {
		lock = " FOR UPDATE OF d SKIP LOCKED"
	}
	return "UPDATE deliveries SET state = 'failed', reason = ?, ended_at = ?, due_at = 0 WHERE " + d.among[0] + "SELECT d." + d.row +
		" FROM gates g " + d.from + " deliveries d ON d.project_id = g.project_id AND d.gate = g.id" +
		" WHERE g.shut_at <= ? AND d.state = 'waiting' AND d.due_at > 0 AND d.due_at <= ? LIMIT ?" + lock + d.among[1] + " RETURNING *"
}

// ExpireDeliveries gives up what has waited at a shut gate for callbacks.MaxWait.
func (s *Store) ExpireDeliveries(ctx context.Context, now jobs.Time) (n int, err error) {
	before := now.Add(-callbacks.MaxWait)
	var shut []gate
	if err := s.read(ctx).Where("shut_at <= ?", before).Limit(1).Find(&shut).Error; err != nil || len(shut) == 0 {
		return 0, err
	}
	var ended []callbacks.Delivery
	err = s.write(ctx, func(tx *gorm.DB) error {
		ended = nil
		err := tx.Raw(expireDeliveries(tx), callbacks.ReasonBreakerOpen, now, before, before, eventSlice).Scan(&ended).Error
		if err != nil {
			return err
		}
		return s.exhausted(tx, ended, now)
	})
	if err != nil {
		return 0, err
	}
	s.options.Meter.givenUp(ended)
	return len(ended), nil
}
