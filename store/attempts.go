package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// RecordAttempts keeps what came of POSTs: each attempt's row, and where its claim still holds the delivery's next state,
// its endpoint's health, and the events that follow. refused counts those whose claim did not hold.
func (s *Store) RecordAttempts(ctx context.Context, outcomes []callbacks.Outcome, now jobs.Time) (refused int, err error) {
	var held []callbacks.Outcome
	err = s.write(ctx, func(tx *gorm.DB) (err error) {
		if err := insertAttempts(tx, outcomes); err != nil {
			return err
		}
		held, err = decide(tx, outcomes, now)
		if err != nil {
			return err
		}
		refused = len(outcomes) - len(held)
		return s.follow(tx, held, now)
	})
	if err == nil {
		s.options.Meter.deliveries(held)
	}
	return refused, err
}

// follow writes what follows from outcomes: when gates are looked at, the health of endpoints, and events.
func (s *Store) follow(tx *gorm.DB, held []callbacks.Outcome, now jobs.Time) error {
	due := map[jobs.Ref]jobs.Time{}
	var ended []callbacks.Delivery
	for i := range held {
		d := held[i].Claimed.Delivery
		switch held[i].Decision.State {
		case callbacks.Waiting:
			sooner(due, d.GateRef(), now.Add(held[i].Decision.Delay))
		case callbacks.Failed:
			d.State, d.Reason, d.EndedAt, d.DueAt, d.Manual = callbacks.Failed, held[i].Decision.Reason, now, 0, false
			d.Recorded++
			ended = append(ended, d)
		}
	}
	if err := wakeGates(tx, due); err != nil {
		return err
	}
	if err := s.observe(tx, held, now); err != nil {
		return err
	}
	return s.exhausted(tx, ended, now)
}

// exhausted writes the events that deliveries were given up. The receiver that did not take one does not get its event.
func (s *Store) exhausted(tx *gorm.DB, ended []callbacks.Delivery, now jobs.Time) error {
	of := map[string]callbacks.Receivers{} // by project
	for i := range ended {
		d := &ended[i]
		if !callbacks.Exhausts(d) {
			continue
		}
		to, read := of[d.ProjectID]
		if !read {
			var err error
			if to, err = s.receivers(tx, d.ProjectID, nil); err != nil {
				return err
			}
			of[d.ProjectID] = to
		}
		attempts, err := attemptsOf(tx, d.ProjectID, d.ID)
		if err != nil {
			return err
		}
		e := callbacks.ExhaustedEvent(d, attempts, now)
		to.Except = d.EndpointID
		if _, err := s.recordEvent(tx, &e, to); err != nil {
			return err
		}
	}
	return nil
}

const (
	attemptColumns = "(project_id, id, delivery_id, number, started_at, duration_ms, status_code, error_class, request, timings, snippet, truncated, rule, manual)"
	attemptRow     = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

// insertAttempts leaves alone what stands already: after a commit of which nobody knows whether it stood, outcomes come again.
func insertAttempts(tx *gorm.DB, outcomes []callbacks.Outcome) error {
	return inSets(outcomes, func(set []callbacks.Outcome) error {
		args := make([]any, 0, 14*len(set))
		for i := range set {
			a := &set[i].Attempt
			args = append(args, a.ProjectID, a.ID, a.DeliveryID, a.Number, int64(a.StartedAt), a.DurationMS, a.StatusCode,
				string(a.ErrorClass), []byte(a.Request), []byte(a.Timings), a.Snippet, a.Truncated, a.Rule, a.Manual)
		}
		return exec(tx, "INSERT INTO attempts "+attemptColumns+" VALUES "+times(attemptRow, len(set))+" ON CONFLICT DO NOTHING", args...)
	})
}

const (
	decisionRow = "(CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT))"
	decideHead  = `UPDATE deliveries SET state = v.column4, reason = v.column5, due_at = v.column6, ended_at = v.column7,
		delivered_at = CASE WHEN v.column4 = 'delivered' AND delivered_at = 0 THEN v.column7 ELSE delivered_at END, tries = tries + v.column8, recorded = recorded + 1, claims = 0, manual = FALSE, owner = '' FROM (VALUES `
	decideTail = `) AS v WHERE deliveries.project_id = v.column1 AND deliveries.id = v.column2 AND deliveries.attempt = v.column3
		AND deliveries.state = 'sending' RETURNING deliveries.project_id, deliveries.id, deliveries.attempt`
)

// decide moves deliveries to where their decisions say, in guarded statements, and gives those outcomes whose claim held.
func decide(tx *gorm.DB, outcomes []callbacks.Outcome, now jobs.Time) (held []callbacks.Outcome, err error) {
	moved := make(map[fence]bool, len(outcomes))
	err = inSets(outcomes, func(set []callbacks.Outcome) error {
		args := make([]any, 0, 8*len(set))
		for i := range set {
			o := &set[i]
			var due, ended jobs.Time
			counted := 1
			if o.Decision.NoTry {
				counted = 0
			}
			if o.Decision.State == callbacks.Waiting {
				due = now.Add(o.Decision.Delay)
			} else {
				ended = now
			}
			args = append(args, o.Claimed.ProjectID, o.Claimed.ID, o.Claimed.Attempt, string(o.Decision.State), o.Decision.Reason, int64(due), int64(ended), counted)
		}
		return each(tx, func(rows *sql.Rows) error {
			var f fence
			err := rows.Scan(&f.delivery.ProjectID, &f.delivery.ID, &f.attempt)
			moved[f] = true
			return err
		}, decideHead+times(decisionRow, len(set))+decideTail, args...)
	})
	for i := range outcomes {
		if f := fenceOf(&outcomes[i].Claimed); moved[f] {
			held = append(held, outcomes[i])
			delete(moved, f)
		}
	}
	return held, err
}

// fence names one claim of one delivery.
type fence struct {
	delivery jobs.Ref
	attempt  int64
}

func fenceOf(c *callbacks.Claimed) fence { return fence{c.Ref(), c.Attempt} }

// inSets cuts a list into few lengths, so that the statements stay prepared.
func inSets[T any](all []T, do func(set []T) error) error {
	for _, size := range insertSizes {
		for ; len(all) >= size; all = all[size:] {
			if err := do(all[:size]); err != nil {
				return err
			}
		}
	}
	return nil
}

func times(row string, n int) string { return strings.Repeat(row+", ", n-1) + row }

// attemptChunk is how many deliveries' attempts are read at once.
const attemptChunk = 20

// attemptsOf reads deliveries' attempts, oldest first.
func attemptsOf(db *gorm.DB, project string, deliveries ...string) (attempts []callbacks.Attempt, err error) {
	db = db.Session(&gorm.Session{})
	for chunk := range slices.Chunk(deliveries, attemptChunk) {
		var some []callbacks.Attempt
		err := db.Where("project_id = ? AND delivery_id IN ?", project, chunk).Order("delivery_id, number, id").Limit(pageRows).Find(&some).Error
		if err != nil {
			return nil, err
		}
		attempts = append(attempts, some...)
	}
	return attempts, nil
}
