package store

import (
	"context"
	"errors"
	"slices"

	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// events removes events whose period is over, but for those of which a delivery still waits.
func (j *Janitor) events(ctx context.Context) (n int, err error) {
	before, ok := j.over(j.Keep.Events)
	if !ok {
		return 0, nil
	}
	if err := j.Store.number(ctx); err != nil { // so that each that goes can be counted as gone
		return 0, err
	}
	projects, err := j.projects(ctx)
	for _, id := range projects {
		w := eventWalk{Janitor: j, project: id, before: before}
		m, failed := j.byWalk(ctx, w.step)
		n, err = n+m, errors.Join(err, failed)
	}
	return n, err
}

// eventWalk goes through a project's old events in the order of their time.
type eventWalk struct {
	*Janitor
	project string
	before  jobs.Time
	reached oldEvent
}

type oldEvent struct {
	CreatedAt jobs.Time
	Position  int64
	ID        string
	Size      int64
}

const oldEvents = `SELECT created_at, position, id, length(body) AS size FROM events
	WHERE project_id = ? AND created_at <= ? AND (created_at, position) > (?, ?) AND position > 0
	ORDER BY created_at, position LIMIT ?`

// step removes a slice. What it removes and how far that reaches stand together: nobody passes over a gap without notice.
func (w *eventWalk) step(ctx context.Context) (seen, removed int, err error) {
	var page []oldEvent
	err = w.Store.read(ctx).Raw(oldEvents, w.project, w.before, w.reached.CreatedAt, w.reached.Position, w.room()).Scan(&page).Error
	if err != nil || len(page) == 0 {
		return 0, 0, err
	}
	page = page[:fitting(page)]
	err = w.write(ctx, func(tx *gorm.DB) (err error) {
		removed, err = dropEvents(tx, w.project, page)
		return err
	})
	w.reached = page[len(page)-1]
	return len(page), removed, err
}

// fitting is how many of the events one slice takes, in their order: one at least.
func fitting(page []oldEvent) (n int) {
	var bytes int64
	for _, e := range page {
		if bytes += e.Size; bytes > sliceBytes && n > 0 {
			break
		}
		n++
	}
	return n
}

// dropEvents removes those of the events that no delivery needs any more, and notes the newest of them as gone.
//
// Who sends something again holds its event first (keeping), and finds it gone or has this wait. So the deliveries are looked
// at after the events were had.
func dropEvents(tx *gorm.DB, project string, page []oldEvent) (n int, err error) {
	ids := make([]string, len(page))
	for i := range page {
		ids[i] = page[i].ID
	}
	if sqlOf(tx) != &onSQLite {
		if _, err := chosen(tx, "SELECT id FROM events WHERE project_id = ? AND id IN", project, slices.Sorted(slices.Values(ids)), true); err != nil {
			return 0, err
		}
	}
	needed, err := chosen(tx, "SELECT event_id FROM deliveries WHERE state IN ('waiting', 'sending') AND project_id = ? AND event_id IN", project, ids, false)
	if err != nil {
		return 0, err
	}
	var newest int64
	ids = ids[:0]
	for _, e := range page {
		if !slices.Contains(needed, e.ID) {
			ids, newest = append(ids, e.ID), max(newest, e.Position)
		}
	}
	if err := onThem(tx, "DELETE FROM events WHERE project_id = ? AND id IN", project, ids); err != nil || len(ids) == 0 {
		return 0, err
	}
	return len(ids), tx.Exec("UPDATE projects SET events_until = ? WHERE project_id = ? AND events_until < ?", newest, project, newest).Error
}

// eventsUntil is the position of the newest of a project's events that is kept no longer; zero for none.
func (s *Store) eventsUntil(ctx context.Context, project string) (position int64, err error) {
	err = s.read(ctx).Raw("SELECT events_until FROM projects WHERE project_id = ?", project).Scan(&position).Error
	return position, err
}

// checkCursor refuses to go on after a position where events behind it are gone that its reader has not seen. Asking for
// the beginning is asking for what there is.
func (s *Store) checkCursor(ctx context.Context, project, after string, position int64) error {
	if position == 0 {
		return nil
	}
	until, err := s.eventsUntil(ctx, project)
	if err == nil && position < until {
		err = jobs.Errorf(callbacks.CodeExpired, "after", "Some of the events after '%s' are kept no longer (retention.events). Begin again without 'after', with the oldest event that is kept; what became of a job says GET /v1/jobs/{id}.", after)
	}
	return err
}
