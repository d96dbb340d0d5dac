package responses

import "github.com/tidwall/gjson"

// fact is a member that an object must have, and the value, as JSON, that it has where it says nothing.
type fact struct{ key, value string }

// fill gives an object the members that it lacks; null counts as lacking. All other bytes stay as they are.
func fill(object []byte, facts ...fact) []byte {
	has := members(gjson.ParseBytes(object))
	lacks := map[string]string{}
	for _, f := range facts {
		if !given(has[f.key]) {
			lacks[f.key] = f.value
		}
	}
	if len(lacks) == 0 {
		return object
	}
	object = edit(object, func(key string, value gjson.Result) (string, bool) {
		if fallback, lacking := lacks[key]; lacking && !given(value) {
			return string(member(key, fallback)), true
		}
		return "", true
	})
	for _, f := range facts {
		if _, there := has[f.key]; !there {
			object = extend(object, member(f.key, f.value))
		}
	}
	return object
}

// filled is an array whose elements are changed one by one; where none is, it keeps its bytes.
func filled(array gjson.Result, change func(element []byte) []byte) string {
	parts := elements(array)
	changed := false
	for i, part := range parts {
		parts[i] = change(part)
		changed = changed || string(part) != string(parts[i])
	}
	if array.IsArray() && !changed {
		return array.Raw
	}
	return string(join(parts))
}

// replaced is what [edit] puts in a member's place: nothing, so that it keeps its bytes, where the value is the same.
func replaced(key string, was gjson.Result, value string) string {
	if value == was.Raw {
		return ""
	}
	return string(member(key, value))
}
