package store

import (
	"context"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/ringback/ringback/jobs"
)

// keepTuning writes what a fine-tuning's step brought. What stands there already, mirrored by a step that a crash cut
// off, is left as it is.
func keepTuning(tx *gorm.DB, fx *jobs.Effects) error {
	if err := keepLog(tx, fx.Log); err != nil {
		return err
	}
	if len(fx.Checkpoints) > 0 {
		rows := append([]jobs.Checkpoint(nil), fx.Checkpoints...)
		if err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&rows).Error; err != nil {
			return err
		}
	}
	if fx.Model == nil {
		return nil
	}
	m := *fx.Model
	return tx.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "project_id"}, {Name: "id"}}, UpdateAll: true,
	}).Create(&m).Error
}

func keepLog(tx *gorm.DB, log []jobs.TuningEvent) error {
	if len(log) == 0 {
		return nil
	}
	rows := append([]jobs.TuningEvent(nil), log...)
	return tx.Clauses(clause.OnConflict{DoNothing: true}).CreateInBatches(&rows, 100).Error
}

// TuningEvents reads a page of a fine-tuning's log, newest first, after the entry named.
func (s *Store) TuningEvents(ctx context.Context, q jobs.PartQuery) ([]jobs.TuningEvent, bool, error) {
	db := byJob(s.read(ctx), q.Job)
	if q.After != "" {
		var after jobs.TuningEvent
		if err := byJob(s.read(ctx), q.Job).Where("id = ?", q.After).Take(&after).Error; err != nil {
			return nil, false, unknownCursor(found(err, jobs.NotFound("")), q.After)
		}
		db = db.Where("position < ?", after.Position)
	}
	var page []jobs.TuningEvent
	err := db.Order("position DESC").Limit(q.Limit + 1).Find(&page).Error
	if len(page) > q.Limit {
		return page[:q.Limit], true, err
	}
	return page, false, err
}

// Checkpoints reads a page of a fine-tuning's checkpoints, the highest step first.
func (s *Store) Checkpoints(ctx context.Context, q jobs.PartQuery) ([]jobs.Checkpoint, bool, error) {
	db := byJob(s.read(ctx), q.Job)
	if q.After != "" {
		var after jobs.Checkpoint
		if err := byJob(s.read(ctx), q.Job).Where("id = ?", q.After).Take(&after).Error; err != nil {
			return nil, false, unknownCursor(found(err, jobs.NotFound("")), q.After)
		}
		db = db.Where("step < ?", after.Step)
	}
	var page []jobs.Checkpoint
	err := db.Order("step DESC").Limit(q.Limit + 1).Find(&page).Error
	if len(page) > q.Limit {
		return page[:q.Limit], true, err
	}
	return page, false, err
}

// Model reads a model that a fine-tuning of the project has made, deleted or not.
func (s *Store) Model(ctx context.Context, ref jobs.Ref) (m jobs.Model, err error) {
	err = s.read(ctx).Where("project_id = ? AND id = ?", ref.ProjectID, ref.ID).Take(&m).Error
	return m, found(err, jobs.NotFound("No model found with id '%s'.", ref.ID))
}

// Models are those that fine-tunings of the project have made and nobody has deleted, at most 1,000, newest first.
func (s *Store) Models(ctx context.Context, project string) (models []jobs.Model, err error) {
	err = s.read(ctx).Where("project_id = ? AND deleted_at = 0", project).Order("created_at DESC, id").Limit(pageRows).Find(&models).Error
	return models, err
}

// DeleteModel takes one out of the lists.
func (s *Store) DeleteModel(ctx context.Context, ref jobs.Ref, now jobs.Time) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		return tx.Model(&jobs.Model{}).Where("project_id = ? AND id = ? AND deleted_at = 0", ref.ProjectID, ref.ID).Update("deleted_at", now).Error
	})
}
