// Package contract holds requests, answers and callbacks to the API's document. It is no part of the program: tests put it
// between themselves and a server, so that each answer that any of them gets is checked.
package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ringback/ringback/web/openapi"
)

// Contract is the document, ready to judge. It is safe for concurrent use.
type Contract struct {
	root       map[string]any
	operations []operation
	schemas    *schemas
}

// operation is one method of one path.
type operation struct {
	Route
	segments []string
	at       string // its place in the document, a JSON pointer
	body     map[string]any
	shared   []any // the parameters of its path
}

// Route is a method and a path as the document writes it: /v1/files/{id}.
type Route struct{ Method, Path string }

var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}

// Load reads the document.
func Load() (*Contract, error) {
	var parsed any
	if err := yaml.Unmarshal(openapi.Document, &parsed); err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	text, err := json.Marshal(parsed)
	if err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	root, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("contract: the document is no object")
	}
	closeAll(root)
	c := &Contract{root: root}
	c.readOperations()
	c.schemas, err = newSchemas(root)
	return c, err
}

func (c *Contract) readOperations() {
	paths := object(c.root["paths"])
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item := object(paths[path])
		for _, method := range methods {
			if body := object(item[method]); body != nil {
				shared, _ := item["parameters"].([]any)
				c.operations = append(c.operations, operation{
					Route: Route{strings.ToUpper(method), path}, segments: strings.Split(path, "/"), body: body, shared: shared,
					at: "#/paths/" + escape(path) + "/" + method,
				})
			}
		}
	}
}

// Routes are all operations of the document.
func (c *Contract) Routes() (routes []Route) {
	for _, o := range c.operations {
		routes = append(routes, o.Route)
	}
	return routes
}

// EventTypes are the types of which the document's section webhooks tells.
func (c *Contract) EventTypes() []string { return slices.Sorted(maps.Keys(object(c.root["webhooks"]))) }

// find gives the operation of a request, and whether its path is known at all. A literal segment goes before a parameter.
// The last parameter takes what is left: names of models may hold slashes.
func (c *Contract) find(method, path string) (found *operation, known bool) {
	if method == "HEAD" {
		method = "GET"
	}
	segments, best := strings.Split(path, "/"), -1
	for i := range c.operations {
		o := &c.operations[i]
		literals, fits := o.fit(segments)
		if !fits {
			continue
		}
		known = true
		if o.Method == method && literals > best {
			found, best = o, literals
		}
	}
	return found, known
}

func (o *operation) fit(segments []string) (literals int, fits bool) {
	last := len(o.segments) - 1
	if len(segments) <= last || len(segments) > last+1 && (!isParameter(o.segments[last]) || !strings.HasPrefix(o.Path, "/v1/models/")) {
		return 0, false
	}
	for i, want := range o.segments {
		switch {
		case isParameter(want):
		case want == segments[i]:
			literals++
		default:
			return 0, false
		}
	}
	return literals, true
}

func isParameter(segment string) bool { return strings.HasPrefix(segment, "{") }

// follow gives what a value says, or what it refers to; a key beside a reference holds before the referred one.
func (c *Contract) follow(v any, at string) (map[string]any, string) {
	o := object(v)
	ref, is := o["$ref"].(string)
	if !is {
		return o, at
	}
	var target any = c.root
	for _, name := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
		target = object(target)[unescape(name)]
	}
	return object(target), ref
}

func object(v any) map[string]any {
	o, _ := v.(map[string]any)
	return o
}

var (
	escaper   = strings.NewReplacer("~", "~0", "/", "~1")
	unescaper = strings.NewReplacer("~1", "/", "~0", "~")
)

func escape(name string) string   { return escaper.Replace(name) }
func unescape(name string) string { return unescaper.Replace(name) }

// EventMeaning is what the document says of an event type.
func (c *Contract) EventMeaning(typ string) string {
	text, _ := object(object(object(c.root["webhooks"])[typ])["post"])["description"].(string)
	return text
}
