package web

import (
	"bytes"
	"context"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/jobs"
)

// ModelService tells which models there are.
type ModelService interface {
	// Models are those of the providers that answer, and those that the project's fine-tunings have made.
	Models(ctx context.Context, project string) ([]jobs.ModelView, error)
	Model(ctx context.Context, ref jobs.Ref) (jobs.ModelView, error)
	// DeleteModel deletes a model that a fine-tuning of the project has made, at its provider too.
	DeleteModel(ctx context.Context, ref jobs.Ref) error
}

type modelRoutes struct {
	*core
	jobs ModelService
}

// list has no pages, as at OpenAI.
func (m *modelRoutes) list(c *gin.Context) error {
	found, err := m.jobs.Models(c.Request.Context(), m.project(c))
	if err != nil {
		return err
	}
	objects := make([][]byte, len(found))
	for i := range found {
		objects[i] = found[i].Object()
	}
	return ok(c, append(append([]byte(`{"object":"list","data":[`), bytes.Join(objects, []byte(","))...), `]}`...))
}

func (m *modelRoutes) get(c *gin.Context) error {
	ref, err := m.model(c)
	if err != nil {
		return err
	}
	found, err := m.jobs.Model(c.Request.Context(), ref)
	if err != nil {
		return err
	}
	return ok(c, found.Object())
}

func (m *modelRoutes) delete(c *gin.Context) error {
	ref, err := m.model(c)
	if err != nil {
		return err
	}
	if err := m.jobs.DeleteModel(c.Request.Context(), ref); err != nil {
		return err
	}
	return ok(c, encode(deleted{ID: ref.ID, Object: "model", Deleted: true}))
}

// model is the one that the path names. A name may hold slashes: some clients encode them, others do not.
func (m *modelRoutes) model(c *gin.Context) (jobs.Ref, error) {
	ref := jobs.Ref{ProjectID: m.project(c), ID: strings.TrimPrefix(c.Param("id"), "/")}
	if ref.ID == "" || !storable(ref.ID) {
		return ref, jobs.Errorf(jobs.CodeModel, "model", "The model '%s' does not exist.", clip(ref.ID))
	}
	return ref, nil
}
