package simulator

import (
	"bufio"
	"errors"
	"fmt"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

// maxLineErrors bounds the errors that a batch shows.
const maxLineErrors = 100

// A batchCheck is the validation of one batch's input.
type batchCheck struct {
	s      *Simulator
	path   string
	model  string
	total  int64
	ids    map[uint64]bool // hashes of the custom_ids
	errors []lineError
}

// checkBatch reads the input once. An error is the simulator's own.
func (s *Simulator) checkBatch(a *account, b batch) (*batchCheck, error) {
	check := &batchCheck{s: s, path: b.Path, ids: map[uint64]bool{}}
	f, found := a.file(b.Input, s.now())
	if !found || f.Purpose != "batch" {
		check.fail(0, "invalid_request", "file_id", "Cannot find file %s with the purpose batch, or it has expired.", b.Input)
		return check, nil
	}
	content, err := a.content(b.Input)
	if err != nil {
		return nil, err
	}
	defer func() { _ = content.Close() }()
	last := 0
	err = eachLine(content, func(number int, line []byte) error {
		last = number
		check.total++
		check.line(number, line)
		return nil
	})
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		check.fail(last+1, "invalid_json_line", "", "This line is over 64 MiB.")
	case err != nil:
		return nil, err
	case check.total == 0:
		check.fail(0, "empty_file", "", "The input file is empty. Please ensure that the batch contains at least one request.")
	}
	return check, nil
}

func (k *batchCheck) fail(line int, code, param, format string, args ...any) {
	if len(k.errors) == maxLineErrors {
		return
	}
	e := lineError{Code: code, Message: fmt.Sprintf(format, args...), Param: stringOrNil(param)}
	if line > 0 {
		e.Line = &line
	}
	k.errors = append(k.errors, e)
}

func (k *batchCheck) line(number int, raw []byte) {
	line := gjson.ParseBytes(raw)
	if !rawjson.Valid(raw) || !line.IsObject() {
		k.fail(number, "invalid_json_line", "", "This line is not parseable as valid JSON.")
		return
	}
	body := line.Get("body")
	for _, name := range []string{"custom_id", "method", "url"} {
		if line.Get(name).Type != gjson.String {
			k.fail(number, "missing_required_parameter", name, "Missing required parameter: '%s'.", name)
			return
		}
	}
	switch {
	case !body.IsObject():
		k.fail(number, "missing_required_parameter", "body", "Missing required parameter: 'body'.")
	case line.Get("method").Str != "POST":
		k.fail(number, "invalid_method", "method", "The method of a request in a batch must be POST.")
	case line.Get("url").Str != k.path:
		k.fail(number, "invalid_url", "url", "The URL provided for this request does not match the batch endpoint.")
	case body.Get("stream").Bool():
		k.fail(number, "streaming_unsupported", "body.stream", "Streaming is not supported in the Batch API.")
	default:
		k.names(number, line.Get("custom_id").Str, body.Get("model").Str)
	}
}

func (k *batchCheck) names(number int, customID, name string) {
	id := mix(hash(hashStart, customID))
	if k.ids[id] {
		k.fail(number, "duplicate_custom_id", "custom_id", "The custom_id '%s' for this request is a duplicate of another request. "+
			"The custom_id parameter must be unique for each request in a batch.", customID)
	}
	k.ids[id] = true
	switch {
	case name == "":
		k.fail(number, "invalid_request", "body.model", "Model parameter is required.")
		return
	case k.model == "":
		k.model = name
	case name != k.model:
		k.fail(number, "mismatched_model", "body.model", "The model '%s' for this request does not match the rest of the batch. "+
			"Each batch must contain requests for a single model.", name)
		return
	}
	if number == 1 || k.total == 1 {
		if _, _, p := k.s.findModel(name); p != nil {
			k.fail(number, "model_not_found", "body.model", "The provided model '%s' is not supported by the Batch API.", name)
		}
	}
}
