package rawjson

import "github.com/tidwall/gjson"

// Edit copies an object and asks about each top-level member: it is left out, or kept, or replaced by a text that holds
// its key too. A kept member brings the separator before it along; all other bytes stay as they are. root is the parsed
// body, which must be a valid object.
func Edit(body []byte, root gjson.Result, decide func(key string, value gjson.Result) (text string, keep bool)) []byte {
	out := make([]byte, 0, len(body)+64)
	end, kept := root.Index+1, 0 // end of the member before
	root.ForEach(func(key, value gjson.Result) bool {
		begin, after := key.Index, value.Index+len(value.Raw)
		if end == root.Index+1 {
			out = append(out, body[:begin]...) // up to the first member, kept or not
		}
		if text, keep := decide(key.String(), value); keep {
			if kept++; kept > 1 {
				out = append(out, body[end:begin]...)
			}
			if text == "" {
				text = string(body[begin:after])
			}
			out = append(out, text...)
		}
		end = after
		return true
	})
	if end == root.Index+1 {
		return append(out, body...)
	}
	return append(out, body[end:]...)
}
