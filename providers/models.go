package providers

import (
	"context"
	"net/http"
	"time"

	openai "github.com/sashabaranov/go-openai"
	"github.com/tidwall/gjson"
)

// Model is a model that an upstream says it serves.
type Model struct {
	ID        string // never empty
	OwnedBy   string
	CreatedAt int64 // Unix seconds; 0 unknown
}

// ListModels lists the upstream's models, which costs no tokens. The names are
// the upstream's own; it may serve more than the patterns let through. The error
// is always an *[Error].
func (p *Provider) ListModels(ctx context.Context) ([]Model, error) {
	return p.listModels(ctx, pollTimeout)
}

func (p *Provider) listModels(ctx context.Context, timeout time.Duration) ([]Model, error) {
	answer, err := p.through(ctx, ask{timeout: timeout}, func(ctx context.Context, c *openai.Client) error {
		_, err := c.ListModels(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	items, _, err := readPage(answer)
	if err != nil {
		return nil, err
	}
	models := make([]Model, 0, len(items))
	for _, item := range items {
		f := fields{object: item}
		if id := f.id("id"); id != "" {
			models = append(models, Model{ID: id, OwnedBy: f.text("owned_by"), CreatedAt: f.number("created")})
		}
	}
	return models, nil
}

// DeleteModel deletes a tuned model at the upstream. One that is not there is no
// error. The error is always an *[Error].
func (p *Provider) DeleteModel(ctx context.Context, id string) error {
	at, err := segment(id)
	if err != nil {
		return err
	}
	answer, err := p.through(ctx, ask{timeout: pollTimeout, accept: p.acceptDeleted}, func(ctx context.Context, c *openai.Client) error {
		_, err := c.DeleteFineTuneModel(ctx, at)
		return err
	})
	switch e := AsError(err); {
	case e != nil && e.Status == http.StatusNotFound:
		return nil
	case err != nil:
		return err
	case gjson.GetBytes(answer.Body, "deleted").Type == gjson.False:
		return &Error{Kind: Rejected, Status: answer.Status, Message: "The provider did not delete the model; look at it there."}
	}
	return nil
}

// acceptDeleted also takes an empty 2xx, which some servers give to a DELETE.
func (p *Provider) acceptDeleted(resp *http.Response, body []byte) (Answer, *Error) {
	if len(body) == 0 {
		return newAnswer(resp, body), nil
	}
	return p.accept(resp, body)
}
