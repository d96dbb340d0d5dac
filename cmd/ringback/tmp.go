package main

import (
	"context"
	"encoding/json"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

type tmpService struct{ *callbacks.Service }

func (t tmpService) Deliveries(ctx context.Context, job jobs.Ref) ([]json.RawMessage, error) {
	d, err := t.Service.Deliveries(ctx, job)
	var out []json.RawMessage
	for _, x := range d {
		b, _ := json.Marshal(x)
		out = append(out, b)
	}
	return out, err
}

func (t tmpService) Shown(w *jobs.Webhook) json.RawMessage { return callbacks.Shown(w) }
