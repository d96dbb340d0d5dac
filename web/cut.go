package web

import (
	"slices"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

// ownKeys are Ringback's own top-level keys of POST /v1/generate. No provider sees them.
var ownKeys = submissionKeys("input")

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
	p.forward = rawjson.Edit(body, root, forProvider)
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
