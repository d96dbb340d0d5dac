package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestCut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ body, want string }{
		"nothing":        {"{}", "{}"},
		"space":          {" \n{ }\t", " \n{ }\t"},
		"only own":       {`{ "webhook" : 1 , "metadata":{} }`, `{  }`},
		"first":          {`{"webhook":1, "a":2}`, `{"a":2}`},
		"last":           {`{"a":2 , "webhook":1 }`, `{"a":2 }`},
		"middle":         {`{"a":1,"webhook":{"a":[1,"}"]} , "b":2}`, `{"a":1 , "b":2}`},
		"around":         {`{"webhook":1,"a":1,"metadata":2,"run_at":3,"b":2,"priority":4}`, `{"a":1,"b":2}`},
		"escaped key":    {`{"\u0077ebhook":1,"a":2}`, `{"a":2}`},
		"nested stays":   {`{"a":{"webhook":1,"input":2}}`, `{"a":{"webhook":1,"input":2}}`},
		"input text":     {`{"input" : "a\"\u003c","b":1}`, `{"messages":[{"role":"user","content":"a\"\u003c"}],"b":1}`},
		"input messages": {`{"b":1, "input" : [ 1 ] }`, `{"b":1, "messages":[ 1 ] }`},
		"others' repeat": {`{"a":1,"a":1.0,"a":1e0}`, `{"a":1,"a":1.0,"a":1e0}`},
		"empty key":      {`{"":1,"webhook":2,"":3}`, `{"":1,"":3}`},
		"numbers":        {`{"a":-0.0E+10,"b":123456789012345678901234567890}`, `{"a":-0.0E+10,"b":123456789012345678901234567890}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := cut([]byte(tc.body))
			require.NoError(t, err)
			require.Equal(t, tc.want, string(p.forward))
		})
	}
}

// member is one top-level member as encoding/json reads it: its key decoded, its value's bytes as they stand.
type member struct{ key, value string }

// membersOf reads an object without the parser that cut uses.
func membersOf(t require.TestingT, body []byte) []member {
	d := json.NewDecoder(bytes.NewReader(body))
	_, err := d.Token()
	require.NoError(t, err)
	var found []member
	for d.More() {
		key, err := d.Token()
		require.NoError(t, err)
		var value json.RawMessage
		require.NoError(t, d.Decode(&value))
		found = append(found, member{key.(string), string(value)})
	}
	return found
}

// forwarded are the members that a provider is to get.
func forwarded(all []member) []member {
	var kept []member
	for _, m := range all {
		switch {
		case m.key == "input" && strings.HasPrefix(m.value, "["):
			kept = append(kept, member{"messages", m.value})
		case m.key == "input" && m.value != "null":
			kept = append(kept, member{"messages", `[{"role":"user","content":` + m.value + `}]`})
		case !slices.Contains(ownKeys, m.key):
			kept = append(kept, m)
		}
	}
	return kept
}

func TestCutLeavesEverythingElse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		body, own, texts := drawBody(t)
		p, err := cut([]byte(body))
		require.NoError(t, err, body)
		require.True(t, json.Valid(p.forward), "%s -> %s", body, p.forward)
		require.Equal(t, forwarded(membersOf(t, []byte(body))), membersOf(t, p.forward), body)
		if own == 0 {
			require.Equal(t, body, string(p.forward), "nothing to cut")
		}
		rest := p.forward
		for _, text := range texts { // white space inside members stays too
			at := bytes.Index(rest, []byte(text))
			require.GreaterOrEqual(t, at, 0, "%q is gone from %s", text, p.forward)
			rest = rest[at+len(text):]
		}
	})
}

var space = rapid.SampledFrom([]string{"", "", "", " ", "\n\t", " \r\n "})

// drawBody makes a body with each own key at most once, the number of those, and the other members' texts.
func drawBody(t *rapid.T) (body string, own int, texts []string) {
	keys := rapid.SliceOfN(rapid.OneOf(
		rapid.SampledFrom(ownKeys), rapid.SampledFrom(readKeys),
		rapid.SampledFrom([]string{"temperature", "x", "", "Input", "web\thook", "a\"b", "é", "inputs"}), rapid.String(),
	), 0, 8).Draw(t, "keys")
	seen := map[string]bool{}
	var members []string
	for _, key := range keys {
		special := slices.Contains(ownKeys, key) || slices.Contains(readKeys, key)
		if special && seen[key] {
			continue
		}
		seen[key] = true
		text := drawKey(t, key) + space.Draw(t, "s") + ":" + space.Draw(t, "s") + drawValue(t, 3)
		if slices.Contains(ownKeys, key) {
			own++
		} else {
			texts = append(texts, text)
		}
		members = append(members, space.Draw(t, "s")+text+space.Draw(t, "s"))
	}
	return space.Draw(t, "s") + "{" + space.Draw(t, "s") + strings.Join(members, ",") + "}" + space.Draw(t, "s"), own, texts
}

// drawKey writes a key plainly or with its first letter escaped.
func drawKey(t *rapid.T, key string) string {
	plain, _ := json.Marshal(key)
	if key != "" && key[0] >= 'a' && key[0] <= 'z' && rapid.Bool().Draw(t, "escaped") {
		return fmt.Sprintf(`"\u%04x%s`, key[0], plain[2:])
	}
	return string(plain)
}

func drawValue(t *rapid.T, depth int) string {
	kind := rapid.IntRange(0, 5).Draw(t, "kind")
	if depth == 0 && kind > 3 {
		kind = 0
	}
	switch kind {
	case 0:
		return rapid.SampledFrom([]string{"0", "-0", "1e400", "0.10", "12345678901234567890123", "-1.5E-7"}).Draw(t, "number")
	case 1:
		return rapid.SampledFrom([]string{"null", "true", "false"}).Draw(t, "literal")
	case 2:
		return rapid.SampledFrom([]string{`""`, `"\ud800"`, `"\u0000"`, `"<&>"`, `"\/\"\\"`, `"}],{["`, `"💥"`}).Draw(t, "odd")
	case 3:
		b, _ := json.Marshal(rapid.String().Draw(t, "text"))
		return string(b)
	case 4:
		n := rapid.IntRange(0, 3).Draw(t, "n")
		items := make([]string, n)
		for i := range items {
			items[i] = space.Draw(t, "s") + drawValue(t, depth-1)
		}
		return "[" + strings.Join(items, ",") + space.Draw(t, "s") + "]"
	}
	return `{"webhook":` + drawValue(t, depth-1) + space.Draw(t, "s") + `,"webhook":` + drawValue(t, depth-1) + "}"
}

// FuzzCut: no body breaks it, and what it lets through is what encoding/json sees, without Ringback's own keys.
func FuzzCut(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"model":"m","input":"x"}`, `{"input":[1],"webhook":{"url":"u"},"a":1,"a":2}`, `[`, `{"a":"\ud800"}`,
		"{\"\x7f\":0}", `{"webhook" :1,"b": 2 }`, ` {"priority":null , "x":{"y":[{}]}} `,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := cut(body)
		if err != nil {
			return
		}
		require.True(t, json.Valid(body), "%q is no JSON", body)
		require.True(t, json.Valid(p.forward), "%q -> %q", body, p.forward)
		require.Equal(t, forwarded(membersOf(t, body)), membersOf(t, p.forward), "%q", body)
	})
}
