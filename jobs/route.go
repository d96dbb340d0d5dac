package jobs

import (
	"context"

	"github.com/ringback/ringback/providers"
)

// route finds a model's provider: by the configured patterns, or because a fine-tuning of the project has made it there.
func route(ctx context.Context, by Router, made ModelRecords, project, model string) (*providers.Provider, error) {
	p, err := by.Route(model)
	if err == nil {
		return p, nil
	}
	m, unknown := made.Model(ctx, Ref{project, model})
	if unknown != nil && !IsCode(unknown, CodeNotFound) {
		return nil, unknown
	}
	if unknown == nil && m.DeletedAt == 0 {
		if p, ok := by.Provider(m.Provider); ok {
			return p, nil
		}
	}
	return nil, err
}

func (r *Runner) route(ctx context.Context, project, model string) (*providers.Provider, error) {
	return route(ctx, r.Router, r.Store, project, model)
}

// checkModel tells whether some provider serves a model that a client names.
func (s *Service) checkModel(ctx context.Context, project, model string) error {
	if model == "" {
		return Errorf(CodeMissing, "model", "Missing required parameter: 'model'.")
	}
	if err := checkName("model", model); err != nil {
		return err
	}
	_, err := route(ctx, s.Router, s.Records, project, model)
	if providers.AsError(err) == nil {
		return err
	}
	e := Errorf(CodeModel, "model", "The model '%s' does not exist: no configured provider serves it.", model)
	e.Err = err
	return e
}
