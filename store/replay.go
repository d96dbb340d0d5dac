package store

import (
	"context"
	"errors"
	"slices"

	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// ChangeDelivery changes one in the transaction that writes it, where nobody has it in hand, and has its gate looked at.
func (s *Store) ChangeDelivery(ctx context.Context, ref jobs.Ref, change func(*callbacks.Delivery, *callbacks.Endpoint, bool) error) (d callbacks.Delivery, attempts []callbacks.Attempt, err error) {
	err = s.write(ctx, func(tx *gorm.DB) (err error) {
		if d, err = takeDelivery(locked(tx), ref); err != nil {
			return err
		}
		to, err := receiverOf(tx, &d)
		if err != nil {
			return err
		}
		expired, err := isGone(keeping(tx), jobs.Ref{ProjectID: d.ProjectID, ID: d.EventID})
		if err != nil {
			return err
		}
		if err := change(&d, to, expired); err != nil {
			return err
		}
		if attempts, err = attemptsOf(tx, d.ProjectID, d.ID); err != nil {
			return err
		}
		return putDelivery(tx, &d)
	})
	return d, attempts, err
}

// putDelivery writes a delivery that is in nobody's hands.
func putDelivery(tx *gorm.DB, d *callbacks.Delivery) error {
	r := tx.Model(&callbacks.Delivery{}).Select("state", "reason", "manual", "ended_at", "due_at", "tries", "claims").
		Where("project_id = ? AND id = ? AND state <> 'sending'", d.ProjectID, d.ID).Updates(d)
	if r.Error == nil && r.RowsAffected == 0 {
		return jobs.ErrStale
	}
	if r.Error != nil || d.DueAt == 0 {
		return r.Error
	}
	return wakeGates(tx, map[jobs.Ref]jobs.Time{d.GateRef(): d.DueAt})
}

// receiverOf reads a delivery's endpoint, whatever its state; nil for a one-off.
func receiverOf(tx *gorm.DB, d *callbacks.Delivery) (*callbacks.Endpoint, error) {
	if d.EndpointID == "" {
		return nil, nil
	}
	var e callbacks.Endpoint
	err := tx.Where("project_id = ? AND id = ?", d.ProjectID, d.EndpointID).Take(&e).Error
	return &e, err
}

func isGone(tx *gorm.DB, event jobs.Ref) (bool, error) {
	var e jobs.Event
	err := tx.Select("id").Where("project_id = ? AND id = ?", event.ProjectID, event.ID).Take(&e).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return true, nil
	}
	return false, err
}

// sendable are deliveries that can be sent again: in nobody's hands, their event still kept, their endpoint active.
const sendable = `state <> 'sending' AND EXISTS (SELECT 1 FROM events WHERE events.project_id = deliveries.project_id AND events.id = deliveries.event_id)
	AND (endpoint_id = '' OR EXISTS (SELECT 1 FROM endpoints WHERE endpoints.project_id = deliveries.project_id
		AND endpoints.id = deliveries.endpoint_id AND endpoints.is_active AND endpoints.deleted_at = 0))`

// RetryDeliveries makes a slice of those that match due, oldest first after one of them.
func (s *Store) RetryDeliveries(ctx context.Context, f callbacks.DeliveryFilter, after string, now jobs.Time) (retried int, last string, err error) {
	found, err := s.retriable(ctx, f, after)
	if err != nil || len(found) == 0 {
		return 0, "", err
	}
	err = s.write(ctx, func(tx *gorm.DB) error {
		var rows []callbacks.Delivery
		if err := tx.Where("project_id = ? AND id IN ?", f.ProjectID, found).Where(sendable).Find(&rows).Error; err != nil {
			return err
		}
		if rows, err = withEvents(tx, f.ProjectID, rows); err != nil {
			return err
		}
		retried, err = retry(tx, rows, now)
		return err
	})
	if len(found) == slice {
		last = found[len(found)-1]
	}
	return retried, last, err
}

// withEvents gives those of a project's deliveries whose event is kept, and has it stay so until the transaction ends: see
// dropEvents.
func withEvents(tx *gorm.DB, project string, rows []callbacks.Delivery) (with []callbacks.Delivery, err error) {
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].EventID
	}
	var events []string
	err = keeping(tx).Model(&jobs.Event{}).Where("project_id = ? AND id IN ?", project, ids).Order("id").Pluck("id", &events).Error
	slices.Sort(events) // the database may order them otherwise
	for i := range rows {
		if _, is := slices.BinarySearch(events, rows[i].EventID); is {
			with = append(with, rows[i])
		}
	}
	return with, err
}

// retriable finds what matches beside the writer: a filter may have to look at many rows for few.
func (s *Store) retriable(ctx context.Context, f callbacks.DeliveryFilter, after string) (ids []string, err error) {
	db := matching(s.deliveriesBy(ctx, f).Model(&callbacks.Delivery{}), f).Where(sendable)
	if after != "" {
		d, err := takeDelivery(s.read(ctx), jobs.Ref{ProjectID: f.ProjectID, ID: after})
		if err != nil {
			return nil, err
		}
		db = db.Where("("+createdAt(f)+", id) > (?, ?)", d.CreatedAt, d.ID)
	}
	err = db.Order(createdAt(f)+", id").Limit(slice).Pluck("id", &ids).Error
	return ids, err
}

const retryDeliveries = `UPDATE deliveries SET tries = CASE WHEN state = 'waiting' THEN tries ELSE 0 END,
	claims = CASE WHEN state = 'waiting' THEN claims ELSE 0 END, state = 'waiting', reason = '', manual = TRUE, ended_at = 0, due_at = ?
	WHERE project_id = ? AND id IN ? AND state <> 'sending'`

// retry does to many what (*callbacks.Delivery).Retry does to one, and tells to how many: those that somebody has in hand now
// are left to him. Their events must be there until the transaction ends.
func retry(tx *gorm.DB, rows []callbacks.Delivery, now jobs.Time) (n int, err error) {
	if len(rows) == 0 {
		return 0, nil
	}
	due := map[jobs.Ref]jobs.Time{}
	for i := range rows {
		sooner(due, rows[i].GateRef(), now)
	}
	r := tx.Exec(retryDeliveries, now, rows[0].ProjectID, idsOf(rows))
	if r.Error != nil {
		return 0, r.Error
	}
	return int(r.RowsAffected), wakeGates(tx, due)
}

// Replay makes a slice of the events that an endpoint subscribes to due there, in commit order after a position.
func (s *Store) Replay(ctx context.Context, ref jobs.Ref, q callbacks.ReplayQuery, after int64, now jobs.Time) (replayed int, reached int64, err error) {
	if err := s.number(ctx); err != nil {
		return 0, 0, err
	}
	if after == 0 {
		if after, err = s.before(ctx, ref.ProjectID, q.Since); err != nil {
			return 0, 0, err
		}
	}
	err = s.write(ctx, func(tx *gorm.DB) error {
		replayed, reached = 0, 0
		e, err := s.replayTo(tx, ref)
		if err != nil {
			return err
		}
		var events []jobs.Event
		db := keeping(tx).Omit("body").Where("project_id = ? AND position > ? AND created_at >= ? AND created_at < ?", ref.ProjectID, after, q.Since, q.Until)
		if err := db.Order("position").Limit(slice).Find(&events).Error; err != nil {
			return err
		}
		if len(events) == slice {
			reached = events[len(events)-1].Position
		}
		replayed, err = s.replay(tx, &e, events, q.Missing, now)
		return err
	})
	return replayed, reached, err
}

// before is the position below the first event since a time; it is looked for beside the writer.
func (s *Store) before(ctx context.Context, project string, since jobs.Time) (position int64, err error) {
	err = s.read(ctx).Model(&jobs.Event{}).Select("coalesce(min(position) - 1, 0)").
		Where("project_id = ? AND created_at >= ?", project, since).Scan(&position).Error
	return position, err
}

func (s *Store) replayTo(tx *gorm.DB, ref jobs.Ref) (callbacks.Endpoint, error) {
	r, err := s.takeEndpoint(tx, ref)
	if err == nil && !r.IsActive {
		err = jobs.Errorf(jobs.CodeConflict, "", "The endpoint is not active. Switch it on first: {\"is_active\": true}.")
	}
	return r.Endpoint, err
}

// replay makes those events due that the endpoint subscribes to: by a new delivery where it never had one, else by
// another attempt. One that is being sent is left alone, and so, where only what is missing is meant, is one that
// arrived or still waits.
func (s *Store) replay(tx *gorm.DB, e *callbacks.Endpoint, events []jobs.Event, missing bool, now jobs.Time) (int, error) {
	had, err := deliveriesTo(tx, e, events)
	if err != nil {
		return 0, err
	}
	var again, fresh []callbacks.Delivery
	for i := range events {
		d, ok := had[events[i].ID]
		switch {
		case !ok && e.Subscribes(&events[i]):
			fresh = append(fresh, e.Again(&events[i], now))
		case !ok, d.State == callbacks.Sending:
		case !missing || d.DeliveredAt == 0 && (d.State == callbacks.Failed || d.State == callbacks.Cancelled):
			again = append(again, d)
		}
	}
	n, err := retry(tx, again, now)
	if err != nil {
		return 0, err
	}
	_, err = s.createDeliveries(tx, fresh)
	return n + len(fresh), err
}

// deliveriesTo reads an endpoint's deliveries of events, by the event's ID.
func deliveriesTo(tx *gorm.DB, e *callbacks.Endpoint, events []jobs.Event) (map[string]callbacks.Delivery, error) {
	ids := make([]string, len(events))
	for i := range events {
		ids[i] = events[i].ID
	}
	var rows []callbacks.Delivery
	err := tx.Where("project_id = ? AND event_id IN ? AND webhook_id = '' AND endpoint_id = ?", e.ProjectID, ids, e.ID).Find(&rows).Error
	had := make(map[string]callbacks.Delivery, len(rows))
	for _, d := range rows {
		had[d.EventID] = d
	}
	return had, err
}

// ReplayEvent makes one event due at an endpoint, and gives the delivery's ID.
func (s *Store) ReplayEvent(ctx context.Context, ref jobs.Ref, eventID string, now jobs.Time) (id string, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		e, err := s.replayTo(tx, ref)
		if err != nil {
			return err
		}
		var event jobs.Event
		if err := keeping(tx).Omit("body").Where("project_id = ? AND id = ?", ref.ProjectID, eventID).Take(&event).Error; err != nil {
			return found(err, jobs.Errorf(jobs.CodeValue, "event_id", "No event found with id '%s'.", eventID))
		}
		had, err := deliveriesTo(locked(tx), &e, []jobs.Event{event})
		if err != nil {
			return err
		}
		d, ok := had[event.ID]
		if !ok {
			d = e.Again(&event, now)
			id = d.ID
			_, err := s.createDeliveries(tx, []callbacks.Delivery{d})
			return err
		}
		id = d.ID
		if d.State == callbacks.Sending {
			return jobs.Errorf(jobs.CodeConflict, "", "An attempt at this delivery is under way. Look at %s again in a moment.", d.ID)
		}
		_, err = retry(tx, []callbacks.Delivery{d}, now)
		return err
	})
	return id, err
}
