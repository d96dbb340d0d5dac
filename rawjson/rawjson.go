// Package rawjson judges JSON that comes from outside, as bytes: nothing here decodes. Whoever reads a body, a batch line
// or a provider's answer asks here first, because parsers recurse and a stack is finite: ten megabytes of brackets
// would end the process.
package rawjson

import (
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// MaxDepth is how deep a value may nest; it is encoding/json's own limit.
const MaxDepth = 10_000

// Valid tells whether b is one JSON value in UTF-8 (RFC 8259), no deeper than MaxDepth.
func Valid(b []byte) bool { return !TooDeep(b) && utf8.Valid(b) && gjson.ValidBytes(b) }

// TooDeep tells whether a value nests deeper than MaxDepth. It reads any bytes, valid or not.
func TooDeep(b []byte) bool { return Deeper(b, MaxDepth) }

// Deeper counts brackets outside of strings. It reads any bytes, valid or not.
func Deeper(b []byte, most int) bool {
	depth, inString := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{', c == '[':
			if depth++; depth > most {
				return true
			}
		case c == '}', c == ']':
			depth--
		}
	}
	return false
}
