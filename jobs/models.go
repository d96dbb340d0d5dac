package jobs

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ringback/ringback/providers"
)

// ModelRecords are the models that fine-tunings have made.
type ModelRecords interface {
	Model(ctx context.Context, ref Ref) (Model, error)
	Models(ctx context.Context, project string) ([]Model, error)
	DeleteModel(ctx context.Context, ref Ref, now Time) error
}

// ModelView is a model as the API shows it.
type ModelView struct {
	ID        string
	CreatedAt int64 // Unix seconds
	OwnedBy   string
}

// Object is the model as OpenAI shows it.
func (m *ModelView) Object() []byte {
	return encode(modelObject{ID: m.ID, Object: "model", Created: m.CreatedAt, OwnedBy: m.OwnedBy})
}

type modelObject struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

// modelsFor bounds how long a list of models waits for a provider.
const modelsFor = 5 * time.Second

// Models lists what can be called: the models that the providers list and their patterns let through, each as the first
// provider of its route has it, and those that the project's fine-tunings have made. A provider that does not answer is
// left out.
func (s *Service) Models(ctx context.Context, project string) ([]ModelView, error) {
	made, err := s.Records.Models(ctx, project)
	if err != nil {
		return nil, err
	}
	var views []ModelView
	for _, m := range made {
		views = append(views, m.view())
	}
	for _, m := range s.listed(ctx) {
		if !slices.ContainsFunc(views, func(v ModelView) bool { return v.ID == m.ID }) && !isDeleted(ctx, s.Records, project, m.ID) {
			views = append(views, m)
		}
	}
	slices.SortStableFunc(views, func(a, b ModelView) int { return strings.Compare(a.ID, b.ID) })
	return views, nil
}

func (m *Model) view() ModelView {
	return ModelView{ID: m.ID, CreatedAt: m.CreatedAt.Unix(), OwnedBy: m.ProjectID}
}

// isDeleted tells whether the project has deleted a model that its provider may list for a while yet.
func isDeleted(ctx context.Context, r ModelRecords, project, model string) bool {
	m, err := r.Model(ctx, Ref{project, model})
	return err == nil && m.DeletedAt > 0
}

// listed asks all providers side by side.
func (s *Service) listed(ctx context.Context) (views []ModelView) {
	ctx, cancel := context.WithTimeout(ctx, modelsFor)
	defer cancel()
	all := s.Router.Providers()
	found := make([][]ModelView, len(all))
	var wg sync.WaitGroup
	for i, p := range all {
		wg.Go(func() { found[i] = s.listedBy(ctx, p) })
	}
	wg.Wait()
	return slices.Concat(found...)
}

func (s *Service) listedBy(ctx context.Context, p *providers.Provider) (views []ModelView) {
	models, err := p.ListModels(ctx)
	if err != nil {
		return nil
	}
	for _, m := range models {
		if by, err := s.Router.Route(m.ID); err == nil && by == p {
			views = append(views, ModelView{ID: m.ID, CreatedAt: m.CreatedAt, OwnedBy: m.OwnedBy})
		}
	}
	return views
}

// Model finds one: made here, or listed by the provider of its route. No other provider is asked.
func (s *Service) Model(ctx context.Context, ref Ref) (ModelView, error) {
	m, err := s.Records.Model(ctx, ref)
	switch {
	case err == nil && m.DeletedAt > 0:
		return ModelView{}, noModel(ref.ID)
	case err == nil:
		return m.view(), nil
	case !IsCode(err, CodeNotFound):
		return ModelView{}, err
	}
	p, err := s.Router.Route(ref.ID)
	if err != nil {
		return ModelView{}, noModel(ref.ID)
	}
	ctx, cancel := context.WithTimeout(ctx, modelsFor)
	defer cancel()
	for _, m := range s.listedBy(ctx, p) {
		if m.ID == ref.ID {
			return m, nil
		}
	}
	return ModelView{}, noModel(ref.ID)
}

func noModel(id string) *Error {
	return Errorf(CodeModel, "model", "The model '%s' does not exist.", shorten(id))
}

// DeleteModel deletes a model that a fine-tuning of the project has made, at its provider and here.
func (s *Service) DeleteModel(ctx context.Context, ref Ref) error {
	m, err := s.Records.Model(ctx, ref)
	switch {
	case err == nil && m.DeletedAt > 0, IsCode(err, CodeNotFound):
		if _, err := s.Router.Route(ref.ID); err == nil && m.ID == "" {
			return Errorf(CodeForbidden, "model", "Only models that a fine-tuning job of yours has made can be deleted; '%s' is not one.", shorten(ref.ID))
		}
		return noModel(ref.ID)
	case err != nil:
		return err
	}
	if p, ok := s.Router.Provider(m.Provider); ok {
		if err := p.DeleteModel(ctx, m.ID); err != nil {
			failed := providers.AsError(err)
			e := Errorf(CodeUnavailable, "model", "The provider did not delete the model: %s", failed.Message)
			e.Err = err
			return e
		}
	}
	return s.Records.DeleteModel(ctx, ref, s.now())
}
