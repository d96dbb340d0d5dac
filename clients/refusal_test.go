package clients

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The document must be able to refuse: else all tests above pass whatever is answered.
func TestTheDocumentRefusesWrongAnswers(t *testing.T) {
	t.Parallel()
	document := requireDocument(t)
	client := official(t)
	batch := ended(t, client, submit(t, client, input(t, quick, refuse)).ID)
	file, err := client.Files.Get(t.Context(), batch.OutputFileID)
	require.NoError(t, err)
	list := fmt.Sprintf(`{"object":"list","data":[%s],"has_more":false}`, batch.RawJSON())
	event := fmt.Sprintf(`{"id":"evt_1","object":"event","type":"batch.completed","created_at":1,"data":{"id":%q}}`, batch.ID)
	const envelope = `{"error":{"message":"m","type":"t","param":null,"code":null}}`
	for _, c := range []struct {
		name    string
		good    string
		replace map[string]any // by dotted key; nil removes
		judge   func([]byte) error
	}{
		{"batch without status", batch.RawJSON(), map[string]any{"status": nil}, component(document, "Batch")},
		{"batch in an unknown status", batch.RawJSON(), map[string]any{"status": "paused"}, component(document, "Batch")},
		{"time as text", batch.RawJSON(), map[string]any{"completed_at": "now"}, component(document, "Batch")},
		{"counts without total", batch.RawJSON(), map[string]any{"request_counts.total": nil}, component(document, "Batch")},
		{"usage without details", batch.RawJSON(), map[string]any{"usage.input_tokens_details": nil}, component(document, "Batch")},
		{"file without status", file.RawJSON(), map[string]any{"status": nil}, component(document, "OpenAIFile")},
		{"list without has_more", list, map[string]any{"has_more": nil}, component(document, "ListBatchesResponse")},
		{"list of something else", list, map[string]any{"data": []any{map[string]any{"id": "x"}}}, component(document, "ListBatchesResponse")},
		{"error without param", envelope, map[string]any{"error.param": nil}, component(document, "ErrorResponse")},
		{"event without data.id", event, map[string]any{"data.id": nil}, completedEvent(document)},
		{"event of another type", event, map[string]any{"type": "batch.done"}, completedEvent(document)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, c.judge([]byte(c.good)))
			require.Error(t, c.judge(changed(t, c.good, c.replace)))
		})
	}
}

func component(d *document, name string) func([]byte) error {
	return func(body []byte) error { return d.component(name, body) }
}

func completedEvent(d *document) func([]byte) error {
	return func(body []byte) error { return d.event("batch.completed", body) }
}

// changed is an object with some of its members replaced, or removed for nil.
func changed(t *testing.T, object string, replace map[string]any) []byte {
	t.Helper()
	var root map[string]any
	require.NoError(t, json.Unmarshal([]byte(object), &root))
	for key, value := range replace {
		at, names := root, strings.Split(key, ".")
		for _, name := range names[:len(names)-1] {
			at = at[name].(map[string]any)
		}
		name := names[len(names)-1]
		require.Contains(t, at, name)
		if value == nil {
			delete(at, name)
		} else {
			at[name] = value
		}
	}
	body, err := json.Marshal(root)
	require.NoError(t, err)
	return body
}
