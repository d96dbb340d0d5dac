package simulator

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// maxNesting is how deep made-up arguments go into a function's schema.
const maxNesting = 6

// A tool is the function that an answer calls.
type tool struct {
	name       string
	parameters gjson.Result // a JSON Schema
}

// calls says that the answer is a call of a function and not a text.
func (c *call) calls() bool { return c.tool.name != "" }

// tool is the function that tool_choice names, else the first of tools. Chat
// completions put a function's name and schema one level deeper than responses.
func (r *request) tool() (found tool) {
	if r.toolChoice.Str == "none" {
		return tool{}
	}
	wanted := either(r.toolChoice, "function.name", "name").Str
	r.tools.ForEach(func(_, t gjson.Result) bool {
		name := either(t, "function.name", "name").Str
		if t.Get("type").Str != "function" || name == "" || wanted != "" && name != wanted {
			return true
		}
		found = tool{name, either(t, "function.parameters", "parameters")}
		return false
	})
	return found
}

func either(of gjson.Result, one, other string) gjson.Result {
	if found := of.Get(one); found.Exists() {
		return found
	}
	return of.Get(other)
}

// produce writes the answer to the prompt into the call: a text, or a function's
// arguments. It says how many tokens it has and why it ends, as chat completions
// put it.
func (c *call) produce(choice int) (tokens int, why string) {
	if c.calls() {
		seed := mix(c.seedOf(c.prompt) + uint64(choice))
		c.text = appendArguments(c.text[:0], seed, c.tool.parameters)
		return countTokens(c.text), "tool_calls"
	}
	tokens, cut := c.compose(c.prompt, choice)
	return tokens, finish(cut)
}

// appendCallID gives each choice's call an ID of its own.
func (c *call) appendCallID(dst []byte, choice int) []byte {
	return appendHex(append(dst, "call_"...), c.id+uint64(choice))
}

// appendArguments makes up an object that fits a function's schema.
func appendArguments(dst []byte, seed uint64, schema gjson.Result) []byte {
	return appendObject(dst, seed, schema, 0)
}

func appendObject(dst []byte, seed uint64, schema gjson.Result, depth int) []byte {
	dst = append(dst, '{')
	i := 0
	schema.Get("properties").ForEach(func(name, property gjson.Result) bool {
		seed = mix(seed + 1)
		dst = append(append(append(dst, separator(i)...), name.Raw...), ':')
		dst = appendValue(dst, seed, property, depth+1)
		i++
		return true
	})
	return append(dst, '}')
}

// appendValue makes up a value for one schema: one of its enum, or one of its
// first type within its bounds.
func appendValue(dst []byte, seed uint64, schema gjson.Result, depth int) []byte {
	if constant := schema.Get("const"); constant.Exists() {
		return append(dst, constant.Raw...)
	}
	if choices := schema.Get("enum").Array(); len(choices) > 0 {
		return append(dst, choices[seed%uint64(len(choices))].Raw...)
	}
	kind := schema.Get("type")
	if kind.IsArray() {
		kind = kind.Get("0")
	}
	switch kind.Str {
	case "integer", "number":
		return appendNumber(dst, seed, schema)
	case "boolean":
		return strconv.AppendBool(dst, seed&1 == 1)
	case "null":
		return append(dst, "null"...)
	case "array", "object":
		return appendNested(dst, seed, schema, kind.Str, depth)
	}
	return appendString(dst, words[seed%uint64(len(words))])
}

func appendNested(dst []byte, seed uint64, schema gjson.Result, kind string, depth int) []byte {
	switch {
	case kind == "object" && depth < maxNesting:
		return appendObject(dst, seed, schema, depth)
	case kind == "object":
		return append(dst, "{}"...)
	case depth >= maxNesting:
		return append(dst, "[]"...)
	}
	return append(appendValue(append(dst, '['), seed, schema.Get("items"), depth+1), ']')
}

// appendNumber stays within minimum and maximum where the schema has them.
func appendNumber(dst []byte, seed uint64, schema gjson.Result) []byte {
	low, high := int64(1), int64(100)
	if bound := schema.Get("minimum"); bound.Exists() {
		low = bound.Int()
		high = low + 99
	}
	if bound := schema.Get("maximum"); bound.Exists() {
		high = bound.Int()
		low = min(low, high)
	}
	return strconv.AppendInt(dst, low+int64(seed>>1)%max(1, high-low+1), 10)
}

// words are what made-up arguments say where a string is asked for.
var words = [...]string{
	"Lisbon", "Oslo", "Kyoto", "Nairobi", "Lima", "Toronto", "Hanoi", "Porto",
	"blue fiber", "a red hen", "two bolts", "Monday", "the first of May", "eggs", "train", "invoice 4711",
}
