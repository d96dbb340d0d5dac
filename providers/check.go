package providers

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	openai "github.com/sashabaranov/go-openai"
)

// checkTimeout bounds a check.
const checkTimeout = 10 * time.Second

// Check lists the upstream's models, which costs no tokens, and so tells whether
// it can be reached with the configured credentials. The names are the
// upstream's own; it may serve more than the patterns let through. The error is
// always an *[Error].
func (p *Provider) Check(ctx context.Context) ([]string, error) {
	callCtx, cancel := context.WithTimeout(ctx, min(checkTimeout, p.config.Timeout))
	defer cancel()
	list, err := p.models.ListModels(callCtx)
	switch e := AsError(err); {
	case err != nil && ctx.Err() != nil:
		return nil, broken(ctx, err)
	case e != nil:
		return nil, e
	case err != nil:
		return nil, &Error{Kind: InvalidAnswer, Retry: true, Message: "The provider's list of models cannot be read.", Err: err}
	}
	names := make([]string, 0, len(list.Models))
	for _, model := range list.Models {
		names = append(names, model.ID)
	}
	return names, nil
}

func (p *Provider) modelsClient() *openai.Client {
	config := openai.DefaultConfig("")
	config.BaseURL = p.base.Scheme + "://" + p.base.Host + p.base.EscapedPath()
	config.HTTPClient = doer{p}
	return openai.NewClientWithConfig(config)
}

// doer lends a provider's connections, credentials, size limit and judgement to
// go-openai's client.
type doer struct{ p *Provider }

// Do gives an *[Error] for everything but a sound 2xx answer.
func (d doer) Do(req *http.Request) (*http.Response, error) {
	req.Header = d.p.header.Clone()
	req.URL.RawQuery = d.p.base.RawQuery
	answer, failure := d.p.exchange(context.WithoutCancel(req.Context()), req)
	if failure != nil {
		return nil, failure
	}
	return &http.Response{
		StatusCode: answer.Status, Header: http.Header{"Content-Type": {answer.ContentType}},
		Body: io.NopCloser(bytes.NewReader(answer.Body)), Request: req,
	}, nil
}
