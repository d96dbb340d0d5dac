package store

import (
	"context"
	"slices"

	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// CreateFile keeps a file's facts and its Idempotency-Key.
func (s *Store) CreateFile(ctx context.Context, f jobs.File, idem *jobs.Idempotency) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		f := f // the operation may run twice
		if err := s.useKey(tx, f.ProjectID, idem, f.Object()); err != nil {
			return err
		}
		if err := s.recordFileEvent(tx, &f, jobs.FileCreated); err != nil {
			return err
		}
		return tx.Create(&f).Error
	})
}

// File reads a file that has not been deleted and has not expired.
func (s *Store) File(ctx context.Context, ref jobs.Ref) (jobs.File, error) {
	return s.takeFile(s.read(ctx), ref)
}

func (s *Store) takeFile(db *gorm.DB, ref jobs.Ref) (jobs.File, error) {
	var f jobs.File
	err := s.live(db, ref.ProjectID).Where("id = ?", ref.ID).Take(&f).Error
	return f, found(err, jobs.NotFound("No such File object: %s", ref.ID))
}

// live are a project's files that can be seen.
func (s *Store) live(db *gorm.DB, project string) *gorm.DB {
	return db.Where("project_id = ? AND deleted_at = 0 AND (expires_at = 0 OR expires_at > ?)", project, s.now())
}

// InputFile reads a file, deleted or not: its bytes stay for the jobs that read them.
func (s *Store) InputFile(ctx context.Context, ref jobs.Ref) (f jobs.File, err error) {
	err = s.read(ctx).Where("project_id = ? AND id = ?", ref.ProjectID, ref.ID).Take(&f).Error
	return f, found(err, jobs.NotFound("No such File object: %s", ref.ID))
}

// Files reads a page.
func (s *Store) Files(ctx context.Context, q jobs.FileQuery) ([]jobs.File, bool, error) {
	db := s.live(s.read(ctx), q.ProjectID)
	if q.Purpose != "" {
		db = db.Where("purpose = ?", q.Purpose)
	}
	order, past := "created_at DESC, id DESC", "(created_at, id) < (?, ?)"
	if q.Ascending {
		order, past = "created_at, id", "(created_at, id) > (?, ?)"
	}
	if q.After != "" {
		var after jobs.File // deleted or not: a cursor outlives its row
		if err := s.read(ctx).Where("project_id = ? AND id = ?", q.ProjectID, q.After).Take(&after).Error; err != nil {
			return nil, false, unknownCursor(found(err, jobs.NotFound("")), q.After)
		}
		db = db.Where(past, after.CreatedAt, after.ID)
	}
	var page []jobs.File
	err := db.Order(order).Limit(q.Limit + 1).Find(&page).Error
	if len(page) > q.Limit {
		return page[:q.Limit], true, err
	}
	return page, false, err
}

// readersOf counts the unfinished jobs that read a file.
const readersOf = `SELECT (SELECT count(*) FROM jobs WHERE project_id = ? AND input_file_id = ? AND ended_at = 0) +
	(SELECT count(*) FROM jobs WHERE project_id = ? AND validation_file_id = ? AND ended_at = 0 AND validation_file_id <> '')`

// readsFiles has the files that a new job reads stand as they are until it is committed: who deletes one of them then finds
// the job. One that is deleted by now is refused, but for a batch's: that fails with its input.
func readsFiles(tx *gorm.DB, n *jobs.NewJob) error {
	var ids []string
	for _, id := range []string{n.Job.InputFileID, n.Job.ValidationFileID} {
		if id != "" && (n.File == nil || id != n.File.ID) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var files []jobs.File
	err := standing(tx).Select("id, deleted_at").Where("project_id = ? AND id IN ?", n.Job.ProjectID, ids).Order("id").Find(&files).Error
	if err != nil || n.Job.Kind == jobs.KindBatch {
		return err
	}
	for _, id := range ids {
		if !slices.ContainsFunc(files, func(f jobs.File) bool { return f.ID == id && f.DeletedAt == 0 }) {
			return jobs.NotFound("No such File object: %s", id)
		}
	}
	return nil
}

// DeleteFile hides a file. The blob is given back for removal unless an unfinished job reads it, also one that is just being
// created; the janitor takes those later.
func (s *Store) DeleteFile(ctx context.Context, ref jobs.Ref, now jobs.Time) (blob string, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		blob = ""
		f, err := s.takeFile(locked(tx), ref)
		if err != nil {
			return err
		}
		readers := 0
		if err := tx.Raw(readersOf, ref.ProjectID, ref.ID, ref.ProjectID, ref.ID).Scan(&readers).Error; err != nil {
			return err
		}
		if readers == 0 {
			blob = f.Blob
		}
		return s.hideFile(tx, &f, now)
	})
	return blob, err
}

// hideFile takes a file out of sight, and says so in an event.
func (s *Store) hideFile(tx *gorm.DB, f *jobs.File, now jobs.Time) error {
	if err := s.recordFileEvent(tx, f, jobs.FileDeleted); err != nil {
		return err
	}
	f.DeletedAt = now
	return tx.Model(&jobs.File{}).Where("project_id = ? AND id = ?", f.ProjectID, f.ID).Select("deleted_at", "sequence").Updates(f).Error
}
