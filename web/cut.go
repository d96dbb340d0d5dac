package web

import (
	"slices"

	"github.com/tidwall/gjson"
)

// ownKeys are Ringback's own top-level keys of POST /v1/generate. No provider sees them.
var ownKeys = []string{"input", "webhook", "webhook_ids", "metadata", "run_at", "priority"}

// readKeys are the provider's keys that Ringback reads too. They are forwarded as they came.
var readKeys = []string{"model", "messages", "stream"}

// pieces is a generate body taken apart.
type pieces struct {
	own     map[string]gjson.Result // ownKeys and readKeys that are there
	forward []byte                  // the body for the provider
}

// cut takes Ringback's own keys out of a body's bytes and leaves everything else byte for byte as it came: order,
// white space, number forms, repeated keys of others. "input" becomes "messages" in its place: an array as it is, any
// other value as the content of one user message (the caller refuses what is no string).
//
// A repeated key is an error where Ringback reads it: which of two values counts would be a guess, and a provider may
// guess otherwise.
func cut(body []byte) (pieces, error) {
	root, err := parseBody(body)
	if err != nil {
		return pieces{}, err
	}
	p := pieces{own: map[string]gjson.Result{}}
	root.ForEach(func(key, value gjson.Result) bool {
		name := key.String()
		if !slices.Contains(ownKeys, name) && !slices.Contains(readKeys, name) {
			return true
		}
		if _, twice := p.own[name]; twice {
			err = repeated(name)
		}
		p.own[name] = value
		return err == nil
	})
	if err != nil {
		return pieces{}, err
	}
	p.forward = edit(body, root, forProvider)
	return p, nil
}

// forProvider says what stands in a member's place in the forwarded body.
func forProvider(key string, value gjson.Result) (text string, keep bool) {
	switch {
	case key == "input" && value.IsArray():
		return `"messages":` + value.Raw, true
	case key == "input" && value.Type != gjson.Null:
		return `"messages":[{"role":"user","content":` + value.Raw + `}]`, true
	}
	return "", !slices.Contains(ownKeys, key)
}

// edit copies an object and asks about each top-level member: it is left out, or kept, or replaced by a text. A kept
// member brings the separator before it along; all other bytes stay as they are.
func edit(body []byte, root gjson.Result, decide func(key string, value gjson.Result) (text string, keep bool)) []byte {
	out := make([]byte, 0, len(body)+len(`"messages":[{"role":"user","content":}]`))
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
