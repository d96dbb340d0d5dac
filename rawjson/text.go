package rawjson

import (
	"strings"
	"unicode/utf8"
)

// Storable tells whether every database keeps a text as it is: UTF-8, and no NUL, which JSON can write as \u0000.
func Storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// Stored is a text as every database keeps it: without NUL, and with U+FFFD for what is not UTF-8.
func Stored(s string) string {
	if Storable(s) {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}
