package responses

import "github.com/tidwall/gjson"

// Settings is an object of what a response repeats of its request, with OpenAI's defaults for what the request left out.
// It is made when the request is taken and kept: a response shows it in every state.
func (r *Request) Settings() []byte {
	list := join([][]byte{
		member("instructions", r.raw("instructions", "null")),
		member("max_output_tokens", r.raw("max_output_tokens", "null")),
		member("max_tool_calls", r.raw("max_tool_calls", "null")),
		member("metadata", r.raw("metadata", "{}")),
		member("parallel_tool_calls", r.raw("parallel_tool_calls", "true")),
		member("previous_response_id", quoteOrNull(r.Previous)),
		member("prompt_cache_key", r.raw("prompt_cache_key", "null")),
		member("reasoning", r.raw("reasoning", `{"effort":null,"summary":null}`)),
		member("safety_identifier", r.raw("safety_identifier", "null")),
		member("service_tier", r.raw("service_tier", `"auto"`)),
		member("store", "true"),
		member("temperature", r.raw("temperature", "1")),
		member("text", r.shownText()),
		member("tool_choice", r.raw("tool_choice", `"auto"`)),
		member("tools", r.shownTools()),
		member("top_logprobs", r.raw("top_logprobs", "0")),
		member("top_p", r.raw("top_p", "1")),
		member("truncation", r.raw("truncation", `"disabled"`)),
		member("user", r.raw("user", "null")),
	})
	list[0], list[len(list)-1] = '{', '}'
	return list
}

// Defaults are the settings of a request that said nothing but its metadata; nil for none.
func Defaults(metadata []byte) []byte {
	r := &Request{members: map[string]gjson.Result{}}
	if len(metadata) > 0 {
		r.members["metadata"] = gjson.ParseBytes(metadata)
	}
	return r.Settings()
}

func (r *Request) shownText() string {
	v := r.members["text"]
	const plain = `"format":{"type":"text"}`
	switch {
	case !given(v):
		return "{" + plain + "}"
	case given(v.Get("format")):
		return v.Raw
	}
	out := edit([]byte(v.Raw), func(key string, _ gjson.Result) (string, bool) { return "", key != "format" })
	return string(extend(out, []byte(plain)))
}

// shownTools are the request's tools. A function always shows its parameters and whether it is strict: null is what the
// request did not say.
func (r *Request) shownTools() string {
	tools := elements(r.members["tools"])
	for i, tool := range tools {
		has := members(gjson.ParseBytes(tool))
		if has["type"].Str != "function" {
			continue
		}
		for _, name := range []string{"parameters", "strict"} {
			if _, there := has[name]; !there {
				tools[i] = extend(tools[i], member(name, "null"))
			}
		}
	}
	return string(join(tools))
}
