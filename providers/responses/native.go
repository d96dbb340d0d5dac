package responses

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// relabelled are the members of an upstream's response that tell of its life there; ours stand in their place.
var relabelled = []string{
	"id", "object", "created_at", "completed_at", "status", "background", "store", "previous_response_id", "metadata",
	"instructions", "error",
}

// neverNull are the members of a response for which OpenAI's document allows no null.
var neverNull = []string{"model", "output", "tools", "tool_choice", "parallel_tool_calls", "text"}

// FromNative completes a response with an upstream's own response object: it gets our identity and life, and what it
// lacks of the members that OpenAI's document requires, of its items and its usage too; null counts as lacking where a
// value is required. All other bytes stay as they are. The state is Completed, Incomplete or Failed. The error is
// [Unreadable], for a body that is no response or one that has not ended.
func FromNative(o Object, body []byte, id NewID) (state string, object []byte, err error) {
	root := gjson.ParseBytes(body)
	if err := readable(root); err != nil {
		return "", nil, err
	}
	if err := o.judge(root); err != nil {
		return "", nil, err
	}
	own := members(gjson.ParseBytes(o.JSON()))
	out := edit(body, func(key string, value gjson.Result) (string, bool) {
		switch {
		case slices.Contains(relabelled, key):
			return string(member(key, own[key].Raw)), true
		case key == "output_text":
			return "", false
		case slices.Contains(neverNull, key) && !given(value):
			return string(member(key, own[key].Raw)), true
		case key == "output":
			return replaced(key, value, filled(value, func(item []byte) []byte { return wholeItem(item, o.Status, id) })), true
		case key == "usage":
			return replaced(key, value, string(wholeUsage(value))), true
		}
		return "", true
	})
	return o.Status, extend(out, lacking(o, root)), nil
}

// lacking are the members of our own rendering that an upstream's response does not have.
func lacking(o Object, root gjson.Result) []byte {
	has := members(root)
	var found [][]byte
	gjson.ParseBytes(o.JSON()).ForEach(func(key, value gjson.Result) bool {
		if _, there := has[key.String()]; !there {
			found = append(found, member(key.String(), value.Raw))
		}
		return true
	})
	list := join(found)
	return list[1 : len(list)-1]
}

// judge takes an upstream's state. One that names none has its state by what it holds; one that says that it is not done
// yet was not asked to run in the background, and one that was cancelled there was not cancelled by us: both are no answer.
func (o *Object) judge(root gjson.Result) error {
	o.Status = root.Get("status").Str
	switch {
	case o.Status == "" && root.Get("error").IsObject():
		o.Status = Failed
	case o.Status == "" && root.Get("incomplete_details").IsObject():
		o.Status = Incomplete
	case o.Status == "":
		o.Status = Completed
	}
	switch o.Status {
	case Completed, Incomplete:
		o.Reason = root.Get("incomplete_details.reason").Str
	case Failed:
		o.Error = failureIn(root.Get("error"))
	default:
		return Unreadable("ended in the state '" + shorten(o.Status) + "'")
	}
	return nil
}

// codes is OpenAI's closed list.
var codes = []string{
	ServerError, RateLimitExceeded, InvalidPrompt, "data_residency_mismatch", "bio_policy", "vector_store_timeout",
	"invalid_image", "invalid_image_format", "invalid_base64_image", "invalid_image_url", "image_too_large",
	"image_too_small", "image_parse_error", "image_content_policy_violation", "invalid_image_mode",
	"image_file_too_large", "unsupported_image_media_type", "empty_image_file", "failed_to_download_image",
	"image_file_not_found",
}

// Listed tells whether a code is on OpenAI's closed list.
func Listed(code string) bool { return slices.Contains(codes, code) }

// failureIn reads an upstream's error, {"code","message"}. A code that is not on the list becomes the nearest that is.
func failureIn(v gjson.Result) Failure {
	f := Failure{Code: v.Get("code").Str, Message: v.Get("message").Str}
	if f.Message == "" {
		f.Message = "The provider could not answer."
	}
	switch {
	case Listed(f.Code):
	case strings.HasPrefix(f.Code, "rate_limit"):
		f.Code = RateLimitExceeded
	case strings.HasPrefix(f.Code, "invalid_"):
		f.Code = InvalidPrompt
	default:
		f.Code = ServerError
	}
	return f
}
