package responses

import "github.com/tidwall/gjson"

// chatNames are the parameters that chat completions know too, with their names there. Their values are moved. metadata
// is not among them: it is kept here, and an upstream that keeps no completions refuses it, as OpenAI's own does.
var chatNames = [][2]string{
	{"max_output_tokens", "max_completion_tokens"},
	{"reasoning.effort", "reasoning_effort"},
	{"text.verbosity", "verbosity"},
	{"temperature", "temperature"},
	{"top_p", "top_p"},
	{"user", "user"},
	{"service_tier", "service_tier"},
	{"prompt_cache_key", "prompt_cache_key"},
	{"safety_identifier", "safety_identifier"},
}

// Chat is a kept body as an upstream that speaks only chat completions gets it. Keys that responses do not know are
// forwarded; what would change the answer and has no counterpart is refused with a *[Problem] that names it. Parameters
// that bound the built-in tools (max_tool_calls) or an overlong input (truncation) have nothing to act on and are dropped.
func Chat(body []byte, stream bool) ([]byte, error) {
	root := gjson.ParseBytes(body)
	r := &Request{members: members(root)}
	if given(r.members["prompt"]) {
		return nil, untranslatable("prompt", "Prompt templates are")
	}
	if p := oneAnswer(root); p != nil {
		return nil, p
	}
	messages, p := r.messages()
	if p != nil {
		return nil, p
	}
	out := []byte(`{"model":` + r.raw("model", `""`) + `,"messages":`)
	out = append(append(out, join(messages)...), '}')
	out = extend(out, r.settings())
	tools, p := r.chatTools()
	if p != nil {
		return nil, p
	}
	out = extend(out, tools)
	out = extend(out, unknown(root, out))
	if stream {
		out = extend(out, []byte(`"stream":true,"stream_options":{"include_usage":true}`))
	}
	return out, nil
}

// oneAnswer refuses n, which responses do not know and chat completions do: all answers but the first would be paid for
// and lost.
func oneAnswer(root gjson.Result) (p *Problem) {
	root.ForEach(func(key, n gjson.Result) bool {
		if key.String() == "n" && given(n) && n.Raw != "1" {
			p = problem(codeUnsupported, "n", "Unsupported parameter: 'n'. A response has one answer. Leave 'n' out, and create as many responses as you want answers.")
		}
		return p == nil
	})
	return p
}

// untranslatable refuses what chat completions have no word for.
func untranslatable(param, what string) *Problem {
	return problem(codeUnsupported, param, "%s not supported with this model: its provider speaks chat completions only. Leave it out, or use a model whose provider speaks responses.", what)
}

// settings are the members of a chat request besides messages and tools.
func (r *Request) settings() []byte {
	var found [][]byte
	for _, name := range chatNames {
		if v := r.path(name[0]); given(v) {
			found = append(found, member(name[1], v.Raw))
		}
	}
	if r.wantsLogprobs() {
		found = append(found, []byte(`"logprobs":true`))
	}
	if v := r.members["top_logprobs"]; v.Int() > 0 {
		found = append(found, member("top_logprobs", v.Raw))
	}
	if format := chatFormat(r.members["text"].Get("format")); format != "" {
		found = append(found, member("response_format", format))
	}
	list := join(found)
	return list[1 : len(list)-1]
}

// path finds a parameter, or one within another.
func (r *Request) path(name string) gjson.Result {
	for outer, v := range r.members {
		if outer == name {
			return v
		}
		if len(name) > len(outer) && name[:len(outer)] == outer && name[len(outer)] == '.' {
			return v.Get(name[len(outer)+1:])
		}
	}
	return gjson.Result{}
}

// chatFormat is text.format as response_format; plain text is the default and needs none.
func chatFormat(format gjson.Result) string {
	switch format.Get("type").Str {
	case "json_object":
		return `{"type":"json_object"}`
	case "json_schema":
		return `{"type":"json_schema","json_schema":` + pick(format, "name", "description", "schema", "strict") + `}`
	}
	return ""
}

// pick is an object of those members that are there and not null.
func pick(object gjson.Result, names ...string) string {
	has := members(object)
	var found [][]byte
	for _, name := range names {
		if v := has[name]; given(v) {
			found = append(found, member(name, v.Raw))
		}
	}
	list := join(found)
	return "{" + string(list[1:len(list)-1]) + "}"
}

// unknown are the members of a request that responses do not know, as they came, but for those that a translation has
// written already: an upstream would have to guess which one counts.
func unknown(root gjson.Result, written []byte) []byte {
	has := members(gjson.ParseBytes(written))
	var found [][]byte
	root.ForEach(func(key, value gjson.Result) bool {
		_, known := rules[key.String()]
		if _, there := has[key.String()]; !known && !there {
			found = append(found, []byte(key.Raw+":"+value.Raw))
		}
		return true
	})
	list := join(found)
	return list[1 : len(list)-1]
}
