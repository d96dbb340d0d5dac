package providers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	openai "github.com/sashabaranov/go-openai"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

// Tuning is a fine-tuning job as the provider shows it. What it leaves out is
// zero, and so is all but the status that has another type than OpenAI's, is too
// long, or repeats one of the configured keys.
type Tuning struct {
	ID string
	// Status in OpenAI's words: validating_files, queued, running, paused,
	// succeeded, failed, cancelled. Others are passed on as they are.
	Status          string
	FineTunedModel  string
	TrainedTokens   int64
	ResultFiles     []string // the provider's file IDs
	EstimatedFinish int64    // Unix seconds; 0 unknown
	// The three say why a job failed.
	ErrorCode, ErrorMessage, ErrorParam string

	Seed            int64
	Hyperparameters json.RawMessage // as it stands now; nil if none
	Method          json.RawMessage // nil if none
}

// CreateTuning starts a fine-tuning job. The body is sent exactly as it is given.
// The answer's ID is never empty; all else may be missing in it. The error is
// always an *[Error]; unless the provider refused, it may have made the job all
// the same: look with [Provider.FindTuning] before asking again.
func (p *Provider) CreateTuning(ctx context.Context, body []byte) (Tuning, error) {
	answer, err := p.through(ctx, ask{timeout: p.config.Timeout, body: body, accept: p.acceptTuning},
		func(ctx context.Context, c *openai.Client) error {
			_, err := c.CreateFineTuningJob(ctx, openai.FineTuningJobRequest{})
			return err
		})
	if err != nil {
		return Tuning{}, err
	}
	job := p.readTuning(gjson.ParseBytes(answer.Body))
	if job.ID == "" {
		return Tuning{}, unreadable(answer, "id")
	}
	return job, nil
}

// Tuning reads a job. The error is always an *[Error].
func (p *Provider) Tuning(ctx context.Context, id string) (Tuning, error) {
	return p.tuning(ctx, id, func(ctx context.Context, c *openai.Client, id string) error {
		_, err := c.RetrieveFineTuningJob(ctx, id)
		return err
	})
}

// CancelTuning asks the provider to end a job and returns the job as it then is.
// A job that has ended is refused by most ([Rejected]). The error is always an
// *[Error].
func (p *Provider) CancelTuning(ctx context.Context, id string) (Tuning, error) {
	return p.tuning(ctx, id, func(ctx context.Context, c *openai.Client, id string) error {
		_, err := c.CancelFineTuningJob(ctx, id)
		return err
	})
}

func (p *Provider) tuning(ctx context.Context, id string, call func(context.Context, *openai.Client, string) error) (Tuning, error) {
	at, err := segment(id)
	if err != nil {
		return Tuning{}, err
	}
	answer, err := p.through(ctx, ask{timeout: pollTimeout, accept: p.acceptTuning}, func(ctx context.Context, c *openai.Client) error {
		return call(ctx, c, at)
	})
	if err != nil {
		return Tuning{}, err
	}
	return p.shownTuning(id, answer)
}

// PauseTuning asks the provider to hold a job, like [Provider.CancelTuning].
func (p *Provider) PauseTuning(ctx context.Context, id string) (Tuning, error) {
	return p.moveTuning(ctx, id, "/pause")
}

// ResumeTuning asks the provider to go on with a job, like [Provider.CancelTuning].
func (p *Provider) ResumeTuning(ctx context.Context, id string) (Tuning, error) {
	return p.moveTuning(ctx, id, "/resume")
}

func (p *Provider) moveTuning(ctx context.Context, id, verb string) (Tuning, error) {
	at, err := segment(id)
	if err != nil {
		return Tuning{}, err
	}
	answer, err := p.raw(ctx, ask{timeout: pollTimeout, accept: p.acceptTuning}, http.MethodPost, tuningsPath+"/"+at+verb)
	if err != nil {
		return Tuning{}, err
	}
	return p.shownTuning(id, answer)
}

// shownTuning reads the answer about a job whose ID is known. Only its status must
// be there: how the job does is not hidden by a figure that cannot be read.
func (p *Provider) shownTuning(id string, answer Answer) (Tuning, error) {
	job := p.readTuning(gjson.ParseBytes(answer.Body))
	if job.Status == "" {
		return Tuning{}, unreadable(answer, "status")
	}
	job.ID = cmp.Or(job.ID, id)
	return job, nil
}

func (p *Provider) readTuning(object gjson.Result) Tuning {
	f := p.safe(object)
	files := f.ids("result_files")
	job := Tuning{
		ID: f.id("id"), Status: f.id("status"), FineTunedModel: f.model("fine_tuned_model"),
		TrainedTokens: f.number("trained_tokens"), ResultFiles: files[:min(len(files), mostResults)],
		EstimatedFinish: f.number("estimated_finish"), Seed: f.number("seed"),
		Hyperparameters: f.data("hyperparameters"), Method: f.data("method"),
	}
	if said := object.Get("error"); said.IsObject() {
		why := p.safe(said)
		job.ErrorCode, job.ErrorMessage, job.ErrorParam = why.word("code"), why.prose("message"), why.word("param")
	} else {
		job.ErrorMessage = f.prose("error")
	}
	return job
}

// acceptTuning knows that the error in a job that failed is no error of the call.
func (p *Provider) acceptTuning(resp *http.Response, body []byte) (Answer, *Error) {
	answer, failure := p.accept(resp, body)
	if failure == nil || !isJSON(resp.Header.Get("Content-Type")) || !rawjson.Valid(body) {
		return answer, failure
	}
	if job := p.readTuning(gjson.ParseBytes(body)); job.ID == "" || job.Status == "" {
		return answer, failure
	}
	return newAnswer(resp, body), nil
}

// unreadable is a sound JSON answer that is not of the shape it must have.
func unreadable(answer Answer, field string) *Error {
	return &Error{
		Kind: InvalidAnswer, Retry: true, Status: answer.Status,
		Message: fmt.Sprintf("The provider's answer cannot be read: its %s is missing or of another type.", field),
		Err:     fmt.Errorf("unreadable %s in an answer of %d bytes", field, len(answer.Body)),
	}
}
