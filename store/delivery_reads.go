package store

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// JobDeliveries reads a job's deliveries with all their attempts, in the order in which they were made.
func (s *Store) JobDeliveries(ctx context.Context, job jobs.Ref) ([]callbacks.Delivery, []callbacks.Attempt, error) {
	if _, err := takeJob(s.read(ctx), job); err != nil {
		return nil, nil, err
	}
	var deliveries []callbacks.Delivery
	order := createdAt(callbacks.DeliveryFilter{JobID: job.ID}) + ", id"
	if err := byJob(s.read(ctx), job).Order(order).Limit(pageRows).Find(&deliveries).Error; err != nil {
		return nil, nil, err
	}
	if err := holdings(s.read(ctx), deliveries); err != nil {
		return nil, nil, err
	}
	attempts, err := attemptsOf(s.read(ctx), job.ProjectID, idsOf(deliveries)...)
	return deliveries, attempts, err
}

// Deliveries reads a page, newest first, with its attempts as a list shows them: without what was sent and answered.
func (s *Store) Deliveries(ctx context.Context, q callbacks.DeliveryQuery) (page []callbacks.Delivery, attempts []callbacks.Attempt, more bool, err error) {
	if q.Until, err = s.untilSuccess(ctx, q.DeliveryFilter); err != nil {
		return nil, nil, false, err
	}
	db := matching(s.deliveriesBy(ctx, q.DeliveryFilter), q.DeliveryFilter)
	if q.After != "" {
		last, err := takeDelivery(s.read(ctx), jobs.Ref{ProjectID: q.ProjectID, ID: q.After})
		if err != nil {
			return nil, nil, false, unknownCursor(err, q.After)
		}
		db = db.Where("("+createdAt(q.DeliveryFilter)+", id) < (?, ?)", last.CreatedAt, last.ID)
	}
	if err := db.Order(createdAt(q.DeliveryFilter) + " DESC, id DESC").Limit(q.Limit + 1).Find(&page).Error; err != nil {
		return nil, nil, false, err
	}
	if more = len(page) > q.Limit; more {
		page = page[:q.Limit]
	}
	if err := holdings(s.read(ctx), page); err != nil {
		return nil, nil, false, err
	}
	attempts, err = attemptsOf(s.read(ctx).Omit("request", "snippet"), q.ProjectID, idsOf(page)...)
	return page, attempts, more, err
}

// clockSkew is more than the clocks of two processes differ by.
const clockSkew = 10 * time.Minute

// untilSuccess is when a filter ends. What an endpoint has got was made before its last success: all that has been waiting since
// then is passed over at once.
func (s *Store) untilSuccess(ctx context.Context, f callbacks.DeliveryFilter) (jobs.Time, error) {
	if f.EndpointID == "" || f.State != callbacks.Delivered {
		return f.Until, nil
	}
	var last []jobs.Time
	err := s.read(ctx).Raw("SELECT last_success_at FROM endpoints WHERE project_id = ? AND id = ? AND last_success_at > 0", f.ProjectID, f.EndpointID).Scan(&last).Error
	if err != nil || len(last) == 0 {
		return f.Until, err
	}
	if most := last[0].Add(clockSkew); f.Until == 0 || most < f.Until {
		return most, nil
	}
	return f.Until, nil
}

// createdAt is the column that deliveries are paged by. It is put so that the planner cannot use its index where only a
// few rows match, a job's or an event's: it would walk through the whole project's to save sorting those.
func createdAt(f callbacks.DeliveryFilter) string {
	if f.JobID != "" || f.EventID != "" {
		return "+created_at"
	}
	return "created_at"
}

// deliveriesBy reads deliveries by the index that holds most of what a filter asks for.
func (s *Store) deliveriesBy(ctx context.Context, f callbacks.DeliveryFilter) *gorm.DB {
	index := "deliveries_newest"
	switch {
	case f.JobID != "" || f.EventID != "":
		return s.read(ctx) // there are few
	case f.NeverArrived || f.State == callbacks.Failed || f.State == callbacks.Cancelled:
		index = "deliveries_ended"
	case f.State == callbacks.Waiting || f.State == callbacks.Sending:
		index = "deliveries_open"
	case f.EndpointID != "":
		index = "deliveries_endpoint"
	case f.EventType != "":
		index = "deliveries_type"
	}
	return s.read(ctx).Table(sqlOf(s.reads).readBy("deliveries", index))
}

// matching are a project's deliveries that a filter picks. The conditions of the partial indexes stand in it as the
// indexes have them: a value that is bound tells the planner nothing.
func matching(db *gorm.DB, f callbacks.DeliveryFilter) *gorm.DB {
	db = db.Where("project_id = ?", f.ProjectID)
	for _, equal := range []struct{ column, value string }{
		{"endpoint_id", f.EndpointID},
		{"event_type", string(f.EventType)},
		{"job_id", f.JobID},
		{"event_id", f.EventID},
		{"state", string(f.State)},
	} {
		if equal.value != "" {
			db = db.Where(equal.column+" = ?", equal.value)
		}
	}
	if f.Since > 0 {
		db = db.Where("created_at >= ?", f.Since)
	}
	if f.Until > 0 {
		db = db.Where("created_at < ?", f.Until)
	}
	if f.EndpointID != "" {
		db = db.Where("endpoint_id <> ''")
	}
	switch {
	case f.NeverArrived:
		db = db.Where("state IN ('failed', 'cancelled') AND delivered_at = 0")
	case f.State == callbacks.Failed, f.State == callbacks.Cancelled:
		db = db.Where("state IN ('failed', 'cancelled')")
	case f.State == callbacks.Waiting, f.State == callbacks.Sending:
		db = db.Where("state IN ('waiting', 'sending')")
	}
	return db
}

// holdings fills in since when the gates of deliveries that wait are shut.
func holdings(db *gorm.DB, deliveries []callbacks.Delivery) error {
	var gates []jobs.Ref
	for i := range deliveries {
		if deliveries[i].State == callbacks.Waiting {
			gates = append(gates, deliveries[i].GateRef())
		}
	}
	shut, err := shutGates(db, gates)
	for i := range deliveries {
		if deliveries[i].State == callbacks.Waiting {
			deliveries[i].HeldSince = shut[deliveries[i].GateRef()]
		}
	}
	return err
}

// Delivery reads one with all its attempts.
func (s *Store) Delivery(ctx context.Context, ref jobs.Ref) (callbacks.Delivery, []callbacks.Attempt, error) {
	d, err := takeDelivery(s.read(ctx), ref)
	if err != nil {
		return d, nil, err
	}
	one := []callbacks.Delivery{d}
	if err := holdings(s.read(ctx), one); err != nil {
		return d, nil, err
	}
	attempts, err := attemptsOf(s.read(ctx), ref.ProjectID, ref.ID)
	return one[0], attempts, err
}

func takeDelivery(db *gorm.DB, ref jobs.Ref) (d callbacks.Delivery, err error) {
	err = db.Where("project_id = ? AND id = ?", ref.ProjectID, ref.ID).Take(&d).Error
	return d, found(err, jobs.NotFound("No delivery found with id '%s'.", ref.ID))
}

func idsOf(deliveries []callbacks.Delivery) []string {
	ids := make([]string, len(deliveries))
	for i := range deliveries {
		ids[i] = deliveries[i].ID
	}
	return ids
}
