package store

import (
	"context"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// project is one tenant.
type project struct {
	ProjectID     string
	SigningSecret []byte // sealed
	CreatedAt     jobs.Time
}

// ensureProject makes a project with a signing secret at the first start. A configured secret replaces the stored one.
// One that does not open means another key: better no start than callbacks that cannot be signed.
func (s *Store) ensureProject(ctx context.Context, id, secret string) error {
	if _, err := s.SigningSecret(ctx, id); err != nil && !jobs.IsCode(err, jobs.CodeNotFound) {
		return err
	}
	conflict := clause.OnConflict{DoNothing: true}
	if secret != "" {
		conflict = clause.OnConflict{
			Columns: []clause.Column{{Name: "project_id"}}, DoUpdates: clause.AssignmentColumns([]string{"signing_secret"}),
		}
	} else {
		secret = callbacks.NewSecret()
	}
	return s.write(ctx, func(tx *gorm.DB) error {
		p := project{ProjectID: id, SigningSecret: s.seal.seal(projectPlace(id), []byte(secret)), CreatedAt: s.now()}
		return tx.Clauses(conflict).Create(&p).Error
	})
}

// SigningSecret is what a project's callbacks are signed with unless a submission names its own: whsec_ and base64.
func (s *Store) SigningSecret(ctx context.Context, id string) (string, error) {
	return s.signingSecret(s.read(ctx), id)
}

func (s *Store) signingSecret(db *gorm.DB, id string) (string, error) {
	var p project
	err := db.Where("project_id = ?", id).Take(&p).Error
	if err != nil {
		return "", found(err, jobs.NotFound("No project found with id '%s'.", id))
	}
	secret, err := s.seal.open(projectPlace(id), p.SigningSecret)
	return string(secret), err
}

func projectPlace(id string) string { return "projects/" + id + "/signing_secret" }
