package responses

import (
	"bytes"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

// edit asks about each top-level member of an object, see [rawjson.Edit].
func edit(object []byte, decide func(key string, value gjson.Result) (text string, keep bool)) []byte {
	return rawjson.Edit(object, gjson.ParseBytes(object), decide)
}

// extend appends members, "key":value with commas between, to an object.
func extend(object, members []byte) []byte {
	if len(members) == 0 {
		return object
	}
	at := bytes.LastIndexByte(object, '}')
	out := make([]byte, 0, len(object)+len(members)+1)
	out = append(out, object[:at]...)
	if hasMembers(object) {
		out = append(out, ',')
	}
	return append(append(out, members...), object[at:]...)
}

func hasMembers(object []byte) bool {
	some := false
	gjson.ParseBytes(object).ForEach(func(_, _ gjson.Result) bool {
		some = true
		return false
	})
	return some
}

// members are the top-level members of an object, by key; of a repeated key the first.
func members(object gjson.Result) map[string]gjson.Result {
	found := map[string]gjson.Result{}
	object.ForEach(func(key, value gjson.Result) bool {
		if _, twice := found[key.String()]; !twice {
			found[key.String()] = value
		}
		return true
	})
	return found
}

// member renders "key":value. The key needs no escapes.
func member(key string, value string) []byte {
	b := make([]byte, 0, len(key)+len(value)+3)
	b = append(append(b, '"'), key...)
	return append(append(b, `":`...), value...)
}

// given tells whether a member is there and not null.
func given(v gjson.Result) bool { return v.Type != gjson.Null }

// join puts commas between values and brackets around them.
func join(values [][]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(values, []byte{','})...), ']')
}

// elements are the values of an array, each with its own bytes.
func elements(array gjson.Result) [][]byte {
	var found [][]byte
	array.ForEach(func(_, value gjson.Result) bool {
		found = append(found, []byte(value.Raw))
		return true
	})
	return found
}
