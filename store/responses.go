package store

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/ringback/ringback/jobs"
)

// Response reads what a response has beside its job's row, its input items too.
func (s *Store) Response(ctx context.Context, ref jobs.Ref) (jobs.Response, error) {
	var r jobs.Response
	err := byJob(s.read(ctx), ref).Take(&r).Error
	return r, found(err, jobs.NotFound("No response found with id '%s'.", ref.ID))
}

// addResponse reads what a snapshot of a response shows of its request; of other kinds there is nothing.
func addResponse(db *gorm.DB, snapshot *jobs.Snapshot) error {
	if snapshot.Kind != jobs.KindResponse {
		return nil
	}
	snapshot.Response = &jobs.Response{}
	err := byJob(db, snapshot.Ref()).Omit("items").Take(snapshot.Response).Error
	return found(err, jobs.NotFound("No job found with id '%s'.", snapshot.ID)) // deleted meanwhile
}

// KeepResponseEvents adds to a response's stream while the held claim stands, and says jobs.ErrStale otherwise.
func (s *Store) KeepResponseEvents(ctx context.Context, held jobs.Job, events []jobs.ResponseEvent) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		var holds int64
		err := tx.Model(&jobs.Job{}).Where("project_id = ? AND id = ? AND attempt = ? AND owner = ? AND status = ?",
			held.ProjectID, held.ID, held.Attempt, held.Owner, jobs.InProgress).Count(&holds).Error
		if err != nil {
			return err
		}
		if holds == 0 {
			return jobs.ErrStale
		}
		return tx.Clauses(clause.OnConflict{DoNothing: true}).CreateInBatches(events, 100).Error
	})
}

// ResponseEvents reads a page of a response's stream.
func (s *Store) ResponseEvents(ctx context.Context, ref jobs.Ref, after int64, n int) (events []jobs.ResponseEvent, err error) {
	err = byJob(s.read(ctx), ref).Where("n > ?", after).Order("n").Limit(n).Find(&events).Error
	return events, err
}

// LastResponseEvent is the number of the last one kept; 0 for none.
func (s *Store) LastResponseEvent(ctx context.Context, ref jobs.Ref) (last int64, err error) {
	err = byJob(s.read(ctx), ref).Model(&jobs.ResponseEvent{}).Select("coalesce(max(n), 0)").Scan(&last).Error
	return last, err
}

// DeleteResponse removes a response's row, its request, its answer and its stream. What its end owes to receivers is
// frozen in its events, and stays.
func (s *Store) DeleteResponse(ctx context.Context, ref jobs.Ref, end func(*jobs.Job) (jobs.Effects, error)) (woken jobs.Woken, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		woken = jobs.Woken{}
		job, err := takeJob(tx, ref)
		if err != nil {
			return err
		}
		if job.Kind != jobs.KindResponse {
			return jobs.NotFound("No response found with id '%s'.", ref.ID)
		}
		if !job.Status.Terminal() {
			if _, woken, err = s.move(tx, ref, end); err != nil {
				return err
			}
		}
		for _, kept := range []any{&jobs.ResponseEvent{}, &jobs.Response{}, &payload{}} {
			if err := byJob(tx, ref).Delete(kept).Error; err != nil {
				return err
			}
		}
		return tx.Where("project_id = ? AND id = ?", ref.ProjectID, ref.ID).Delete(&jobs.Job{}).Error
	})
	return woken, err
}

// streamTTL is how long a response can be watched again after its end.
const streamTTL = 24 * time.Hour

const endedStreams = `SELECT responses.project_id, responses.job_id AS id FROM responses
	JOIN jobs ON jobs.project_id = responses.project_id AND jobs.id = responses.job_id
	WHERE responses.streaming = 1 AND jobs.ended_at > 0 AND jobs.ended_at <= ? LIMIT 100`

const forgetEvents = `DELETE FROM response_events WHERE project_id = @project AND job_id = @job AND n IN (
	SELECT n FROM response_events WHERE project_id = @project AND job_id = @job LIMIT @slice)`

// streams removes the events of responses that have long ended.
func (j *Janitor) streams(ctx context.Context) (n int, err error) {
	var over []jobs.Ref
	if err := j.Store.read(ctx).Raw(endedStreams, j.Store.now().Add(-streamTTL)).Scan(&over).Error; err != nil {
		return 0, err
	}
	for _, ref := range over {
		m, err := j.forget(ctx, ref)
		if n += m; err != nil {
			return n, err
		}
	}
	return n, nil
}

// forget removes a slice of a response's events; with the last of them, what says that there are some.
func (j *Janitor) forget(ctx context.Context, ref jobs.Ref) (n int, err error) {
	err = j.Store.write(ctx, func(tx *gorm.DB) error {
		r := tx.Exec(forgetEvents, map[string]any{"project": ref.ProjectID, "job": ref.ID, "slice": slice})
		if n = int(r.RowsAffected); r.Error != nil || n == slice {
			return r.Error
		}
		n++ // the mark counts as one, so that the next look comes
		return byJob(tx.Model(&jobs.Response{}), ref).Update("streaming", jobs.StreamGone).Error
	})
	return n, err
}
