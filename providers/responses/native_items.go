package responses

import (
	"slices"

	"github.com/tidwall/gjson"
)

// readable checks the shape of an upstream's own response: it must say something, and what it says must be items.
func readable(root gjson.Result) error {
	output := root.Get("output")
	said := slices.ContainsFunc([]string{"status", "output", "error", "incomplete_details"}, func(name string) bool { return given(root.Get(name)) })
	switch {
	case !root.IsObject() || !said:
		return Unreadable("is no response")
	case given(output) && !output.IsArray():
		return Unreadable("has an output that is no list of items")
	}
	for _, item := range output.Array() {
		switch {
		case !item.IsObject():
			return Unreadable("has an output with what is no item")
		case item.Get("type").Str == "function_call" && item.Get("name").Str == "":
			return Unreadable("calls a function without naming it")
		}
	}
	return nil
}

// wholeItem gives an upstream's item the members that OpenAI's document requires and some upstreams leave out, or null.
// Of types that are only passed on, all bytes stay as they are.
func wholeItem(item []byte, status string, id NewID) []byte {
	v := gjson.ParseBytes(item)
	made := func(name, prefix string) fact {
		if v := v.Get(name); given(v) {
			return fact{name, v.Raw}
		}
		return fact{name, quote(id(prefix))}
	}
	switch typ := v.Get("type"); {
	case typ.Str == "message", !given(typ) && given(v.Get("content")):
		return wholeMessage(item, status, made("id", "msg_"))
	case typ.Str == "function_call":
		return fill(item, made("id", "fc_"), fact{"status", quote(status)}, made("call_id", "call_"), fact{"arguments", `""`})
	case typ.Str == "reasoning":
		return fill(item, made("id", "rs_"), fact{"summary", "[]"})
	}
	return item
}

func wholeMessage(item []byte, status string, id fact) []byte {
	item = edit(item, func(key string, value gjson.Result) (string, bool) {
		if key != "content" || !given(value) {
			return "", true
		}
		return replaced(key, value, shownContent(value, "assistant")), true
	})
	return fill(item, id, fact{"type", `"message"`}, fact{"role", `"assistant"`}, fact{"status", quote(status)}, fact{"content", "[]"})
}
