package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// A batch runs for each path that is offered, through the built-in simulator: every line is answered in the path's own
// form, and the usage is the sum over the lines, in whichever words the path counts.
func TestBatchOnEachPath(t *testing.T) {
	t.Parallel()
	hook := startReceiver(t)
	s := startServer(t, openCallbacks()...)
	tests := []struct{ path, body, answer, total string }{
		{chat, `{"model":"sim-small","messages":[{"role":"user","content":"hello %d"}]}`, "choices.0.message.content", "usage.total_tokens"},
		{"/v1/completions", `{"model":"sim-large","prompt":"hello %d"}`, "choices.0.text", "usage.total_tokens"},
		{"/v1/responses", `{"model":"sim-small","input":"hello %d"}`, "output.0.content.0.text", "usage.total_tokens"},
		{"/v1/embeddings", `{"model":"sim-embed","input":"hello %d"}`, "data.0.embedding.0", "usage.total_tokens"},
		{"/v1/moderations", `{"model":"sim-small","input":"hello %d"}`, "results.0.categories", ""},
		{"/v1/images/generations", `{"model":"sim-small","prompt":"hello %d"}`, "data.0.b64_json", "usage.total_tokens"},
	}
	const lines = 20
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.path[len("/v1/"):], "/", " "), func(t *testing.T) {
			var in strings.Builder
			for i := range lines {
				fmt.Fprintf(&in, `{"custom_id":"r%d","method":"POST","url":%q,"body":%s}`+"\n", i, tt.path, fmt.Sprintf(tt.body, i))
			}
			create := fmt.Sprintf(`{"input_file_id":%q,"endpoint":%q,"completion_window":"24h"%s}`, s.input(in.String()), tt.path, hook.field())
			batch := s.call(http.StatusOK, "POST", "/v1/batches", create).get("id").String()
			done := s.ended(batch)
			require.Equal(t, "completed", done.get("status").String(), "%s", done.body)
			require.EqualValues(t, lines, done.get("request_counts.completed").Int(), "%s", done.body)
			var total int64
			for i, text := range s.lines(done.get("output_file_id")) {
				require.Equal(t, fmt.Sprintf("r%d", i), gjson.Get(text, "custom_id").String())
				require.NotEmpty(t, gjson.Get(text, "response.body."+tt.answer).String(), "%s", text)
				if tt.total != "" {
					total += gjson.Get(text, "response.body."+tt.total).Int()
				}
			}
			if tt.total != "" {
				require.Positive(t, total)
			}
			require.Equal(t, total, done.get("usage.total_tokens").Int())
			hook.wait(batch, "batch.completed")
		})
	}
}
