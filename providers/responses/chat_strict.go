package responses

import "github.com/tidwall/gjson"

// chatStrict says, as a member of a function, that its arguments must follow its schema; nothing where they need not. The
// two APIs differ in what silence means. In chat completions it is false. In responses, as OpenAI documents it, a function
// that does not say is strict where its schema allows it and is not otherwise: so it is sent as strict only then, and an
// upstream is never asked for what it had to refuse.
func chatStrict(tool gjson.Result) []byte {
	switch strict := tool.Get("strict"); {
	case given(strict):
		return member("strict", strict.Raw)
	case tool.Get("parameters").IsObject() && allowsStrict(tool.Get("parameters")):
		return member("strict", "true")
	}
	return nil
}

// looseWords are those of JSON Schema that strict functions do not know.
var looseWords = []string{
	"allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties",
	"unevaluatedProperties", "propertyNames", "contains", "prefixItems",
}

// allowsStrict tells whether a schema is what strict functions want: every object in it is closed, and all its properties
// are required.
func allowsStrict(schema gjson.Result) bool {
	if !schema.IsObject() {
		return false
	}
	has := members(schema)
	for _, word := range looseWords {
		if _, there := has[word]; there {
			return false
		}
	}
	if (isObjectSchema(has) && !isClosed(has)) || (has["items"].Exists() && !allowsStrict(has["items"])) {
		return false
	}
	for _, name := range []string{"properties", "$defs", "definitions", "anyOf"} {
		if !allAllowStrict(has[name]) {
			return false
		}
	}
	return true
}

func allAllowStrict(schemas gjson.Result) bool {
	all := true
	schemas.ForEach(func(_, schema gjson.Result) bool {
		all = allowsStrict(schema)
		return all
	})
	return all
}

// isObjectSchema knows an object by its type, which may stand in a list beside "null", or by its properties.
func isObjectSchema(has map[string]gjson.Result) bool {
	object := has["type"].Str == "object" || has["properties"].Exists()
	for _, typ := range has["type"].Array() {
		object = object || typ.Str == "object"
	}
	return object
}

func isClosed(has map[string]gjson.Result) bool {
	required := map[string]bool{}
	for _, name := range has["required"].Array() {
		required[name.Str] = true
	}
	closed := has["additionalProperties"].Type == gjson.False
	has["properties"].ForEach(func(name, _ gjson.Result) bool {
		closed = closed && required[name.String()]
		return closed
	})
	return closed
}
