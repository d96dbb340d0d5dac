package simulator

import (
	"errors"
	"io"
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

const (
	// maxBody is the longest request body; beyond it the answer is 413.
	maxBody  = 64 << 20
	maxN     = 8
	maxCount = 1 << 30
)

// A request holds the fields that matter here. Of a field that comes twice the
// last one holds.
type request struct {
	model  model
	stream bool

	name, messages, input, prompt, instructions gjson.Result
	maxTokens, maxCompletion, maxOutput, n      gjson.Result
	dimensions, encoding, streaming, options    gjson.Result
	temperature, topP, metadata                 gjson.Result
	tools, toolChoice                           gjson.Result
	voice, format, language, seconds, frame     gjson.Result

	choices int // n
	limit   int // of output tokens
	size    int // of a vector
}

func (c *call) read() *problem {
	if c.r.ContentLength > maxBody {
		return tooLarge()
	}
	body := http.MaxBytesReader(c.w, c.r.Body, maxBody)
	if need := int(min(c.r.ContentLength, keptBytes)); need >= cap(c.body) {
		c.body = make([]byte, 0, need+1)
	}
	for {
		if len(c.body) == cap(c.body) {
			c.body = append(c.body, 0)[:len(c.body)]
		}
		n, err := body.Read(c.body[len(c.body):cap(c.body)])
		c.body = c.body[:len(c.body)+n]
		if err != nil {
			return readEnd(err)
		}
	}
}

func readEnd(err error) *problem {
	var over *http.MaxBytesError
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.As(err, &over):
		return tooLarge()
	}
	return badRequest("", "", "The request body broke off. Send as many bytes as Content-Length says.")
}

func tooLarge() *problem {
	return &problem{
		status: http.StatusRequestEntityTooLarge, typ: invalidRequest,
		message: "The request body is over 64 MiB. Send less in one call.",
	}
}

// parse reads the body's fields and settles the model.
func (c *call) parse(rt route) *problem {
	if c.file.form {
		return c.settle(rt)
	}
	if !rawjson.Valid(c.body) {
		return badRequest("", "", "We could not parse the JSON body of your request. Send a valid JSON object.")
	}
	root := gjson.ParseBytes(c.body)
	if !root.IsObject() {
		return badRequest("", "", "The body must be a JSON object.")
	}
	root.ForEach(func(key, value gjson.Result) bool {
		if to := c.req.field(key.Str); to != nil {
			*to = value
		}
		return true
	})
	c.req.stream = c.req.streaming.Type == gjson.True
	return c.settle(rt)
}

func (r *request) field(name string) *gjson.Result {
	switch name {
	case "model":
		return &r.name
	case "messages":
		return &r.messages
	case "input":
		return &r.input
	case "prompt":
		return &r.prompt
	case "instructions":
		return &r.instructions
	case "max_tokens":
		return &r.maxTokens
	case "max_completion_tokens":
		return &r.maxCompletion
	case "max_output_tokens":
		return &r.maxOutput
	case "n":
		return &r.n
	}
	return r.rareField(name)
}

func (r *request) rareField(name string) *gjson.Result {
	switch name {
	case "dimensions":
		return &r.dimensions
	case "encoding_format":
		return &r.encoding
	case "stream":
		return &r.streaming
	case "stream_options":
		return &r.options
	case "temperature":
		return &r.temperature
	case "top_p":
		return &r.topP
	case "metadata":
		return &r.metadata
	case "tools":
		return &r.tools
	case "tool_choice":
		return &r.toolChoice
	}
	return r.mediaField(name)
}

func (r *request) mediaField(name string) *gjson.Result {
	switch name {
	case "voice":
		return &r.voice
	case "response_format":
		return &r.format
	case "language":
		return &r.language
	case "seconds":
		return &r.seconds
	case "size":
		return &r.frame
	}
	return nil
}

// settle finds the model and checks the fields that all routes share.
func (c *call) settle(rt route) (p *problem) {
	if c.req.name.Type == gjson.Null {
		return missing("model")
	}
	if c.req.name.Type != gjson.String {
		return wrongType("model", "a string")
	}
	if c.req.model, c.lessons, p = c.find(c.req.name.Str); p != nil {
		return p
	}
	if !rt.serves(c.req.model) {
		return unsuited(c.req.model, rt.path)
	}
	c.req.choices, p = integer(c.req.n, "n", 1, maxN, 1)
	return p
}

// tokenLimit sets the limit on output tokens from the field that bears it.
func (c *call) tokenLimit(field gjson.Result, name string) (p *problem) {
	c.req.limit, p = integer(field, name, 1, maxCount, maxCount)
	return p
}

// integer reads a whole number; absent and null are the fallback.
func integer(field gjson.Result, name string, low, high, fallback int) (int, *problem) {
	switch {
	case field.Type == gjson.Null:
		return fallback, nil
	case field.Type != gjson.Number || field.Num != float64(int64(field.Num)):
		return 0, wrongType(name, "an integer")
	case field.Num < float64(low):
		return 0, badRequest(name, "integer_below_min_value", "Invalid '%s': use %d or more.", name, low)
	case field.Num > float64(high):
		return 0, badRequest(name, "integer_above_max_value", "Invalid '%s': use %d or less.", name, high)
	}
	return int(field.Num), nil
}
