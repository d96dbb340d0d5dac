package e2e

import (
	"strings"

	"pgregory.net/rapid"
)

// Generators of JSON as clients and providers write it: what a parser in between would change (big and odd numbers,
// repeated and empty keys, escapes, white space, lone surrogates) is what they prefer.

var spaces = rapid.SampledFrom([]string{"", "", "", " ", "\t", "  "})

// spacesAndLines may break lines too: legal between the tokens of an answer, not in a batch line.
var spacesAndLines = rapid.SampledFrom([]string{"", "", " ", "\n", "\r\n", "\n  ", "\t"})

var numbers = rapid.SampledFrom([]string{
	"0", "-0", "0.0", "1", "-1", "1.0", "1e400", "-1E+999", "1e-400", "123456789012345678901234567890",
	"9007199254740993", "0.1000000000000000055511151231257827", "1E0", "2.50",
})

var pieces = rapid.SampledFrom([]string{
	"a", "Z", " ", "é", "日本", "😀", `\u00e9`, `\ud83d\ude00`, `\ud800`, `\u0000`, `\n`, `\/`, "/", `\"`, `\\`, "<", ">", "&",
	`\u003c`, "\u2028", "\u200b", `\u2028`, "body", "{", "}", "]", ",", ":", "\x7f",
})

// text is a quoted string.
var text = rapid.Custom(func(t *rapid.T) string {
	return `"` + strings.Join(rapid.SliceOfN(pieces, 0, 6).Draw(t, "pieces"), "") + `"`
})

// keys repeat often and are never ones that Ringback reads.
var keys = rapid.Custom(func(t *rapid.T) string {
	known := []string{`"temperature"`, `"seed"`, `"k"`, `""`, `"logit_bias"`, `"Model"`, `"custom_id"`, `"a.b"`, `"#"`, `"*"`, `"é"`, `"\u00e9"`, `"max_tokens"`, `"usage"`}
	return rapid.SampledFrom(known).Draw(t, "key")
})

// value is any JSON with this white space, nested a few levels.
func value(space *rapid.Generator[string], depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		kind := rapid.IntRange(0, 5).Draw(t, "kind")
		if depth == 0 {
			kind %= 4
		}
		switch kind {
		case 0:
			return numbers.Draw(t, "number")
		case 1, 2:
			return text.Draw(t, "text")
		case 3:
			return rapid.SampledFrom([]string{"null", "true", "false"}).Draw(t, "word")
		case 4:
			items := rapid.SliceOfN(value(space, depth-1), 0, 3).Draw(t, "items")
			return "[" + spread(t, space, items) + "]"
		}
		return object(t, space, members(space, depth-1, 3).Draw(t, "members"))
	})
}

// members are "key": value texts.
func members(space *rapid.Generator[string], depth, most int) *rapid.Generator[[]string] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
		return keys.Draw(t, "key") + space.Draw(t, "before") + ":" + space.Draw(t, "after") + value(space, depth).Draw(t, "value")
	}), 0, most)
}

// object encloses members, with white space around each.
func object(t *rapid.T, space *rapid.Generator[string], members []string) string {
	return "{" + spread(t, space, members) + "}"
}

func spread(t *rapid.T, space *rapid.Generator[string], items []string) string {
	out := space.Draw(t, "lead")
	for i, item := range items {
		if i > 0 {
			out += space.Draw(t, "before comma") + "," + space.Draw(t, "after comma")
		}
		out += item
	}
	return out + space.Draw(t, "tail")
}

// request is a chat request's body: any members, with model and messages somewhere between them.
var request = rapid.Custom(func(t *rapid.T) string {
	return object(t, spaces, chatMembers(t, spaces))
})

func chatMembers(t *rapid.T, space *rapid.Generator[string]) []string {
	all := members(space, 3, 6).Draw(t, "members")
	all = insert(t, all, `"model"`+space.Draw(t, "before")+`:"m"`)
	content := text.Draw(t, "content")
	return insert(t, all, `"messages":[`+space.Draw(t, "in")+`{"content":`+content+`,"role":"user"}]`)
}

func insert(t *rapid.T, all []string, one string) []string {
	at := rapid.IntRange(0, len(all)).Draw(t, "at")
	return append(append(append([]string(nil), all[:at]...), one), all[at:]...)
}

// providerAnswer is a 2xx body: any object.
var providerAnswer = rapid.Custom(func(t *rapid.T) string {
	return spacesAndLines.Draw(t, "lead") + object(t, spacesAndLines, members(spacesAndLines, 3, 6).Draw(t, "answer")) + spacesAndLines.Draw(t, "tail")
})
