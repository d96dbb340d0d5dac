package store

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"

	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// webhook is a receiver that a submission named. Spec is a jobs.Webhook as JSON, sealed.
type webhook struct {
	ProjectID string
	ID        string
	JobID     string
	Spec      []byte
	CreatedAt jobs.Time
}

func (w *webhook) place() string { return "webhooks/" + w.ProjectID + "/" + w.ID }

func (s *Store) createWebhook(tx *gorm.DB, job jobs.Ref, w *jobs.Webhook) error {
	if w == nil {
		return nil
	}
	spec, err := json.Marshal(w)
	if err != nil {
		return err
	}
	row := webhook{ProjectID: job.ProjectID, ID: jobs.NewID("whk_"), JobID: job.ID, CreatedAt: s.now()}
	row.Spec = s.seal.seal(row.place(), spec)
	return tx.Create(&row).Error
}

func (s *Store) openWebhook(row *webhook) (*jobs.Webhook, error) {
	spec, err := s.seal.open(row.place(), row.Spec)
	if err != nil {
		return nil, err
	}
	var w jobs.Webhook
	return &w, json.Unmarshal(spec, &w)
}

// recordEvents writes a job's events with one delivery for each receiver, and gives the deliveries, which are due.
// The job's snapshot is what polling answers once this has committed.
func (s *Store) recordEvents(tx *gorm.DB, after *jobs.Snapshot, types []jobs.EventType) (woken []jobs.Ref, err error) {
	if len(types) == 0 {
		return nil, nil
	}
	var row webhook
	var receiver *jobs.Webhook
	switch err := byJob(tx, after.Ref()).Take(&row).Error; {
	case err == nil:
		if receiver, err = s.openWebhook(&row); err != nil {
			receiver = &jobs.Webhook{} // the job ends all the same; its delivery is made, and ends with this reason
		}
	case !errors.Is(err, gorm.ErrRecordNotFound):
		return nil, err
	}
	for _, typ := range types {
		e := jobs.NewEvent(after, typ, after.ChangedAt, s.options.Events)
		if err := tx.Omit("Position").Create(&e).Error; err != nil {
			return nil, err
		}
		due, err := s.createDeliveries(tx, callbacks.Fan(&e, row.ID, receiver))
		if err != nil {
			return nil, err
		}
		woken = append(woken, due...)
	}
	return woken, nil
}

// Events reads a page in commit order, after a position or an event's ID. On SQLite the single writer gives the
// positions, so that a reader never skips one.
func (s *Store) Events(ctx context.Context, project, after string, limit int) ([]jobs.Event, bool, error) {
	position, err := s.eventPosition(ctx, project, after)
	if err != nil {
		return nil, false, err
	}
	var page []jobs.Event
	err = s.read(ctx).Where("project_id = ? AND position > ?", project, position).Order("position").Limit(limit + 1).Find(&page).Error
	if len(page) > limit {
		return page[:limit], true, err
	}
	return page, false, err
}

func (s *Store) eventPosition(ctx context.Context, project, after string) (int64, error) {
	if after == "" {
		return 0, nil
	}
	if n, err := strconv.ParseInt(after, 10, 64); err == nil {
		return n, nil
	}
	var e jobs.Event
	err := s.read(ctx).Select("position").Where("project_id = ? AND id = ?", project, after).Take(&e).Error
	return e.Position, found(err, jobs.Errorf(jobs.CodeValue, "after", "Invalid value for 'after': '%s' is neither an event's ID nor a position.", after))
}
