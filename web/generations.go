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
	return g.submit(c, http.StatusAccepted, func(body []byte, idem *jobs.Idempotency) ([]byte, error) {
		n, err := g.bind(c, body)
		if err != nil {
			return nil, err
		}
		n.Idempotency = idem
		return objectOf(g.jobs.CreateGeneration(c.Request.Context(), n))
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
	if err = checkStream(p.own["stream"]); err != nil {
		return n, err
	}
	n.Submission, err = g.readSubmission(c, g.webhooks, p.own)
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

// checkStream lets a stream be asked for: the provider then streams to Ringback, which tells how far it is and keeps the
// whole answer.
func checkStream(stream gjson.Result) error {
	if stream.Type != gjson.Null && !stream.IsBool() {
		return typeError("stream", "a boolean", stream)
	}
	return nil
}

func (g *generations) get(c *gin.Context) error {
	snapshot, err := readKind(c, g.facts, g.ref(c), jobs.KindGeneration)
	if err == nil {
		err = snapshot.Kept()
	}
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
