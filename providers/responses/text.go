package responses

import (
	"encoding/json"

	"github.com/tidwall/gjson"
)

// quote renders a string of our own as JSON.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // no string fails
	}
	return string(b)
}

// quoteOrNull is null for the empty string.
func quoteOrNull(s string) string {
	if s == "" {
		return "null"
	}
	return quote(s)
}

// text is a JSON string that grows. It keeps what stood between the quotes with its escapes, so that an escape that was
// cut in two between pieces (a surrogate pair) is whole again, and nothing changes.
type text []byte

// add appends a JSON string's inside.
func (t *text) add(v gjson.Result) {
	if v.Type == gjson.String && len(v.Raw) >= 2 {
		*t = append(*t, v.Raw[1:len(v.Raw)-1]...)
	}
}

// json is the string with its quotes.
func (t text) json() string { return `"` + string(t) + `"` }
