package providers

import (
	"context"
	"time"
)

// checkTimeout bounds a check.
const checkTimeout = 10 * time.Second

// Check lists the upstream's models, which costs no tokens, and so tells whether
// it can be reached with the configured credentials. The names are the
// upstream's own; it may serve more than the patterns let through. The error is
// always an *[Error].
func (p *Provider) Check(ctx context.Context) ([]string, error) {
	models, err := p.listModels(ctx, checkTimeout)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(models))
	for _, model := range models {
		names = append(names, model.ID)
	}
	return names, nil
}
