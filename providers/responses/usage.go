package responses

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// chatUsage is a chat completion's usage in a response's words. What it does not count is zero.
func chatUsage(v gjson.Result) []byte {
	input, output := v.Get("prompt_tokens").Int(), v.Get("completion_tokens").Int()
	total := v.Get("total_tokens").Int()
	if total == 0 {
		total = input + output
	}
	details := v.Get("prompt_tokens_details")
	b := strconv.AppendInt([]byte(`{"input_tokens":`), input, 10)
	b = strconv.AppendInt(append(b, `,"input_tokens_details":{"cached_tokens":`...), details.Get("cached_tokens").Int(), 10)
	b = strconv.AppendInt(append(b, `,"cache_write_tokens":`...), details.Get("cache_write_tokens").Int(), 10)
	b = strconv.AppendInt(append(b, `},"output_tokens":`...), output, 10)
	b = strconv.AppendInt(append(b, `,"output_tokens_details":{"reasoning_tokens":`...), v.Get("completion_tokens_details.reasoning_tokens").Int(), 10)
	b = strconv.AppendInt(append(b, `},"total_tokens":`...), total, 10)
	return append(b, '}')
}

// wholeUsage adds to a usage the details that OpenAI's document requires and some upstreams leave out.
func wholeUsage(v gjson.Result) []byte {
	if !v.IsObject() {
		return []byte("null")
	}
	out := edit([]byte(v.Raw), func(key string, value gjson.Result) (string, bool) {
		switch key {
		case "input_tokens_details":
			return string(member(key, withCounts(value, "cached_tokens", "cache_write_tokens"))), true
		case "output_tokens_details":
			return string(member(key, withCounts(value, "reasoning_tokens"))), true
		}
		return "", true
	})
	has := members(v)
	if _, there := has["input_tokens_details"]; !there {
		out = extend(out, []byte(`"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0}`))
	}
	if _, there := has["output_tokens_details"]; !there {
		out = extend(out, []byte(`"output_tokens_details":{"reasoning_tokens":0}`))
	}
	return out
}

func withCounts(v gjson.Result, names ...string) string {
	out := []byte("{}")
	if v.IsObject() {
		out = []byte(v.Raw)
	}
	has := members(v)
	for _, name := range names {
		if _, there := has[name]; !there {
			out = extend(out, member(name, "0"))
		}
	}
	return string(out)
}
