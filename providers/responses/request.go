package responses

import (
	"slices"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

// Request is the checked body of a POST /v1/responses.
type Request struct {
	Model      string
	Background bool
	Store      bool   // true unless it says false
	Stream     bool   // the client wants to see it grow
	Previous   string // previous_response_id; empty for none
	Metadata   []byte // an object of strings, as it came; nil for none

	members map[string]gjson.Result
}

// Parse reads and checks a body. It looks at what OpenAI documents; keys that it does not know are let through and go to
// the upstream, which judges them. The error is a *[Problem].
func Parse(body []byte) (*Request, error) {
	if !rawjson.Valid(body) {
		return nil, problem(codeValue, "", "We could not parse the JSON body of your request. The API expects a JSON payload in UTF-8, but what was sent was not valid JSON.")
	}
	root := gjson.ParseBytes(body)
	if !root.IsObject() {
		return nil, problem(codeType, "", "Invalid type for the request body: expected an object, but got %s instead.", kind(root))
	}
	r := &Request{members: map[string]gjson.Result{}}
	if p := r.read(root); p != nil {
		return nil, p
	}
	if p := r.agree(); p != nil {
		return nil, p
	}
	return r, nil
}

// read takes the members, each by its rule. A known key that is repeated is refused: which of two values counts would be
// a guess, and the upstream may guess otherwise.
func (r *Request) read(root gjson.Result) *Problem {
	var p *Problem
	root.ForEach(func(key, value gjson.Result) bool {
		name := key.String()
		check, known := rules[name]
		if !known {
			return true
		}
		if _, twice := r.members[name]; twice {
			p = problem(codeValue, name, "Duplicate parameter: '%s'. Give it once.", name)
			return false
		}
		r.members[name] = value
		if given(value) {
			p = check(name, value)
		}
		return p == nil
	})
	return p
}

// agree checks what must be there, and what goes together.
func (r *Request) agree() *Problem {
	r.Model, r.Previous = r.members["model"].Str, r.members["previous_response_id"].Str
	r.Background, r.Stream = r.members["background"].Bool(), r.members["stream"].Bool()
	r.Store = r.members["store"].Type != gjson.False
	if m := r.members["metadata"]; given(m) {
		r.Metadata = []byte(m.Raw)
	}
	for _, name := range []string{"model", "input"} {
		if !given(r.members[name]) {
			return missing(name)
		}
	}
	switch conversation := given(r.members["conversation"]); {
	case r.Model == "":
		return problem(codeValue, "model", "Invalid value for 'model': it is empty. Name a model.")
	case conversation && r.Previous != "":
		return problem(codeUnsupported, "conversation", "'conversation' cannot be used together with 'previous_response_id'. Give one of them.")
	case conversation:
		return problem(codeUnsupported, "conversation", "Unsupported parameter: 'conversation'. Conversations are not kept here; continue one with 'previous_response_id'.")
	case r.Background && !r.Store:
		return problem(codeUnsupported, "store", "A response in the background requires 'store' to be true: it is fetched later. Leave 'store' out.")
	}
	return nil
}

// raw is a member's bytes, or the fallback where it is absent or null.
func (r *Request) raw(name, fallback string) string {
	if v := r.members[name]; given(v) {
		return v.Raw
	}
	return fallback
}

// wantsLogprobs tells whether the answer shall name the odds of its tokens.
func (r *Request) wantsLogprobs() bool {
	return r.members["top_logprobs"].Int() > 0 || slices.ContainsFunc(r.members["include"].Array(), func(v gjson.Result) bool {
		return v.Str == "message.output_text.logprobs"
	})
}
