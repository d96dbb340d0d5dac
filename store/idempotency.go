package store

import (
	"bytes"
	"context"
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
	Sealed    bool // the answer is: it holds a secret
	CreatedAt jobs.Time
}

func (k *idempotencyKey) place() string { return "idempotency_keys/" + k.ProjectID + "/" + k.Key }

// useKey writes the key, or answers *jobs.Replay for one that the same request has used, or CodeKeyReused for another.
func (s *Store) useKey(tx *gorm.DB, project string, idem *jobs.Idempotency, answer []byte) error {
	if idem == nil {
		return nil
	}
	return s.use(tx, idempotencyKey{ProjectID: project, Key: idem.Key, Hash: idem.Hash, Answer: answer, CreatedAt: s.now()})
}

// useKeySealed does the same with an answer that holds a secret.
func (s *Store) useKeySealed(tx *gorm.DB, project string, idem *jobs.Idempotency, answer []byte) error {
	if idem == nil {
		return nil
	}
	k := idempotencyKey{ProjectID: project, Key: idem.Key, Hash: idem.Hash, Sealed: true, CreatedAt: s.now()}
	k.Answer = s.seal.seal(k.place(), answer)
	return s.use(tx, k)
}

// Replayed looks a key up before anything else is asked: what a first request has made is answered, whatever has become of
// what it named.
func (s *Store) Replayed(ctx context.Context, project string, idem *jobs.Idempotency) error {
	if idem == nil {
		return nil
	}
	var used []idempotencyKey
	err := s.read(ctx).Where("project_id = ? AND key = ? AND created_at > ?", project, idem.Key, s.now().Add(-keyTTL)).Find(&used).Error
	if err != nil || len(used) == 0 {
		return err
	}
	return s.repeated(&used[0], idem.Hash)
}

// repeated is the answer to a key that has been used.
func (s *Store) repeated(used *idempotencyKey, hash []byte) error {
	if !bytes.Equal(used.Hash, hash) {
		return jobs.Errorf(jobs.CodeKeyReused, "", "This Idempotency-Key has been used for another request. Use a new key for a new request.")
	}
	return s.answered(used)
}

func (s *Store) use(tx *gorm.DB, k idempotencyKey) error {
	var used idempotencyKey
	err := locked(tx).Where("project_id = ? AND key = ?", k.ProjectID, k.Key).Take(&used).Error
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
	case err != nil:
		return err
	case used.CreatedAt.Add(keyTTL) <= k.CreatedAt:
		if err := tx.Where("project_id = ? AND key = ?", k.ProjectID, k.Key).Delete(&idempotencyKey{}).Error; err != nil {
			return err
		}
	default:
		return s.repeated(&used, k.Hash)
	}
	return tx.Create(&k).Error
}

func (s *Store) answered(used *idempotencyKey) error {
	if !used.Sealed {
		return &jobs.Replay{Answer: used.Answer}
	}
	answer, err := s.seal.open(used.place(), used.Answer)
	if err != nil {
		return err
	}
	return &jobs.Replay{Answer: answer}
}
