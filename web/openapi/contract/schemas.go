package contract

import (
	"fmt"
	"net/url"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schemas compiles the document's schemas when they are first asked for.
type schemas struct {
	mu       sync.Mutex
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema
}

const documentURL = "https://ringback.invalid/openapi.yaml"

func newSchemas(root map[string]any) (*schemas, error) {
	s := &schemas{compiler: jsonschema.NewCompiler(), compiled: map[string]*jsonschema.Schema{}}
	s.compiler.DefaultDraft(jsonschema.Draft2020)
	s.compiler.UseLoader(refuse{})
	if err := s.compiler.AddResource(documentURL, root); err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	return s, nil
}

// refuse keeps the compiler from reading anything but the document.
type refuse struct{}

// Load is called for every other address.
func (refuse) Load(url string) (any, error) {
	return nil, fmt.Errorf("contract: %s is not the document", url)
}

// validate holds a value to the schema at a place of the document.
func (s *schemas) validate(at string, value any) error {
	schema, err := s.compile(at)
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func (s *schemas) compile(at string) (*jsonschema.Schema, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.compiled[at]; known != nil {
		return known, nil
	}
	schema, err := s.compiler.Compile(documentURL + "#" + (&url.URL{Path: strings.TrimPrefix(at, "#")}).EscapedPath())
	if err != nil {
		return nil, fmt.Errorf("contract: the schema at %s: %w", at, err)
	}
	s.compiled[at] = schema
	return schema, nil
}

// closeAll makes a field that the document does not name an error, wherever a schema does not say that others may be there.
// The document itself stays open, so that clients that were made from it take new fields.
func closeAll(v any) {
	switch v := v.(type) {
	case []any:
		for _, each := range v {
			closeAll(each)
		}
	case map[string]any:
		closeOne(v)
		for key, each := range v {
			if key == "allOf" {
				closeParts(each)
			} else {
				closeAll(each)
			}
		}
	}
}

// closeParts goes on below the parts of a whole, which is closed itself.
func closeParts(all any) {
	parts, _ := all.([]any)
	for _, part := range parts {
		for _, each := range object(part) {
			closeAll(each)
		}
	}
}

func closeOne(schema map[string]any) {
	_, more := schema["additionalProperties"]
	_, left := schema["unevaluatedProperties"]
	_, whole := schema["allOf"].([]any)
	_, fields := schema["properties"].(map[string]any)
	switch {
	case more || left || schema["x-base"] == true:
	case whole:
		schema["unevaluatedProperties"] = false
	case fields && schema["type"] != nil:
		schema["additionalProperties"] = false
	}
}
