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

// wholeUsage adds to a usage the counts that OpenAI's document requires and some upstreams leave out, or null.
func wholeUsage(v gjson.Result) []byte {
	if !v.IsObject() {
		return []byte("null")
	}
	out := edit([]byte(v.Raw), func(key string, value gjson.Result) (string, bool) {
		switch {
		case !value.IsObject():
		case key == "input_tokens_details":
			return replaced(key, value, string(fill([]byte(value.Raw), fact{"cached_tokens", "0"}, fact{"cache_write_tokens", "0"}))), true
		case key == "output_tokens_details":
			return replaced(key, value, string(fill([]byte(value.Raw), fact{"reasoning_tokens", "0"}))), true
		}
		return "", true
	})
	total := strconv.FormatInt(v.Get("input_tokens").Int()+v.Get("output_tokens").Int(), 10)
	return fill(out, fact{"input_tokens", "0"}, fact{"input_tokens_details", `{"cached_tokens":0,"cache_write_tokens":0}`},
		fact{"output_tokens", "0"}, fact{"output_tokens_details", `{"reasoning_tokens":0}`}, fact{"total_tokens", total})
}
