package store

import (
	"context"
	"errors"
	"strings"

	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

func (s *Store) createDeliveries(tx *gorm.DB, deliveries []callbacks.Delivery) (woken []jobs.Ref, err error) {
	if len(deliveries) == 0 {
		return nil, nil
	}
	for i := range deliveries {
		deliveries[i].WakeAt = s.wakeAt(deliveries[i].DueAt)
		woken = append(woken, deliveries[i].Ref())
	}
	return woken, tx.Create(&deliveries).Error
}

const claimDeliveries = `UPDATE deliveries SET state = 'sending', owner = ?, attempt = attempt + 1, claims = claims + 1, wake_at = 0
	WHERE project_id = ? AND id IN ? AND state = 'waiting' AND due_at > 0 AND due_at <= ? RETURNING *`

// ClaimDeliveries takes the deliveries that are due, with the events' bytes and the receivers as they were frozen. All of
// it is one transaction: what cannot be read is not claimed either.
func (s *Store) ClaimDeliveries(ctx context.Context, owner string, refs []jobs.Ref, now jobs.Time) (claimed []callbacks.Claimed, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		var rows []callbacks.Delivery
		for project, ids := range byProject(refs) {
			var some []callbacks.Delivery
			if err := tx.Raw(claimDeliveries, owner, project, ids, now).Scan(&some).Error; err != nil {
				return err
			}
			rows = append(rows, some...)
		}
		var err error
		claimed, err = s.equip(tx, rows)
		return err
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// equip reads what a POST needs: one query for the bodies and one for the receivers.
func (s *Store) equip(tx *gorm.DB, rows []callbacks.Delivery) ([]callbacks.Claimed, error) {
	var events, hooks []jobs.Ref
	for _, d := range rows {
		events = append(events, jobs.Ref{ProjectID: d.ProjectID, ID: d.EventID})
		hooks = append(hooks, jobs.Ref{ProjectID: d.ProjectID, ID: d.WebhookID})
	}
	bodies, err := s.bodies(tx, events)
	if err != nil {
		return nil, err
	}
	receivers, err := s.receivers(tx, hooks)
	if err != nil {
		return nil, err
	}
	claimed := make([]callbacks.Claimed, len(rows))
	for i, d := range rows {
		receiver := receivers[hooks[i]]
		claimed[i] = callbacks.Claimed{Delivery: d, Body: bodies[events[i]], Receiver: receiver.webhook, Broken: receiver.broken}
		if claimed[i].Broken == nil && claimed[i].Body == nil {
			claimed[i].Broken = errors.New("store: the delivery's event is gone")
		}
	}
	return claimed, nil
}

// receiver is a webhook as it was frozen, or why it cannot be read.
type receiver struct {
	webhook jobs.Webhook
	broken  error
}

func (s *Store) bodies(tx *gorm.DB, refs []jobs.Ref) (map[jobs.Ref][]byte, error) {
	bodies := make(map[jobs.Ref][]byte, len(refs))
	for project, ids := range byProject(refs) {
		var events []jobs.Event
		if err := tx.Select("project_id, id, body").Where("project_id = ? AND id IN ?", project, ids).Find(&events).Error; err != nil {
			return nil, err
		}
		for _, e := range events {
			bodies[jobs.Ref{ProjectID: e.ProjectID, ID: e.ID}] = e.Body
		}
	}
	return bodies, nil
}

func (s *Store) receivers(tx *gorm.DB, refs []jobs.Ref) (map[jobs.Ref]receiver, error) {
	receivers := make(map[jobs.Ref]receiver, len(refs))
	for _, ref := range refs {
		receivers[ref] = receiver{broken: errors.New("store: the delivery's webhook is gone")}
	}
	for project, ids := range byProject(refs) {
		var rows []webhook
		if err := tx.Where("project_id = ? AND id IN ?", project, ids).Find(&rows).Error; err != nil {
			return nil, err
		}
		secret, err := s.signingSecret(tx, project)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			receivers[jobs.Ref{ProjectID: row.ProjectID, ID: row.ID}] = s.receiver(&row, secret)
		}
	}
	return receivers, nil
}

// receiver opens one webhook; one that does not open is no reason to hold up the others.
func (s *Store) receiver(row *webhook, secret string) receiver {
	w, err := s.openWebhook(row)
	if err != nil {
		return receiver{broken: err}
	}
	if w.Secret == "" {
		w.Secret = secret
	}
	return receiver{webhook: *w}
}

// RecordAttempts keeps what came of POSTs: each attempt's row, and where its claim still holds the delivery's next
// state. refused counts those whose claim did not hold.
func (s *Store) RecordAttempts(ctx context.Context, outcomes []callbacks.Outcome, now jobs.Time) (refused int, err error) {
	attempts := make([]callbacks.Attempt, len(outcomes))
	for i, o := range outcomes {
		attempts[i] = o.Attempt
	}
	err = s.write(ctx, func(tx *gorm.DB) error {
		refused = len(outcomes)
		if err := tx.CreateInBatches(&attempts, 100).Error; err != nil {
			return err
		}
		rest := outcomes
		for _, size := range insertSizes {
			for ; len(rest) >= size; rest = rest[size:] {
				n, err := decideSet(tx, rest[:size], now)
				if err != nil {
					return err
				}
				refused -= n
			}
		}
		return nil
	})
	return refused, err
}

const decisionRow = "(?, ?, ?, ?, ?, ?, ?)"

// decideSet moves deliveries to where their decisions say, in one guarded statement, and counts those it moved.
func decideSet(tx *gorm.DB, outcomes []callbacks.Outcome, now jobs.Time) (int, error) {
	query := `UPDATE deliveries SET state = v.column4, reason = v.column5, due_at = v.column6, wake_at = v.column6, ended_at = v.column7,
		tries = tries + 1, claims = 0, owner = '' FROM (VALUES ` + strings.Repeat(decisionRow+", ", len(outcomes)-1) + decisionRow + `) AS v
		WHERE deliveries.project_id = v.column1 AND deliveries.id = v.column2 AND deliveries.attempt = v.column3 AND deliveries.state = 'sending'`
	args := make([]any, 0, 7*len(outcomes))
	for _, o := range outcomes {
		var due, ended jobs.Time
		if o.Decision.State == callbacks.Waiting {
			due = now.Add(o.Decision.Delay)
		} else {
			ended = now
		}
		args = append(args, o.Claimed.ProjectID, o.Claimed.ID, o.Claimed.Attempt, string(o.Decision.State), o.Decision.Reason, int64(due), int64(ended))
	}
	r, err := tx.Statement.ConnPool.ExecContext(tx.Statement.Context, query, args...)
	if err != nil {
		return 0, err
	}
	n, err := r.RowsAffected()
	return int(n), err
}

// JobDeliveries reads a job's deliveries with all their attempts, in the order in which they were made.
func (s *Store) JobDeliveries(ctx context.Context, job jobs.Ref) ([]callbacks.Delivery, []callbacks.Attempt, error) {
	if _, err := takeJob(s.read(ctx), job); err != nil {
		return nil, nil, err
	}
	var deliveries []callbacks.Delivery
	if err := byJob(s.read(ctx), job).Order("created_at, id").Limit(pageRows).Find(&deliveries).Error; err != nil {
		return nil, nil, err
	}
	ids := make([]string, len(deliveries))
	for i, d := range deliveries {
		ids[i] = d.ID
	}
	var attempts []callbacks.Attempt
	err := s.read(ctx).Where("project_id = ? AND delivery_id IN ?", job.ProjectID, ids).Order("delivery_id, number").Limit(pageRows).Find(&attempts).Error
	return deliveries, attempts, err
}
