package store

import (
	"context"
	"database/sql"

	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// gate is the row of what deliveries to one receiver pass through.
type gate struct {
	ProjectID string
	ID        string
	WakeAt    jobs.Time
	ShutAt    jobs.Time
}

const wakeGate = `INSERT INTO gates (project_id, id, wake_at, shut_at) VALUES (?, ?, ?, 0)
	ON CONFLICT (project_id, id) DO UPDATE SET wake_at = excluded.wake_at WHERE gates.wake_at = 0 OR gates.wake_at > excluded.wake_at`

// wakeGates has the sweeper look at gates when deliveries behind them become due. Where several transactions run at the same
// time it is done at the end of each.
func wakeGates(tx *gorm.DB, due map[jobs.Ref]jobs.Time) error {
	if late, ok := tx.Statement.Context.Value(lateGates{}).(map[jobs.Ref]jobs.Time); ok {
		for ref, at := range due {
			sooner(late, ref, at)
		}
		return nil
	}
	return wakeGatesNow(tx, due)
}

// lateGates is the key, in the context of a transaction on PostgreSQL, of the gates that it is to wake (map[jobs.Ref]jobs.Time).
// Each of them is a row that many transactions want. So it locks them last, for as short as can be, and all of them in one
// order: no two wait for each other.
type lateGates struct{}

func wakeGatesNow(tx *gorm.DB, due map[jobs.Ref]jobs.Time) error {
	for _, ref := range inOrder(due) {
		if err := tx.Exec(wakeGate, ref.ProjectID, ref.ID, due[ref]).Error; err != nil {
			return err
		}
	}
	return nil
}

// sooner notes that something behind a gate becomes due.
func sooner(due map[jobs.Ref]jobs.Time, ref jobs.Ref, at jobs.Time) {
	if old, ok := due[ref]; !ok || at < old {
		due[ref] = at
	}
}

const shutGate = `INSERT INTO gates (project_id, id, wake_at, shut_at) VALUES (?, ?, ?, ?)
	ON CONFLICT (project_id, id) DO UPDATE SET wake_at = excluded.wake_at, shut_at = excluded.shut_at`

// ShutGate keeps since when a gate has been shut, and has it woken.
func (s *Store) ShutGate(ctx context.Context, ref jobs.Ref, since, wake jobs.Time) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		return tx.Exec(shutGate, ref.ProjectID, ref.ID, wake, since).Error
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
		}, "SELECT id, shut_at FROM gates WHERE project_id = ? AND shut_at > 0 AND id IN", project, ids)
		if err != nil {
			return nil, err
		}
	}
	return shut, nil
}

// lockGates has nobody else claim behind the gates, or wake them, before the transaction ends: what becomes due meanwhile
// wakes them after it, and is not overlooked by it.
func lockGates(tx *gorm.DB, refs []jobs.Ref) error {
	if sqlOf(tx) == &onSQLite {
		return nil
	}
	for project, ids := range byProject(refs) {
		var held []string
		err := locked(tx).Model(&gate{}).Select("id").Where("project_id = ? AND id IN ?", project, ids).Order("id").Scan(&held).Error
		if err != nil {
			return err
		}
	}
	return nil
}

// nextLook sets when the sweeper looks at a gate again: when the next of its deliveries becomes due, or soon where some
// are due already, or never.
const nextLook = `UPDATE gates SET wake_at = coalesce((
		SELECT CASE WHEN due_at > @now THEN due_at ELSE @again END FROM deliveries
		WHERE project_id = @project AND gate = @gate AND state = 'waiting' AND due_at > 0 ORDER BY due_at LIMIT 1), 0)
	WHERE project_id = @project AND id = @gate`

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
		" WHERE g.shut_at > 0 AND g.shut_at <= ? AND d.state = 'waiting' AND d.due_at > 0 AND d.due_at <= ? LIMIT ?" + lock + d.among[1] + " RETURNING *"
}

// ExpireDeliveries gives up what has waited at a shut gate for callbacks.MaxWait.
func (s *Store) ExpireDeliveries(ctx context.Context, now jobs.Time) (n int, err error) {
	before := now.Add(-callbacks.MaxWait)
	var shut []gate
	if err := s.read(ctx).Where("shut_at > 0 AND shut_at <= ?", before).Limit(1).Find(&shut).Error; err != nil || len(shut) == 0 {
		return 0, err
	}
	err = s.write(ctx, func(tx *gorm.DB) error {
		var ended []callbacks.Delivery
		err := tx.Raw(expireDeliveries(tx), callbacks.ReasonBreakerOpen, now, before, before, eventSlice).Scan(&ended).Error
		if n = len(ended); err != nil {
			return err
		}
		return s.exhausted(tx, ended, now)
	})
	if err == nil {
		s.options.Meter.givenUp(n)
	}
	return n, err
}
