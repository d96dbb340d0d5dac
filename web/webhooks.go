package web

import (
	"context"

	"github.com/gin-gonic/gin"
)

// SecretReader knows the secret that signs a project's callbacks.
type SecretReader interface {
	// Secret is whsec_ and base64.
	Secret(ctx context.Context, project string) (string, error)
}

type webhooks struct {
	*core
	callbacks SecretReader
}

// secret shows the project's signing secret, the one that clients verify with (Replicate's route and shape).
func (w *webhooks) secret(c *gin.Context) error {
	secret, err := w.callbacks.Secret(c.Request.Context(), w.project(c))
	if err != nil {
		return err
	}
	return ok(c, encode(map[string]string{"key": secret}))
}
