package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
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

// recordEvents writes a job's events with one delivery for each receiver, and gives the gates behind which some are due.
// The job's snapshot is what polling answers once this has committed.
func (s *Store) recordEvents(tx *gorm.DB, after *jobs.Snapshot, types []jobs.EventType) (woken []jobs.Ref, err error) {
	if len(types) == 0 {
		return nil, nil
	}
	to, err := s.jobReceivers(tx, &after.Job, types...)
	if err != nil {
		return nil, err
	}
	for _, typ := range types {
		e := jobs.JobEvent(after, typ, after.ChangedAt, s.options.Events)
		due, err := s.recordEvent(tx, &e, to)
		if err != nil {
			return nil, err
		}
		woken = append(woken, due...)
	}
	return woken, nil
}

// jobReceivers are all who may want a job's events of these types. The webhook is read as it is shown: to whom and when
// is no secret.
func (s *Store) jobReceivers(tx *gorm.DB, job *jobs.Job, types ...jobs.EventType) (to callbacks.Receivers, err error) {
	if to, err = s.receivers(tx, job.ProjectID, job.WebhookIDs); err != nil || len(job.Webhook) == 0 {
		return to, err
	}
	hook := callbacks.Hook(job.Webhook)
	if hook == nil || !slices.ContainsFunc(types, func(t jobs.EventType) bool { return t.Wanted(hook.Events) }) {
		return to, nil
	}
	err = each(tx, func(rows *sql.Rows) error {
		to.Webhook = hook
		return rows.Scan(&to.WebhookID)
	}, "SELECT id FROM webhooks WHERE project_id = ? AND job_id = ?", job.ProjectID, job.ID)
	return to, err
}

// receivers are a project's endpoints that may want an event: the active ones, and those that are named. A look comes
// first, since most projects have few endpoints or none, and each event asks.
func (s *Store) receivers(tx *gorm.DB, project string, named jobs.Texts) (callbacks.Receivers, error) {
	to := callbacks.Receivers{Named: named, First: s.options.FirstDelay}
	active := false
	err := each(tx, func(*sql.Rows) error { active = true; return nil },
		"SELECT 1 FROM endpoints WHERE project_id = ? AND is_active AND deleted_at = 0 LIMIT 1", project)
	if err == nil && active {
		err = tx.Select("project_id, id, url, event_types, models, is_active, schedule, deleted_at").
			Where("project_id = ? AND is_active AND deleted_at = 0", project).Find(&to.Endpoints).Error
	}
	if err != nil || len(named) == 0 {
		return to, err
	}
	var more []callbacks.Endpoint
	err = tx.Where("project_id = ? AND id IN ? AND NOT (is_active AND deleted_at = 0)", project, []string(named)).Find(&more).Error
	to.Endpoints = append(to.Endpoints, more...)
	return to, err
}

const insertEvent = `INSERT INTO events (project_id, id, type, job_id, model, sequence, created_at, trace, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`

// recordEvent writes an event and what it owes, and gives the gates behind which some of it is due.
func (s *Store) recordEvent(tx *gorm.DB, e *jobs.Event, to callbacks.Receivers) ([]jobs.Ref, error) {
	err := exec(tx, insertEvent,
		e.ProjectID, e.ID, string(e.Type), e.JobID, e.Model, e.Sequence, int64(e.CreatedAt), e.Trace, e.Body)
	if err != nil {
		return nil, err
	}
	return s.createDeliveries(tx, callbacks.Fan(e, to))
}

// recordOperatorEvent writes an event about callbacks. The endpoint that it is about does not get it.
func (s *Store) recordOperatorEvent(tx *gorm.DB, e *jobs.Event, about string) ([]jobs.Ref, error) {
	to, err := s.receivers(tx, e.ProjectID, nil)
	if err != nil {
		return nil, err
	}
	to.Except = about
	return s.recordEvent(tx, e, to)
}

// recordFileEvent writes what happened to a file, before the file's own row: the event counts in it.
func (s *Store) recordFileEvent(tx *gorm.DB, f *jobs.File, typ jobs.EventType) error {
	to, err := s.receivers(tx, f.ProjectID, nil)
	if err != nil {
		return err
	}
	e := jobs.FileEvent(f, typ, s.now())
	_, err = s.recordEvent(tx, &e, to)
	return err
}

// Events reads a page in commit order, after a position or an event's ID.
func (s *Store) Events(ctx context.Context, project, after string, limit int) ([]jobs.Event, bool, error) {
	if err := s.number(ctx); err != nil {
		return nil, false, err
	}
	position, err := s.eventPosition(ctx, project, after)
	if err == nil {
		err = s.checkCursor(ctx, project, after, position)
	}
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

// Event reads one.
func (s *Store) Event(ctx context.Context, ref jobs.Ref) (e jobs.Event, err error) {
	err = s.read(ctx).Where("project_id = ? AND id = ?", ref.ProjectID, ref.ID).Take(&e).Error
	return e, found(err, jobs.NotFound("No event found with id '%s'.", ref.ID))
}

// LastEvent is the position of a project's newest event, kept or not; zero for none.
func (s *Store) LastEvent(ctx context.Context, project string) (position int64, err error) {
	if err := s.number(ctx); err != nil {
		return 0, err
	}
	err = s.read(ctx).Model(&jobs.Event{}).Select("coalesce(max(position), 0)").Where("project_id = ?", project).Scan(&position).Error
	if err != nil {
		return 0, err
	}
	until, err := s.eventsUntil(ctx, project)
	return max(position, until), err
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
	return e.Position, found(err, jobs.Errorf(jobs.CodeValue, "after", "Invalid value for 'after': '%s' is neither a position nor the ID of an event that is kept (retention.events). Begin again without 'after', with the oldest event that is kept.", after))
}
