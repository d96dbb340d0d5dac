package clients

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// documentVariable names the file with OpenAI's API document.
const documentVariable = "RINGBACK_OPENAI_SPEC"

// document is OpenAI's API document. It is not validated itself: OpenAI's has stray keywords.
type document struct{ *openapi3.T }

// loadDocument is nil for no path.
func loadDocument(path string) (*document, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // without a document nothing is checked
	}
	doc, err := openapi3.NewLoader().LoadFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", documentVariable, err)
	}
	return &document{doc}, nil
}

// requireDocument skips a test that is about the document alone where there is none.
func requireDocument(t *testing.T) *document {
	t.Helper()
	if ring.document == nil {
		t.Skipf("set %s to OpenAI's API document (openapi.yaml) to check answers against it", documentVariable)
	}
	return ring.document
}

// requireByDocument checks a callback's body, where there is a document.
func requireByDocument(t *testing.T, event string, body []byte) {
	t.Helper()
	if ring.document != nil {
		require.NoError(t, ring.document.event(event, body))
	}
}

// answer checks what a route answered. Routes that only Ringback has need OpenAI's error envelope alone.
func (d *document) answer(r *http.Response, body []byte) error {
	operation := d.operation(r.Request.Method, strings.TrimPrefix(r.Request.URL.Path, "/v1"))
	if r.StatusCode >= http.StatusBadRequest {
		return d.component("ErrorResponse", body)
	}
	if operation == nil {
		return nil
	}
	described := operation.Responses.Status(r.StatusCode)
	if described == nil {
		return fmt.Errorf("status %d is not one of the document's", r.StatusCode)
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	content := described.Value.Content[media]
	if content == nil {
		return fmt.Errorf("media type %q is not one of the document's", media)
	}
	if media != "application/json" {
		return nil
	}
	return visit(content.Schema, body)
}

// operation finds a path's operation; {…} in the document stands for any one segment.
func (d *document) operation(method, path string) *openapi3.Operation {
	for template, item := range d.Paths.Map() {
		if operation := item.GetOperation(method); operation != nil && fits(template, path) {
			return operation
		}
	}
	return nil
}

func fits(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && !strings.HasPrefix(want[i], "{") {
			return false
		}
	}
	return true
}

// component checks JSON against one of the document's schemas.
func (d *document) component(name string, body []byte) error {
	schema := d.Components.Schemas[name]
	if schema == nil {
		return fmt.Errorf("the document has no schema %s", name)
	}
	return visit(schema, body)
}

// event checks a callback's body; the document calls the webhook batch.completed batch_completed.
func (d *document) event(typ string, body []byte) error {
	item := d.Webhooks[strings.ReplaceAll(typ, ".", "_")]
	if item == nil {
		return fmt.Errorf("the document has no webhook %s", typ)
	}
	return visit(item.Post.RequestBody.Value.Content["application/json"].Schema, body)
}

func visit(schema *openapi3.SchemaRef, body []byte) error {
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return err
	}
	return schema.Value.VisitJSON(value, openapi3.EnableJSONSchema2020(), openapi3.MultiErrors())
}

// checking hands requests on and checks each answer.
type checking struct {
	t        *testing.T
	document *document
}

// checkedClient checks each answer that a test gets, where there is a document.
func checkedClient(t *testing.T) *http.Client {
	t.Helper()
	if ring.document == nil {
		return http.DefaultClient
	}
	return &http.Client{Transport: checking{t, ring.document}}
}

// RoundTrip reads the answer whole; a wrong one fails the test and goes on.
func (c checking) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if err := c.document.answer(answer, body); err != nil {
		c.t.Errorf("%s %s: %s is not as the document says: %v\n%.2000s", r.Method, r.URL.Path, answer.Status, err, body)
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, nil
}
