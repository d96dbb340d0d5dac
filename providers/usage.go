package providers

import (
	"unsafe"

	"github.com/tidwall/gjson"
)

// Usage counts the tokens of one call, or of several added up. CachedTokens are
// part of InputTokens, ReasoningTokens of OutputTokens.
type Usage struct {
	InputTokens     int64
	CachedTokens    int64
	OutputTokens    int64
	ReasoningTokens int64
	TotalTokens     int64
}

// Add returns the sum of both.
func (u Usage) Add(v Usage) Usage {
	return Usage{
		InputTokens:     u.InputTokens + v.InputTokens,
		CachedTokens:    u.CachedTokens + v.CachedTokens,
		OutputTokens:    u.OutputTokens + v.OutputTokens,
		ReasoningTokens: u.ReasoningTokens + v.ReasoningTokens,
		TotalTokens:     u.TotalTokens + v.TotalTokens,
	}
}

// findings is what one pass over a 2xx body tells.
type findings struct {
	usage  Usage
	failed bool // a top-level "error" that is not null
}

// scan passes once over the top level of body, which must be valid JSON. It is
// false if that is no object.
func scan(body []byte) (findings, bool) {
	var found findings
	// The string shares body's bytes to spare a copy of the answer. Nothing
	// writes to body, and nothing parsed from the string outlives this call.
	object := gjson.Parse(unsafe.String(unsafe.SliceData(body), len(body)))
	if !object.IsObject() {
		return found, false
	}
	object.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "error":
			found.failed = found.failed || value.Type != gjson.Null
		case "usage":
			found.usage = readUsage(value)
		}
		return true
	})
	return found, true
}

// readUsage knows the names of chat completions, completions and embeddings
// (prompt_tokens, completion_tokens) and of responses (input_tokens,
// output_tokens). A missing total is the sum of both.
func readUsage(object gjson.Result) Usage {
	var u Usage
	if !object.IsObject() {
		return u
	}
	object.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "prompt_tokens", "input_tokens":
			u.InputTokens = count(value)
		case "completion_tokens", "output_tokens":
			u.OutputTokens = count(value)
		case "total_tokens":
			u.TotalTokens = count(value)
		case "prompt_tokens_details", "input_tokens_details":
			u.CachedTokens = count(value.Get("cached_tokens"))
		case "completion_tokens_details", "output_tokens_details":
			u.ReasoningTokens = count(value.Get("reasoning_tokens"))
		}
		return true
	})
	if u.TotalTokens == 0 {
		u.TotalTokens = u.InputTokens + u.OutputTokens
	}
	return u
}

// maxCount keeps sums over many calls from overflowing on a nonsense number.
const maxCount = 1 << 40

func count(value gjson.Result) int64 {
	if value.Type != gjson.Number || !(value.Num > 0) || value.Num > maxCount {
		return 0
	}
	return int64(value.Num)
}
