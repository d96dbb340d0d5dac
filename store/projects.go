package store

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"strings"

	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/callbacks/signature"
	"github.com/ringback/ringback/jobs"
)

// project is one tenant. What signs its callbacks is sealed.
type project struct {
	ProjectID     string
	SigningSecret []byte // callbacks.Secrets as JSON, or the text of a single one
	PrivateKey    []byte // ed25519
	CreatedAt     jobs.Time
}

func (p *project) secretPlace() string { return "projects/" + p.ProjectID + "/signing_secret" }
func (p *project) keyPlace() string    { return "projects/" + p.ProjectID + "/private_key" }

// ensureProject makes a project with a signing secret and a key pair at the first start. A configured secret replaces the
// stored ones. One that does not open means another key: better no start than callbacks that cannot be signed.
func (s *Store) ensureProject(ctx context.Context, id, secret string) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		p, err := takeProject(locked(tx), id)
		fresh := jobs.IsCode(err, jobs.CodeNotFound)
		if err != nil && !fresh {
			return err
		}
		p.ProjectID = id
		if fresh {
			p.CreatedAt = s.now()
		} else if err := s.opens(&p); err != nil {
			return err
		}
		if secret != "" {
			p.SigningSecret = s.sealSecrets(&p, callbacks.Secrets{{Text: secret}})
		} else if fresh {
			p.SigningSecret = s.sealSecrets(&p, callbacks.Secrets{{Text: signature.NewSecret()}})
		}
		if len(p.PrivateKey) == 0 {
			p.PrivateKey = s.seal.seal(p.keyPlace(), signature.NewPrivateKey())
		}
		if fresh {
			return tx.Create(&p).Error
		}
		return tx.Model(&project{}).Where("project_id = ?", id).Select("signing_secret", "private_key").Updates(&p).Error
	})
}

func (s *Store) opens(p *project) error {
	_, err := s.openSecrets(p)
	return err
}

func takeProject(db *gorm.DB, id string) (p project, err error) {
	err = db.Where("project_id = ?", id).Take(&p).Error
	return p, found(err, jobs.NotFound("No project found with id '%s'.", id))
}

func (s *Store) sealSecrets(p *project, secrets callbacks.Secrets) []byte {
	text, _ := json.Marshal(secrets) // texts and numbers always encode
	return s.seal.seal(p.secretPlace(), text)
}

func (s *Store) openSecrets(p *project) (secrets callbacks.Secrets, err error) {
	text, err := s.seal.open(p.secretPlace(), p.SigningSecret)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(string(text), "whsec_") {
		return callbacks.Secrets{{Text: string(text)}}, nil
	}
	return secrets, json.Unmarshal(text, &secrets)
}

// Secrets are what a project's callbacks are signed with unless a receiver has its own, newest first.
func (s *Store) Secrets(ctx context.Context, id string) (callbacks.Secrets, error) {
	p, err := takeProject(s.read(ctx), id)
	if err != nil {
		return nil, err
	}
	return s.openSecrets(&p)
}

// RotateSecrets replaces them.
func (s *Store) RotateSecrets(ctx context.Context, id string, change func(callbacks.Secrets) (callbacks.Secrets, error)) (secrets callbacks.Secrets, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		p, err := takeProject(locked(tx), id)
		if err != nil {
			return err
		}
		if secrets, err = s.openSecrets(&p); err != nil {
			return err
		}
		if secrets, err = change(secrets); err != nil {
			return err
		}
		return tx.Model(&project{}).Where("project_id = ?", id).Update("signing_secret", s.sealSecrets(&p, secrets)).Error
	})
	return secrets, err
}

// Keys are all that signs a project's callbacks at a time.
func (s *Store) Keys(ctx context.Context, id string, now jobs.Time) (signature.Keys, error) {
	p, err := takeProject(s.read(ctx), id)
	if err != nil {
		return signature.Keys{}, err
	}
	return s.openProject(&p, now)
}

func (s *Store) openProject(p *project, now jobs.Time) (k signature.Keys, err error) {
	secrets, err := s.openSecrets(p)
	if err != nil {
		return k, err
	}
	private, err := s.seal.open(p.keyPlace(), p.PrivateKey)
	return signature.Keys{Secrets: secrets.Live(now), Private: ed25519.PrivateKey(private)}, err
}
