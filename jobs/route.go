package jobs

import (
	"context"
	"strings"

	"github.com/ringback/ringback/providers"
)

// tunedPrefix begins the names that OpenAI gives to the models that fine-tunings make.
const tunedPrefix = "ft:"

// route finds a model's provider: because a fine-tuning of the project has made it there, or by the configured patterns.
// Only names that look like one, or that no pattern matches, are looked up: the others are most calls.
func route(ctx context.Context, by Router, made ModelRecords, project, model string) (*providers.Provider, error) {
	p, err := by.Route(model)
	if err == nil && !strings.HasPrefix(model, tunedPrefix) {
		return p, nil
	}
	m, unknown := made.Model(ctx, Ref{project, model})
	switch {
	case IsCode(unknown, CodeNotFound):
		return p, err
	case unknown != nil:
		return nil, unknown
	case m.DeletedAt > 0:
		return nil, &providers.Error{Kind: providers.NoProvider, Message: "The model has been deleted."}
	}
	if there, ok := by.Provider(m.Provider); ok {
		return there, nil
	}
	return p, err
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
