package web

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// GenerationService takes generations and tells about them.
type GenerationService interface {
	// CreateGeneration commits a generation before it returns. A used Idempotency-Key answers *jobs.Replay.
	CreateGeneration(ctx context.Context, n jobs.NewGeneration) (jobs.Snapshot, error)
	Cancel(ctx context.Context, ref jobs.Ref) (jobs.Snapshot, error)
}

type generations struct {
	*core
	jobs     GenerationService
	facts    JobReader
	webhooks WebhookParser
}

// generatePath is the provider's path of POST /v1/generate.
const generatePath = "/v1/chat/completions"

func (g *generations) create(c *gin.Context) error {
	return g.once(c, http.StatusAccepted, func(k key) ([]byte, error) {
		body, err := g.readBody(c)
		if err != nil {
			return nil, err
		}
		n, err := g.bind(c, body)
		if err != nil {
			return nil, err
		}
		n.ProjectID, n.Idempotency = g.project(c), k.over(body)
		snapshot, err := g.jobs.CreateGeneration(c.Request.Context(), n)
		if err != nil {
			return nil, err
		}
		return snapshot.Object(), nil
	})
}

func (g *generations) bind(c *gin.Context, body []byte) (n jobs.NewGeneration, err error) {
	p, err := cut(body)
	if err != nil {
		return n, err
	}
	n.Path, n.Body = generatePath, p.forward
	if n.Model, err = readText("model", p.own["model"]); err != nil {
		return n, err
	}
	if err = checkPrompt(p.own["input"], p.own["messages"]); err != nil {
		return n, err
	}
	if err = checkUnsupported(p.own); err != nil {
		return n, err
	}
	if n.Metadata, err = readMetadata(p.own["metadata"]); err != nil {
		return n, err
	}
	r, err := readReceiver(g.webhooks, p.own["webhook"], p.own["webhook_ids"])
	n.Webhook, n.WebhookShown, n.WebhookIDs = r.webhook, r.shown, r.ids
	return n, err
}

// checkPrompt wants exactly one of input and messages.
func checkPrompt(input, messages gjson.Result) error {
	switch {
	case input.Type != gjson.Null && messages.Exists():
		return jobs.Errorf(jobs.CodeInvalid, "input", "Give either 'input' or 'messages', not both.")
	case input.Type != gjson.Null && input.Type != gjson.String && !input.IsArray():
		return typeError("input", "a string or an array of messages", input)
	case input.Type == gjson.Null && messages.Type == gjson.Null:
		return jobs.Errorf(jobs.CodeMissing, "input", "Missing required parameter: 'input'. It is a string or an array of messages; 'messages' is taken too.")
	case input.Type == gjson.Null && !messages.IsArray():
		return typeError("messages", "an array", messages)
	}
	return nil
}

// checkUnsupported refuses what would otherwise be ignored in silence.
func checkUnsupported(own map[string]gjson.Result) error {
	switch stream := own["stream"]; {
	case stream.Type == gjson.True:
		return jobs.Errorf(jobs.CodeUnsupported, "stream", "Unsupported parameter: 'stream'. The answer comes later: leave it out, and name a 'webhook' or poll.")
	case stream.Type != gjson.Null && stream.Type != gjson.False:
		return typeError("stream", "a boolean", stream)
	}
	for _, name := range []string{"run_at", "priority"} {
		if own[name].Type != gjson.Null {
			return jobs.Errorf(jobs.CodeUnsupported, name, "Unsupported parameter: '%s' is not supported by this version. Leave it out.", name)
		}
	}
	return nil
}

func (g *generations) get(c *gin.Context) error {
	snapshot, err := readKind(c, g.facts, g.ref(c), jobs.KindGeneration)
	if err != nil {
		return err
	}
	return ok(c, snapshot.Object())
}

func (g *generations) cancel(c *gin.Context) error {
	if _, err := readKind(c, g.facts, g.ref(c), jobs.KindGeneration); err != nil {
		return err
	}
	snapshot, err := g.jobs.Cancel(c.Request.Context(), g.ref(c))
	if err != nil {
		return err
	}
	return ok(c, snapshot.Object())
}
