package rawjson

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestValid(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for text, want := range map[string]bool{
		`{"a":1}`: true, `"x"`: true, ` [1, 2] `: true, `{"a":1,"a":12345678901234567890}`: true,
		``: false, `{`: false, `{"a":1}}`: false, "\"\xff\"": false, "\"\x00\"": false,
		nested(MaxDepth): true, nested(MaxDepth + 1): false,
		`"` + strings.Repeat("[", MaxDepth+1) + `"`:       true,
		`["\"` + strings.Repeat("[", MaxDepth+1) + `\""]`: true,
		strings.Repeat("[", 10<<20):                       false,
	} {
		require.Equal(t, want, Valid([]byte(text)), "%.40s", text)
	}
}

// FuzzValid compares with the standard library, which agrees on everything but UTF-8: it repairs what is not.
func FuzzValid(f *testing.F) {
	f.Add([]byte(`{"a":[1,"\"[",{}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		require.Equal(t, json.Valid(b) && utf8.Valid(b), Valid(b), "%q", b)
	})
}
