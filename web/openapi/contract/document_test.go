package contract

import (
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
)

func load(t *testing.T) *Contract {
	t.Helper()
	c, err := Load()
	require.NoError(t, err)
	return c
}

// Every schema of the document can be used, and its examples are as it says.
func TestExamplesFollowTheirSchemas(t *testing.T) {
	t.Parallel()
	c := load(t)
	walk(c.root, "#", func(at string, v map[string]any) {
		examples, _ := v["examples"].([]any)
		if path.Dir(at) == "#/components/schemas" || path.Base(at) == "schema" || len(examples) > 0 {
			_, err := c.schemas.compile(at)
			require.NoError(t, err)
		}
		for _, example := range examples {
			require.NoError(t, c.schemas.validate(at, example), at)
		}
		named, _ := v["examples"].(map[string]any)
		for _, example := range named {
			require.NoError(t, c.schemas.validate(at+"/schema", object(example)["value"]), at)
		}
		example, there := v["example"]
		if there && v["schema"] != nil {
			require.NoError(t, c.schemas.validate(at+"/schema", example), at)
		}
	})
}

func walk(v any, at string, visit func(at string, v map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		if strings.HasSuffix(at, "/example") || strings.HasSuffix(at, "/examples") {
			return
		}
		visit(at, v)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			walk(v[key], at+"/"+escape(key), visit)
		}
	case []any:
		for _, each := range v {
			walk(each, "", func(string, map[string]any) {})
		}
	}
}

// What refers to something refers to what is there, and what can be referred to is.
func TestReferences(t *testing.T) {
	t.Parallel()
	c := load(t)
	used := map[string]bool{}
	var look func(v any)
	look = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, is := v["$ref"].(string); is {
				used[ref] = true
				require.NotNil(t, c.place(ref), ref)
			}
			for _, each := range v {
				look(each)
			}
		case []any:
			for _, each := range v {
				look(each)
			}
		}
	}
	look(c.root)
	for kind, all := range object(c.root["components"]) {
		for name := range object(all) {
			if kind != "securitySchemes" && name != "NoRoute" && name != "NoMethod" {
				require.True(t, used["#/components/"+kind+"/"+name], "nothing refers to the %s of %s", name, kind)
			}
		}
	}
}

func TestTheDocumentNamesEachEventType(t *testing.T) {
	t.Parallel()
	c := load(t)
	require.ElementsMatch(t, append(callbacks.EventTypes(), string(callbacks.EventTest)), c.EventTypes())
	var listed []string
	for _, typ := range c.place("#/components/schemas/EventType")["enum"].([]any) {
		listed = append(listed, typ.(string))
	}
	require.Equal(t, callbacks.EventTypes(), listed)
}

// A comma in a text without quotes ends the text; what follows looks like a field.
func TestNoTextIsTornApart(t *testing.T) {
	t.Parallel()
	var look func(v any, at string)
	look = func(v any, at string) {
		switch v := v.(type) {
		case map[string]any:
			for key, each := range v {
				require.NotContains(t, key, " ", at)
				look(each, at+"/"+key)
			}
		case []any:
			for _, each := range v {
				look(each, at)
			}
		}
	}
	look(load(t).root, "#")
}

func TestOperationsAreDescribed(t *testing.T) {
	t.Parallel()
	c := load(t)
	ids, tags := map[string]bool{}, map[string]bool{}
	for _, tag := range c.root["tags"].([]any) {
		tags[object(tag)["name"].(string)] = true
	}
	for _, o := range c.operations {
		id, _ := o.body["operationId"].(string)
		require.NotEmpty(t, id, o.Route)
		require.False(t, ids[id], "%s stands twice", id)
		ids[id] = true
		require.NotEmpty(t, o.body["summary"], id)
		require.NotEmpty(t, o.body["tags"], id)
		for _, tag := range o.body["tags"].([]any) {
			require.True(t, tags[tag.(string)], "%s has the unknown tag %s", id, tag)
		}
	}
}
