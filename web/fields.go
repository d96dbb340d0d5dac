package web

import (
	"slices"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// fields are the members of a JSON object whose keys are all known. A null is an absent member.
type fields struct {
	path    string // what stands before a key's name in errors: "output_expires_after."
	members map[string]gjson.Result
}

// readFields takes an object's members. Unknown keys and repeated ones are errors: neither may be dropped in silence.
func readFields(v gjson.Result, path string, known ...string) (fields, error) {
	f := fields{path: path, members: map[string]gjson.Result{}}
	var err error
	v.ForEach(func(key, value gjson.Result) bool {
		name := key.String()
		_, twice := f.members[name]
		switch {
		case !slices.Contains(known, name):
			err = jobs.Errorf(codeUnknownField, path+name, "Unknown parameter: '%s'.", path+name)
		case twice:
			err = repeated(path + name)
		}
		f.members[name] = value
		return err == nil
	})
	return f, err
}

func repeated(name string) error {
	return jobs.Errorf(jobs.CodeValue, name, "Duplicate parameter: '%s'. Give it once.", name)
}

// text reads a string; absent is empty.
func (f fields) text(key string) (string, error) {
	return readText(f.path+key, f.members[key])
}

func readText(name string, v gjson.Result) (string, error) {
	if v.Type == gjson.Null {
		return "", nil
	}
	if v.Type != gjson.String {
		return "", typeError(name, "a string", v)
	}
	if !storable(v.Str) {
		return "", jobs.Errorf(jobs.CodeValue, name, "Invalid value for '%s': it must be UTF-8 without NUL.", name)
	}
	return v.Str, nil
}

// truth reads a boolean; absent is the fallback.
func (f fields) truth(key string, fallback bool) (bool, error) {
	v := f.members[key]
	if v.Type == gjson.Null {
		return fallback, nil
	}
	if !v.IsBool() {
		return false, typeError(f.path+key, "a boolean", v)
	}
	return v.Bool(), nil
}

// given tells whether at least one of the keys is there and not null.
func (f fields) given(keys ...string) bool {
	for _, key := range keys {
		if f.members[key].Type != gjson.Null {
			return true
		}
	}
	return false
}

// readInteger reads a whole number that must be there, from least to most.
func readInteger(name string, v gjson.Result, least, most int64) (int64, error) {
	if v.Type == gjson.Null {
		return 0, missing(name)
	}
	n, err := strconv.ParseInt(v.Raw, 10, 64)
	if v.Type != gjson.Number || err != nil {
		return 0, typeError(name, "an integer", v)
	}
	return n, within(name, n, least, most)
}

func missing(name string) error {
	return jobs.Errorf(jobs.CodeMissing, name, "Missing required parameter: '%s'.", name)
}

func within(name string, n, least, most int64) error {
	switch {
	case n < least:
		return jobs.Errorf(codeBelow, name, "Invalid '%s': integer below minimum value. Expected a value >= %d, but got %d instead.", name, least, n)
	case n > most:
		return jobs.Errorf(codeAbove, name, "Invalid '%s': integer above maximum value. Expected a value <= %d, but got %d instead.", name, most, n)
	}
	return nil
}

func typeError(name, want string, got gjson.Result) error {
	return jobs.Errorf(jobs.CodeType, name, "Invalid type for '%s': expected %s, but got %s instead.", name, want, typeName(got))
}

func typeName(v gjson.Result) string {
	switch {
	case v.IsObject():
		return "an object"
	case v.IsArray():
		return "an array"
	case v.IsBool():
		return "a boolean"
	case v.Type == gjson.String:
		return "a string"
	case v.Type == gjson.Null:
		return "null"
	}
	if _, err := strconv.ParseInt(v.Raw, 10, 64); err == nil {
		return "an integer"
	}
	return "a number"
}
