package providers

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

// Bounds of what is taken over of a fine-tuning, in bytes. They are far above what
// providers write.
const (
	mostProse   = 2000
	mostWord    = 200
	mostData    = 16 << 10
	mostModel   = 256
	mostResults = 10 // files
)

// leftOut stands for a text of the provider's that repeats one of its keys.
const leftOut = "(left out: the provider's text repeats its key)"

// safeFields reads what a client will see of an object that an upstream wrote: nothing
// that repeats a configured key, and nothing without a bound.
type safeFields struct {
	fields
	p *Provider
}

func (p *Provider) safe(object gjson.Result) *safeFields {
	return &safeFields{fields: fields{object: object}, p: p}
}

// text is one that every database keeps. What is taken out of it may have hidden a key.
func (f *safeFields) text(name string) string { return rawjson.Stored(f.fields.text(name)) }

// prose is a text for people; what is too long ends early.
func (f *safeFields) prose(name string) string {
	text := f.text(name)
	if f.p.repeatsKey(text) {
		return leftOut
	}
	return cut(text, mostProse)
}

// word is a short text for programs, like a code or a level.
func (f *safeFields) word(name string) string {
	text := f.text(name)
	if f.p.repeatsKey(text) {
		return ""
	}
	return cut(text, mostWord)
}

// id reads as [fields.id] does.
func (f *safeFields) id(name string) string {
	id := f.fields.id(name)
	if f.p.repeatsKey(id) {
		return ""
	}
	return id
}

// model is a model's name; one that is too long is none.
func (f *safeFields) model(name string) string {
	if id := f.id(name); len(id) <= mostModel {
		return id
	}
	return ""
}

// data is an object as it is written; nil for one that is too long.
func (f *safeFields) data(name string) json.RawMessage {
	raw := f.raw(name)
	if len(raw) > mostData || f.p.repeatsKeyIn(gjson.ParseBytes(raw)) {
		return nil
	}
	return raw
}

// repeatsKey tells whether a text holds one of the configured keys.
func (p *Provider) repeatsKey(text string) bool {
	for _, secret := range p.secrets {
		if bytes.Contains([]byte(text), secret) {
			return true
		}
	}
	return false
}

// repeatsKeyIn looks into each name and text of a value, as escapes would hide a key
// from a look at its bytes.
func (p *Provider) repeatsKeyIn(value gjson.Result) (found bool) {
	if !value.IsObject() && !value.IsArray() {
		return p.repeatsKey(value.String())
	}
	value.ForEach(func(name, inner gjson.Result) bool {
		found = p.repeatsKey(name.String()) || p.repeatsKeyIn(inner)
		return !found
	})
	return found
}

// lacks tells whether an upstream lacks what was asked for.
func lacks(err error) bool {
	e := AsError(err)
	if e == nil {
		return false
	}
	switch e.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	}
	return false
}
