package store

import (
	"bytes"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// keyTTL is how long an Idempotency-Key is kept.
const keyTTL = 24 * time.Hour

// idempotencyKey remembers what a creating request was answered. It commits with what the request created: so there
// is no key without its creation and no creation that a crash separates from its key.
type idempotencyKey struct {
	ProjectID string
	Key       string
	Hash      []byte
	Answer    []byte
	CreatedAt jobs.Time
}

// useKey writes the key, or answers *jobs.Replay for one that the same request has used, or CodeKeyReused for another.
func (s *Store) useKey(tx *gorm.DB, project string, idem *jobs.Idempotency, answer []byte) error {
	if idem == nil {
		return nil
	}
	now := s.now()
	var used idempotencyKey
	err := tx.Where("project_id = ? AND key = ?", project, idem.Key).Take(&used).Error
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
	case err != nil:
		return err
	case used.CreatedAt.Add(keyTTL) <= now:
		if err := tx.Where("project_id = ? AND key = ?", project, idem.Key).Delete(&idempotencyKey{}).Error; err != nil {
			return err
		}
	case !bytes.Equal(used.Hash, idem.Hash):
		return jobs.Errorf(jobs.CodeKeyReused, "", "This Idempotency-Key has been used for another request. Use a new key for a new request.")
	default:
		return &jobs.Replay{Answer: used.Answer}
	}
	return tx.Create(&idempotencyKey{ProjectID: project, Key: idem.Key, Hash: idem.Hash, Answer: answer, CreatedAt: now}).Error
}
