package jobs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/rawjson"
)

// LineError is one entry of a failed batch's errors.data, in OpenAI's words.
type LineError struct {
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Param   *string `json:"param"`
	Line    *int64  `json:"line"` // from 1; null when it is about the whole file
}

// maxLineErrors bounds errors.data: 50,000 bad lines must not make a 10 MB object.
const maxLineErrors = 100

// index is what one pass over a batch's input finds.
type index struct {
	model  string
	total  int64
	copied int64 // answers that were taken over
	shards []Shard
	errs   []LineError
}

// validate looks at a batch's input once, and moves it to in_progress or failed. A look that fails for a reason of our own is
// made again, until the batch's time is over.
func (r *Runner) validate(ctx context.Context, j Job) error {
	ix, err := r.index(ctx, j)
	if err == nil && len(ix.errs) == 0 && j.RetryOf != "" {
		ix.copied, err = r.takeOver(ctx, j)
	}
	if err != nil && (ctx.Err() != nil || At(r.Now()) < j.ExpiresAt) {
		return err
	}
	if err != nil {
		r.Log.Error("a batch's input could not be read in its completion window; the batch has failed", "job", j.ID, "err", err)
		ix = &index{errs: []LineError{unread}}
	}
	return r.move(ctx, j, func(now *Job) (Effects, error) { return now.validated(ix, At(r.Now())) })
}

// unread is why a batch failed whose input was not read in its time.
var unread = LineError{
	Code: "batch_expired", Message: "The input file could not be read before the completion window ended; no request was run. Create the batch again.",
}

// validated starts the batch, or fails it with the reasons.
func (j *Job) validated(ix *index, now Time) (Effects, error) {
	if j.Status != Validating {
		return Effects{}, ErrStale
	}
	if len(ix.errs) > 0 {
		j.Errors = encode(ix.errs)
		return Effects{Events: []EventType{j.end(Failed, now)}}, nil
	}
	j.Status, j.StartedAt, j.Model, j.Total = InProgress, now, cmp.Or(j.Model, ix.model), ix.total
	j.Completed, j.Copied = ix.copied, ix.copied
	j.Claims = 0
	j.Due(j.ExpiresAt)
	return Effects{Events: []EventType{BatchInProgress}, Shards: ix.shards}, nil
}

// index reads the input file in one streaming pass. Of each line only a hash of its custom_id is kept.
func (r *Runner) index(ctx context.Context, j Job) (*index, error) {
	// A file whose time has passed stays for the jobs that were to read it; one that the client deleted does not.
	f, err := r.Store.InputFile(ctx, Ref{j.ProjectID, j.InputFileID})
	if err == nil && f.DeletedAt > 0 {
		err = NotFound("No such File object: %s", j.InputFileID)
	}
	if IsCode(err, CodeNotFound) || (err == nil && f.Purpose != PurposeBatch && f.Purpose != PurposeBatchOutput) {
		return &index{errs: []LineError{fileError(j.InputFileID, err)}}, nil
	}
	if err != nil {
		return nil, err
	}
	in, err := r.Blobs.Open(ctx, f.Blob, 0)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	served := func(model string) error {
		_, err := r.route(ctx, j.ProjectID, model)
		return err
	}
	s := scan{job: j, limits: r.Limits, served: served, seen: map[customID]struct{}{}}
	return s.run(ctx, in)
}

func fileError(id string, err error) LineError {
	param := "file_id"
	if err == nil {
		return LineError{Code: "invalid_request", Message: fmt.Sprintf("The file %s was not uploaded with purpose 'batch', and no batch has written it.", id), Param: &param}
	}
	return LineError{Code: "invalid_request", Message: fmt.Sprintf("Cannot find file %s, or the project does not have access to it.", id), Param: &param}
}

// customID stands for a custom_id: so much of its SHA-256 that two of a million share it by chance once in 10^12 batches, and no
// more, for a million of them are in memory at once.
type customID [10]byte

// scan is the state of one pass.
type scan struct {
	index
	job    Job
	limits Limits
	served func(model string) error // whether some provider does
	broken error                    // what kept the pass from judging
	seen   map[customID]struct{}

	anyPath bool // the first one that a batch can call is taken for the job's
}

func (s *scan) run(ctx context.Context, in io.Reader) (*index, error) {
	lines := newLineReader(in, 0, 0)
	for len(s.errs) < maxLineErrors {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		line, offset, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, errLineTooLong) {
			s.fail(lines.number+1, "invalid_request", "", "This line is longer than %d bytes.", MaxLine)
			break
		}
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			continue
		}
		if s.total++; s.total > int64(s.limits.BatchLines) {
			s.errs = []LineError{{Code: "too_many_tasks", Message: fmt.Sprintf("The input file has more than %d requests, the most that one batch takes (limits.batch_lines). Split it.", s.limits.BatchLines)}}
			break
		}
		if s.line(line, lines.number); s.broken != nil {
			return nil, s.broken
		}
		s.place(lines.number, offset)
	}
	if s.total == 0 && len(s.errs) == 0 {
		s.errs = []LineError{{Code: "empty_file", Message: "The input file is empty. Please ensure that the batch contains at least one request."}}
	}
	return &s.index, nil
}

// place puts the line into the last shard, or begins one.
func (s *scan) place(number, offset int64) {
	if n := len(s.shards); n == 0 || s.shards[n-1].Lines == int64(s.limits.ShardLines) {
		s.shards = append(s.shards, Shard{
			ProjectID: s.job.ProjectID, ID: fmt.Sprintf("%s:%d", s.job.ID, n), JobID: s.job.ID, N: n,
			FirstLine: number, Offset: offset, Priority: s.job.Priority,
		})
	}
	last := &s.shards[len(s.shards)-1]
	last.Lines++
	last.LastLine = number
}

func (s *scan) fail(line int64, code, param, format string, args ...any) {
	s.errs = append(s.errs, LineError{Code: code, Message: fmt.Sprintf(format, args...), Param: orNull(param), Line: &line})
}

// line judges one request.
func (s *scan) line(line []byte, number int64) {
	if !rawjson.Valid(line) {
		s.fail(number, "invalid_json_line", "", "This line is not parseable as valid JSON.")
		return
	}
	if line[0] != '{' {
		s.fail(number, "invalid_json_line", "", "This line is not a JSON object.")
		return
	}
	f := fieldsOf(line)
	if s.envelope(f, number) {
		s.body(f.body, number)
	}
}

// requestFields are the four of a batch line; of a repeated key the first counts.
type requestFields struct{ customID, method, url, body gjson.Result }

func fieldsOf(line []byte) requestFields {
	r := gjson.GetManyBytes(line, "custom_id", "method", "url", "body")
	return requestFields{r[0], r[1], r[2], r[3]}
}

func (s *scan) envelope(f requestFields, number int64) bool {
	before := len(s.errs)
	for _, p := range []struct {
		name string
		got  gjson.Result
	}{{"custom_id", f.customID}, {"method", f.method}, {"url", f.url}, {"body", f.body}} {
		switch {
		case !p.got.Exists() || p.got.Type == gjson.Null:
			s.fail(number, "missing_required_parameter", p.name, "Missing required parameter: '%s'.", p.name)
		case p.name == "body" && !p.got.IsObject():
			s.fail(number, "invalid_type", p.name, "Invalid type for 'body': expected an object.")
		case p.name != "body" && p.got.Type != gjson.String:
			s.fail(number, "invalid_type", p.name, "Invalid type for '%s': expected a string.", p.name)
		}
	}
	if len(s.errs) > before {
		return false
	}
	s.values(f, number)
	return len(s.errs) == before
}

func (s *scan) values(f requestFields, number int64) {
	if f.method.String() != "POST" {
		s.fail(number, "invalid_value", "method", "Invalid method '%s': only 'POST' is supported.", shorten(f.method.String()))
	}
	if s.anyPath && s.job.Path == "" && slices.Contains(BatchPaths, f.url.String()) {
		s.job.Path = f.url.String()
	}
	if s.job.Path == "" {
		s.fail(number, "invalid_url", "url", "A batch cannot call '%s'. It can call %s.", shorten(f.url.String()), quoted(BatchPaths))
	} else if f.url.String() != s.job.Path {
		s.fail(number, "invalid_url", "url", "The URL provided for this request does not match the batch endpoint.")
	}
	id := f.customID.String()
	if id == "" {
		s.fail(number, "missing_required_parameter", "custom_id", "Missing required parameter: 'custom_id'.")
		return
	}
	sum := sha256.Sum256([]byte(id))
	key := customID(sum[:])
	if _, dup := s.seen[key]; dup {
		s.fail(number, "duplicate_custom_id", "custom_id", "The custom_id '%s' for this request is a duplicate of another request. The custom_id parameter must be unique for each request in a batch.", shorten(id))
	}
	s.seen[key] = struct{}{}
}

// required are the body parameters without which a call cannot succeed, by path; OpenAI checks the same ones.
var required = map[string][2]string{
	"/v1/chat/completions": {"messages", "Messages parameter is required."},
	"/v1/embeddings":       {"input", "Input parameter is required."},
	"/v1/moderations":      {"input", "Input parameter is required."},
}

func (s *scan) body(body gjson.Result, number int64) {
	model := body.Get("model")
	if model.Type != gjson.String || model.String() == "" {
		s.fail(number, "invalid_request", "body.model", "Model parameter is required.")
		return
	}
	if len(model.String()) > maxName {
		s.fail(number, "invalid_value", "body.model", "Invalid value for 'model': it is longer than %d bytes.", maxName)
		return
	}
	if !rawjson.Storable(model.String()) {
		s.fail(number, "invalid_value", "body.model", "Invalid value for 'model': it must be UTF-8 without NUL.")
		return
	}
	if p, ok := required[s.job.Path]; ok && !body.Get(p[0]).Exists() {
		s.fail(number, "invalid_request", "body."+p[0], "%s", p[1])
	}
	if body.Get("stream").Type == gjson.True {
		s.fail(number, "streaming_unsupported", "body.stream", "Streaming is not supported in the Batch API.")
	}
	s.sameModel(model.String(), number)
}

// sameModel holds a batch to one model, which is looked up once. A retry may have one of its own for all of its lines.
func (s *scan) sameModel(model string, number int64) {
	switch {
	case model == s.model:
	case s.model != "":
		s.fail(number, "mismatched_model", "body.model", "The model '%s' for this request does not match the rest of the batch. Each batch must contain requests for a single model.", shorten(model))
	default:
		s.model = model
		model = cmp.Or(s.job.Model, model)
		err := s.served(model)
		if err != nil && providers.AsError(err) == nil {
			s.broken = err
		} else if err != nil {
			s.fail(number, "model_not_found", "body.model", "The provided model '%s' is not supported: no configured provider serves it.", shorten(model))
		}
	}
}

// shorten keeps quoted input from making errors large.
func shorten(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	end := most
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
