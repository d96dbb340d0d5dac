package store

import (
	"context"

	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// CreateUpload keeps an upload and its Idempotency-Key.
func (s *Store) CreateUpload(ctx context.Context, u jobs.Upload, idem *jobs.Idempotency) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		u := u // the operation may run twice
		if err := s.useKey(tx, u.ProjectID, idem, (&jobs.UploadSnapshot{Upload: u}).Object()); err != nil {
			return err
		}
		return tx.Create(&u).Error
	})
}

// Upload reads an upload as it stands now, with the file that it became.
func (s *Store) Upload(ctx context.Context, ref jobs.Ref) (snapshot jobs.UploadSnapshot, err error) {
	if snapshot.Upload, err = takeUpload(s.read(ctx), ref); err != nil {
		return snapshot, err
	}
	snapshot.Lapse(s.now())
	snapshot.File, err = s.uploaded(s.read(ctx), &snapshot.Upload)
	return snapshot, err
}

func takeUpload(db *gorm.DB, ref jobs.Ref) (jobs.Upload, error) {
	var u jobs.Upload
	err := db.Where("project_id = ? AND id = ?", ref.ProjectID, ref.ID).Take(&u).Error
	return u, found(err, jobs.NotFound("No such Upload object: %s", ref.ID))
}

// uploaded is the file that an upload became; none while there is none, or none any more.
func (s *Store) uploaded(db *gorm.DB, u *jobs.Upload) (*jobs.File, error) {
	if u.FileID == "" {
		return nil, nil //nolint:nilnil // most uploads have none
	}
	f, err := s.takeFile(db, jobs.Ref{ProjectID: u.ProjectID, ID: u.FileID})
	if jobs.IsCode(err, jobs.CodeNotFound) {
		return nil, nil //nolint:nilnil // deleted, or expired
	}
	return &f, err
}

// UploadParts reads an upload's parts.
func (s *Store) UploadParts(ctx context.Context, ref jobs.Ref) (parts []jobs.UploadPart, err error) {
	err = s.read(ctx).Where("project_id = ? AND upload_id = ?", ref.ProjectID, ref.ID).Find(&parts).Error
	return parts, err
}

// MoveUpload changes an upload by compare-and-set. The row, a new part, the file with its event and the Idempotency-Key
// stand together or not at all. A used key is answered even where the move itself is refused by now.
func (s *Store) MoveUpload(ctx context.Context, ref jobs.Ref, idem *jobs.Idempotency, move func(*jobs.Upload) (jobs.UploadEffects, error)) (snapshot jobs.UploadSnapshot, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		before, err := takeUpload(locked(tx), ref)
		if err != nil {
			return err
		}
		snapshot = jobs.UploadSnapshot{Upload: before}
		effects, refused := move(&snapshot.Upload)
		if err := s.keepUploadEffects(tx, &snapshot, effects); err != nil {
			return err
		}
		answer := snapshot.Object()
		if effects.Part != nil {
			answer = effects.Part.Object()
		}
		if err := s.useKey(tx, ref.ProjectID, idem, answer); err != nil {
			return err
		}
		if refused != nil {
			return refused
		}
		return replaceUpload(tx, &before, &snapshot.Upload)
	})
	return snapshot, err
}

// keepUploadEffects writes what commits with an upload's new state, and finds the file of one that has its own.
func (s *Store) keepUploadEffects(tx *gorm.DB, snapshot *jobs.UploadSnapshot, fx jobs.UploadEffects) (err error) {
	if fx.Part != nil {
		if err := tx.Create(fx.Part).Error; err != nil {
			return err
		}
	}
	if fx.File == nil {
		snapshot.File, err = s.uploaded(tx, &snapshot.Upload)
		return err
	}
	f := *fx.File // the operation may run twice
	if err := s.recordFileEvent(tx, &f, jobs.FileCreated); err != nil {
		return err
	}
	snapshot.File = &f
	return tx.Create(&f).Error
}

// replaceUpload is the guarded statement: it writes only where the row still stands as it was read.
func replaceUpload(tx *gorm.DB, before, after *jobs.Upload) error {
	r := tx.Model(&jobs.Upload{}).Select("*").Omit("project_id", "id").
		Where("project_id = ? AND id = ? AND status = ? AND parts = ?", before.ProjectID, before.ID, before.Status, before.Parts).
		Updates(after)
	if r.Error == nil && r.RowsAffected == 0 {
		return jobs.ErrStale
	}
	return r.Error
}

// lapsed expires pending uploads whose time has passed.
func (j *Janitor) lapsed(ctx context.Context) (n int, err error) {
	err = j.write(ctx, func(tx *gorm.DB) error {
		now := j.Store.now()
		var late []jobs.Upload
		if err := tx.Where("status = 'pending' AND expires_at <= ?", now).Limit(j.room()).Find(&late).Error; err != nil {
			return err
		}
		n = 0
		for _, before := range late {
			after := before
			if !after.Lapse(now) {
				continue
			}
			if err := replaceUpload(tx, &before, &after); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}

// Few parts stand at a time: those of an ended upload go.
const spentParts = `SELECT * FROM upload_parts WHERE NOT EXISTS (
	SELECT 1 FROM uploads WHERE uploads.project_id = upload_parts.project_id AND uploads.id = upload_parts.upload_id AND uploads.status = 'pending') LIMIT ?`

// parts removes the parts of uploads that have ended: the bytes first, then the rows, so that no bytes are forgotten.
func (j *Janitor) parts(ctx context.Context) (int, error) {
	var spent []jobs.UploadPart
	if err := j.Store.read(ctx).Raw(spentParts, j.room()).Scan(&spent).Error; err != nil || len(spent) == 0 {
		return 0, err
	}
	blobs := make([]string, len(spent))
	for i, p := range spent {
		if err := j.Files.Remove(ctx, p.Blob); err != nil {
			return 0, err
		}
		blobs[i] = p.Blob
	}
	return len(spent), j.write(ctx, func(tx *gorm.DB) error {
		return tx.Where("blob IN ?", blobs).Delete(&jobs.UploadPart{}).Error
	})
}
