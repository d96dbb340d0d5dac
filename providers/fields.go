package providers

import (
	"encoding/json"
	"math"
	"strings"

	"github.com/tidwall/gjson"
)

// fields reads an object that an upstream wrote. What is missing or null is the
// zero value, and so is what has another type than expected; the first such is
// kept in wrong. What it returns shares no memory with the answer.
type fields struct {
	object gjson.Result
	wrong  string
}

func (f *fields) get(name string, want gjson.Type) (gjson.Result, bool) {
	value := f.object.Get(name)
	switch {
	case value.Type == gjson.Null: // or missing
		return value, false
	case value.Type != want:
		f.miss(name)
		return value, false
	}
	return value, true
}

func (f *fields) miss(name string) {
	if f.wrong == "" {
		f.wrong = name
	}
}

func (f *fields) text(name string) string {
	value, ok := f.get(name, gjson.String)
	if !ok {
		return ""
	}
	return strings.Clone(value.Str)
}

// id reads a name that will be kept and asked for again.
func (f *fields) id(name string) string {
	id := f.text(name)
	if id != "" && !usable(id) {
		f.miss(name)
		return ""
	}
	return id
}

// number reads a whole number, also where it is written 12.0 or 1.2e1.
func (f *fields) number(name string) int64 {
	value, ok := f.get(name, gjson.Number)
	if !ok {
		return 0
	}
	if math.Abs(value.Num) > 1<<53 || value.Num != math.Trunc(value.Num) {
		f.miss(name)
		return 0
	}
	return int64(value.Num)
}

// ids reads an array of IDs.
func (f *fields) ids(name string) []string {
	value, ok := f.get(name, gjson.JSON)
	if !ok {
		return nil
	}
	if !value.IsArray() {
		f.miss(name)
		return nil
	}
	var found []string
	for _, item := range value.Array() {
		if item.Type != gjson.String || !usable(item.Str) {
			f.miss(name)
			continue
		}
		found = append(found, strings.Clone(item.Str))
	}
	return found
}

// raw reads an object as it is written.
func (f *fields) raw(name string) json.RawMessage {
	value, ok := f.get(name, gjson.JSON)
	if !ok {
		return nil
	}
	if !value.IsObject() {
		f.miss(name)
		return nil
	}
	return json.RawMessage(value.Raw)
}
