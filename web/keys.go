package web

import (
	"context"
	"encoding/json"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/jobs"
)

// The key documents, which need no key. Each is one project's: a document shared by all would let one tenant sign for
// another.
const (
	jwksPath        = "/.well-known/jwks.json"
	projectJWKSPath = "/v1/projects/:id/jwks.json"
)

// KeyReader knows the public keys that receivers verify a project's callbacks with.
type KeyReader interface {
	// PublicKeys is a JWKS document (RFC 7517).
	PublicKeys(ctx context.Context, project string) (json.RawMessage, error)
}

type jwks struct{ keys KeyReader }

// ofDefault answers the default project's keys alone.
func (j *jwks) ofDefault(c *gin.Context) error { return j.answer(c, jobs.DefaultProject) }

func (j *jwks) ofProject(c *gin.Context) error { return j.answer(c, c.Param("id")) }

func (j *jwks) answer(c *gin.Context, project string) error {
	none := jobs.NotFound("No project found with id '%s'.", project)
	if !storable(project) {
		return none
	}
	document, err := j.keys.PublicKeys(c.Request.Context(), project)
	if jobs.IsCode(err, jobs.CodeNotFound) {
		return none
	}
	if err != nil {
		return err
	}
	c.Header("Cache-Control", "public, max-age=300")
	return ok(c, document)
}
