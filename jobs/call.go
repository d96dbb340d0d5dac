package jobs

import (
	"context"
	"io"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers"
)

// call makes the call that a generation's path and body ask for: a form where its model takes a file, a stream where the
// body wants one, else one body and one answer.
func (r *Runner) call(ctx context.Context, p *providers.Provider, j Job, body []byte) (providers.Answer, error) {
	req := providers.Request{Path: j.Path, Model: j.Model, Body: body, Any: !slices.Contains(jsonPaths, j.Path)}
	if field, ok := formFiles[j.Path]; ok {
		form, err := r.form(ctx, j, field, body)
		if err != nil {
			return providers.Answer{}, err
		}
		req.Body, req.Form = nil, form
		return r.doCall(ctx, p, j.ProjectID, req)
	}
	if gjson.GetBytes(body, "stream").Type == gjson.True {
		return r.streamed(ctx, p, req, j)
	}
	return r.doCall(ctx, p, j.ProjectID, req)
}

// jsonPaths are those whose answers are JSON by contract: anything else there is a fault. Elsewhere bytes become a file.
var jsonPaths = []string{"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/moderations"}

// formFiles are the paths that take a file, with the name of its part (OpenAI's).
var formFiles = map[string]string{
	"/v1/audio/transcriptions": "file", "/v1/audio/translations": "file",
	"/v1/images/edits": "image", "/v1/images/variations": "image",
}

// formFile is the file that a generation's body names.
type formFile struct{ file string }

// checkForm finds the file that a generation sends to its model, and checks that it is there. It stays for the job,
// whoever deletes it.
func (s *Service) checkForm(ctx context.Context, n *NewGeneration) (formFile, error) {
	field, ok := formFiles[n.Path]
	if !ok {
		return formFile{}, nil
	}
	param, id := "body."+field, gjson.GetBytes(n.Body, field)
	if gjson.GetBytes(n.Body, "mask").Exists() {
		return formFile{}, Errorf(CodeUnsupported, "body.mask", "Unsupported parameter: 'body.mask'. One file goes with a call: '%s'.", param)
	}
	if id.Type != gjson.String || id.Str == "" {
		return formFile{}, Errorf(CodeMissing, param, "Missing required parameter: '%s'. It is the ID of one file that you have uploaded.", param)
	}
	if err := checkName(param, id.Str); err != nil {
		return formFile{}, err
	}
	_, err := s.Records.File(ctx, Ref{n.ProjectID, id.Str})
	if IsCode(err, CodeNotFound) {
		return formFile{}, Errorf(CodeInvalid, param, "Invalid '%s': there is no file '%s'. Upload it first.", param, shorten(id.Str))
	}
	return formFile{id.Str}, err
}

// form turns a body into a form: the file's bytes in the place of its ID, texts as they are, lists as repeated parts, all
// else as JSON.
func (r *Runner) form(ctx context.Context, j Job, field string, body []byte) (*providers.Form, error) {
	f, err := r.Store.InputFile(ctx, Ref{j.ProjectID, j.InputFileID})
	if err != nil {
		return nil, err
	}
	form := &providers.Form{File: field, Name: f.Filename, Size: f.Bytes, Open: func() (io.ReadCloser, error) {
		return r.Blobs.Open(ctx, f.Blob, 0)
	}}
	gjson.ParseBytes(body).ForEach(func(key, value gjson.Result) bool {
		if key.String() != field {
			form.Fields = append(form.Fields, formFields(key.String(), value)...)
		}
		return true
	})
	return form, nil
}

func formFields(name string, value gjson.Result) [][2]string {
	switch {
	case value.Type == gjson.Null:
		return nil
	case value.Type == gjson.String:
		return [][2]string{{name, value.String()}}
	case value.IsArray():
		var fields [][2]string
		for _, entry := range value.Array() {
			fields = append(fields, formFields(name+"[]", entry)...)
		}
		return fields
	}
	return [][2]string{{name, value.Raw}}
}

// streamed makes a call whose answer comes in pieces, tells how far it is, and gives the answer that a call without a
// stream would have got.
func (r *Runner) streamed(ctx context.Context, p *providers.Provider, req providers.Request, j Job) (providers.Answer, error) {
	var whole providers.Assembly
	told := j.ProgressAt
	answer, err := r.streamCall(ctx, p, j.ProjectID, req, func(c providers.Chunk) error {
		if err := whole.Add(c.Data); err != nil {
			return unreadableStream(err)
		}
		if now := At(r.Now()); whole.Tokens() > 0 && now >= told.Add(progressPause) {
			told = now
			r.tell(ctx, j, func(j *Job) { j.Usage = providers.Usage{OutputTokens: whole.Tokens(), TotalTokens: whole.Tokens()} })
		}
		return nil
	})
	if err != nil || len(answer.Body) > 0 {
		return answer, err
	}
	answer.Body, err = whole.Body()
	answer.ContentType = "application/json"
	if err != nil {
		return answer, unreadableStream(err)
	}
	return answer, nil
}

// unreadableStream is the failure of a stream of which no answer can be made: the provider's, and one of the call's tries.
func unreadableStream(err error) *providers.Error {
	return &providers.Error{Kind: providers.InvalidAnswer, Retry: true, Message: "The provider's stream held no answer that can be read; try again later.", Err: err}
}

// tell fires generation.progress. One that cannot be kept is left out: the next one tells more.
func (r *Runner) tell(ctx context.Context, j Job, change func(*Job)) {
	err := r.move(ctx, j, func(j *Job) (Effects, error) {
		if j.Status != InProgress {
			return Effects{}, ErrStale
		}
		change(j)
		j.ProgressAt = At(r.Now())
		return Effects{Events: []EventType{GenerationProgress}}, nil
	})
	if err != nil {
		r.Log.Debug("a generation's progress was not told", "job", j.ID, "err", err)
	}
}
