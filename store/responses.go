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
		var holds []string
		err := locked(tx).Model(&jobs.Job{}).Where("project_id = ? AND id = ? AND attempt = ? AND owner = ? AND status = ?",
			held.ProjectID, held.ID, held.Attempt, held.Owner, jobs.InProgress).Pluck("id", &holds).Error
		if err != nil {
			return err
		}
		if len(holds) == 0 {
			return jobs.ErrStale
		}
		if len(events) == 0 {
			return nil
		}
		return tx.Clauses(clause.OnConflict{DoNothing: true}).CreateInBatches(events, 100).Error
	})
}

// LookAtStream reads where a response stands and the next events of its stream, all of one moment: no event can come
// between the two. The stream of one that is gone, and one that is kept no more, is CodeNotFound.
func (s *Store) LookAtStream(ctx context.Context, ref jobs.Ref, q jobs.StreamQuery) (look jobs.StreamLook, err error) {
	err = s.atOnce(ctx, func(tx *gorm.DB) error {
		var stands struct {
			Status    jobs.Status
			StartedAt jobs.Time
		}
		r := tx.Raw(streamState, ref.ProjectID, ref.ID).Scan(&stands)
		if r.Error != nil {
			return r.Error
		}
		if r.RowsAffected == 0 {
			return jobs.NotFound("No response found with id '%s'.", ref.ID)
		}
		look = jobs.StreamLook{Status: stands.Status, StartedAt: stands.StartedAt}
		until, err := pageEnd(byJob(tx, ref).Where("n > ?", q.After), q.Events, q.Bytes)
		if err != nil || until == 0 {
			return err
		}
		return byJob(tx, ref).Where("n > ? AND n <= ?", q.After, until).Order("n").Find(&look.Events).Error
	})
	return look, err
}

const streamState = `SELECT jobs.status, jobs.started_at FROM jobs
	JOIN responses ON responses.project_id = jobs.project_id AND responses.job_id = jobs.id
	WHERE jobs.project_id = ? AND jobs.id = ? AND responses.streaming = 1`

// pageEnd is the number of the last event that a page takes: most of them, and none beyond the bytes, but for a first one
// that is longer. 0 is for none. It reads lengths alone.
func pageEnd(db *gorm.DB, most int, bytes int64) (last int64, err error) {
	var next []struct{ N, Size int64 }
	err = db.Model(&jobs.ResponseEvent{}).Select("n, length(data) AS size").Order("n").Limit(most).Scan(&next).Error
	for i, e := range next {
		if bytes -= e.Size; bytes < 0 && i > 0 {
			break
		}
		last = e.N
	}
	return last, err
}

// LastResponseEvent is the number of the last one kept; 0 for none.
func (s *Store) LastResponseEvent(ctx context.Context, ref jobs.Ref) (last int64, err error) {
	err = byJob(s.read(ctx), ref).Model(&jobs.ResponseEvent{}).Select("coalesce(max(n), 0)").Scan(&last).Error
	return last, err
}

// DeleteResponse removes a response's row, its request and its answer. Its stream goes out of sight with them; the events
// go slice by slice, since they may be a million. What its end owes to receivers is frozen in its events, and stays.
func (s *Store) DeleteResponse(ctx context.Context, ref jobs.Ref, end func(*jobs.Job) (jobs.Effects, error)) (woken jobs.Woken, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		woken = jobs.Woken{}
		job, err := takeJob(locked(tx), ref)
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
		if err := spend(tx, ref); err != nil {
			return err
		}
		if len(job.Webhook) > 0 { // which stays as long as its deliveries
			if err := spendJob(tx, ref, true); err != nil {
				return err
			}
		}
		for _, kept := range []any{&jobs.Response{}, &payload{}} {
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

// streams ends the keeping of events of responses that have long ended.
func (j *Janitor) streams(ctx context.Context) (n int, err error) {
	var over []jobs.Ref
	if err := j.Store.read(ctx).Raw(endedStreams, j.Store.now().Add(-streamTTL)).Scan(&over).Error; err != nil || len(over) == 0 {
		return 0, err
	}
	return len(over), j.write(ctx, func(tx *gorm.DB) error {
		for _, ref := range over {
			if err := spend(tx, ref); err != nil {
				return err
			}
		}
		return nil
	})
}

// spentStream is one that nobody can read any more, while there are events of it.
type spentStream struct {
	ProjectID string
	JobID     string
}

// spend takes a stream out of sight as a whole: nobody reads one with a hole. Its events are the janitor's from here on.
func spend(tx *gorm.DB, ref jobs.Ref) error {
	r := byJob(tx.Model(&jobs.Response{}), ref).Where("streaming = ?", jobs.Streamed).Update("streaming", jobs.StreamGone)
	if r.Error != nil || r.RowsAffected == 0 {
		return r.Error
	}
	return tx.Create(&spentStream{ref.ProjectID, ref.ID}).Error
}

// spent removes a slice of the events that nobody can read any more; with a stream's last, what says that there are some.
func (j *Janitor) spent(ctx context.Context) (n int, err error) {
	var left []spentStream
	if err := j.Store.read(ctx).Limit(1).Find(&left).Error; err != nil || len(left) == 0 {
		return 0, err
	}
	ref := jobs.Ref{ProjectID: left[0].ProjectID, ID: left[0].JobID}
	err = j.write(ctx, func(tx *gorm.DB) error {
		until, err := pageEnd(byJob(tx, ref), j.room(), sliceBytes)
		if err != nil {
			return err
		}
		r := byJob(tx, ref).Where("n <= ?", until).Delete(&jobs.ResponseEvent{})
		if n = int(r.RowsAffected); r.Error != nil || n > 0 {
			return r.Error
		}
		n = 1 // the mark, so that the next look comes
		return byJob(tx, ref).Delete(&spentStream{}).Error
	})
	return n, err
}
