package web

import (
	"context"

	"github.com/gin-gonic/gin"
)

// SecretService keeps the secret that signs a project's callbacks: whsec_ and base64.
type SecretService interface {
	Secret(ctx context.Context, project string) (string, error)
	// RotateSecret gives the new one. With keep the old one goes on signing beside it for 24 hours.
	RotateSecret(ctx context.Context, project string, keep bool) (string, error)
}

type webhooks struct {
	*core
	callbacks SecretService
}

// secret shows the project's signing secret, the one that clients verify with (Replicate's route and shape).
func (w *webhooks) secret(c *gin.Context) error {
	secret, err := w.callbacks.Secret(c.Request.Context(), w.project(c))
	return secretOf(c, secret, err)
}

func (w *webhooks) rotateSecret(c *gin.Context) error {
	keep, err := w.readKeep(c)
	if err != nil {
		return err
	}
	secret, err := w.callbacks.RotateSecret(c.Request.Context(), w.project(c), keep)
	return secretOf(c, secret, err)
}

func secretOf(c *gin.Context, secret string, err error) error {
	if err != nil {
		return err
	}
	return ok(c, encode(map[string]string{"key": secret}))
}

// readKeep reads the body of a rotation, which may be empty (OpenAI's key).
func (s *core) readKeep(c *gin.Context) (bool, error) {
	const keep = "keep_old_secret_active_for_24_hours"
	f, err := s.bodyFields(c, keep)
	if err != nil {
		return false, err
	}
	return f.truth(keep, false)
}
