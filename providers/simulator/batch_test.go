package simulator_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	openai "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers/simulator"
)

func line(id, model, prompt string) string {
	return `{"custom_id":"` + id + `","method":"POST","url":"` + chatPath + `","body":` + chatWith(model, prompt) + "}\n"
}

func lines(n int, model string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(line(fmt.Sprintf("c%d", i), model, fmt.Sprintf("How many of %d?", i)))
	}
	return b.String()
}

func (u *upstream) batch(input string) string {
	u.t.Helper()
	got := u.ok("/v1/batches", `{"input_file_id":"`+input+`","endpoint":"`+chatPath+`","completion_window":"24h","metadata":{"a":"b"}}`)
	require.Equal(u.t, "validating", got.Get("status").Str)
	return got.Get("id").Str
}

func (u *upstream) batchEnds(id, status string) answer {
	u.t.Helper()
	var got answer
	u.eventually(func() bool {
		got = u.fetch("/v1/batches/" + id)
		switch got.Get("status").Str {
		case "completed", "failed", "expired", "cancelled":
			return true
		}
		return false
	})
	require.Equal(u.t, status, got.Get("status").Str, got.raw)
	return got
}

// results are the lines of a file by custom_id.
func (u *upstream) results(file string) map[string]gjson.Result {
	u.t.Helper()
	found := map[string]gjson.Result{}
	for _, raw := range strings.Split(strings.TrimSuffix(u.fetch("/v1/files/"+file+"/content").raw, "\n"), "\n") {
		require.True(u.t, gjson.Valid(raw), raw)
		found[gjson.Get(raw, "custom_id").Str] = gjson.Parse(raw)
	}
	return found
}

func TestBatchesAnswerTheirLines(t *testing.T) {
	t.Parallel()
	u := account(t, simulator.Options{})
	u.ok(chatPath, chat("x", "")) // counted below
	input := u.upload("in.jsonl", "batch", lines(100, "sim-small")+"\n"+
		line("bad\\\"\u00e9", "sim-small", "[[sim:status=429 retry_after=2]]")+line("cut", "sim-small", "[[sim:truncate]]")+
		line("reset", "sim-small", "[[sim:reset]]")+strings.TrimSuffix(line("html", "sim-small", "[[sim:html]]"), "\n"))
	id := u.batch(input)
	require.Regexp(t, `^batch_[0-9a-f]{24}$`, id)
	got := u.batchEnds(id, "completed")
	require.JSONEq(t, `{"total":104,"completed":100,"failed":4}`, got.Get("request_counts").Raw)
	require.Equal(t, "b", got.Get("metadata.a").Str)
	require.Equal(t, "sim-small", got.Get("model").Str)
	require.EqualValues(t, 86400, got.Get("expires_at").Int()-got.Get("created_at").Int())
	for _, key := range []string{"in_progress_at", "finalizing_at", "usage.input_tokens", "usage.total_tokens"} {
		require.NotZero(t, got.Get(key).Int(), key)
	}
	for _, key := range []string{"errors", "failed_at", "expired_at", "cancelling_at", "cancelled_at"} {
		require.Equal(t, "null", got.Get(key).Raw, key)
	}
	output := u.results(got.Get("output_file_id").Str)
	require.Len(t, output, 100)
	for i := range 100 {
		line := output[fmt.Sprintf("c%d", i)]
		require.Regexp(t, `^batch_req_`, line.Get("id").Str)
		require.EqualValues(t, 200, line.Get("response.status_code").Int())
		require.Regexp(t, `^req_`, line.Get("response.request_id").Str)
		require.Equal(t, "null", line.Get("error").Raw)
		want := content(u.ok(chatPath, chat(fmt.Sprintf("How many of %d?", i), "")))
		require.Equal(t, want, line.Get("response.body.choices.0.message.content").Str)
	}
	lost := u.results(got.Get("error_file_id").Str)
	require.Len(t, lost, 4)
	require.EqualValues(t, 429, lost["bad\"\u00e9"].Get("response.status_code").Int())
	for _, cut := range []string{"cut", "reset", "html"} {
		require.EqualValues(t, 500, lost[cut].Get("response.status_code").Int(), cut)
		require.True(t, lost[cut].Get("response.body.error.message").Exists())
	}
	require.Equal(t, "batch_output", u.fetch("/v1/files/"+got.Get("output_file_id").Str).Get("purpose").Str)
	require.EqualValues(t, 1+104+100, u.Calls())
	require.Equal(t, []string{id}, ids(u.fetch("/v1/batches")))
	refused := u.refused("POST", "/v1/batches/"+id+"/cancel", "", 409)
	require.Equal(t, "Cannot cancel a batch with status 'completed'.", refused.Get("error.message").Str)
	require.Equal(t, "false", refused.header.Get("X-Should-Retry"))
}

func TestATunedModelAnswersABatch(t *testing.T) {
	t.Parallel()
	u, _, name := tuned(t, worked(20))
	got := u.batchEnds(u.batch(u.upload("in.jsonl", "batch", lines(10, name))), "completed")
	require.Equal(t, name, got.Get("model").Str)
	require.Equal(t, "null", got.Get("error_file_id").Raw)
	for _, line := range u.results(got.Get("output_file_id").Str) {
		require.Equal(t, name, line.Get("response.body.model").Str)
		require.Regexp(t, `#### \d+$`, line.Get("response.body.choices.0.message.content").Str)
	}
}

func TestACancelledBatchKeepsWhatIsDone(t *testing.T) {
	t.Parallel()
	u := account(t, simulator.Options{})
	input := u.upload("in.jsonl", "batch", lines(5, "sim-small")+line("stuck", "sim-small", "[[sim:hang]]"))
	id := u.batch(input)
	u.eventually(func() bool { return u.fetch("/v1/batches/"+id).Get("request_counts.completed").Int() == 5 })
	require.Equal(t, "in_progress", u.fetch("/v1/batches/"+id).Get("status").Str)
	require.Equal(t, 200, u.post("/v1/batches/"+id+"/cancel", "").status)
	got := u.batchEnds(id, "cancelled")
	require.JSONEq(t, `{"total":6,"completed":5,"failed":0}`, got.Get("request_counts").Raw)
	require.Len(t, u.results(got.Get("output_file_id").Str), 5)
	require.Equal(t, "null", got.Get("error_file_id").Raw)
	require.NotZero(t, got.Get("cancelling_at").Int())
	require.Equal(t, "cancelled", u.post("/v1/batches/"+id+"/cancel", "").Get("status").Str, "twice is fine")
}

func TestABatchExpires(t *testing.T) {
	t.Parallel()
	clock := newTicker()
	dir := t.TempDir()
	first := serve(t, simulator.Options{Dir: dir, Now: clock.now})
	input := first.upload("in.jsonl", "batch", lines(3, "sim-small")+line("stuck", "sim-small", "[[sim:hang]]"))
	id := first.batch(input)
	first.eventually(func() bool { return first.fetch("/v1/batches/"+id).Get("status").Str == "in_progress" })
	require.NoError(t, first.Close())
	clock.pass(25 * time.Hour)
	got := account(t, simulator.Options{Dir: dir, Now: clock.now}).batchEnds(id, "expired")
	require.JSONEq(t, `{"total":4,"completed":0,"failed":4}`, got.Get("request_counts").Raw)
	require.Equal(t, "null", got.Get("output_file_id").Raw)
}

func TestBadBatchInputFails(t *testing.T) {
	t.Parallel()
	u := account(t, simulator.Options{})
	good := line("a", "sim-small", "a")
	tests := []struct{ name, input, code, param, line string }{
		{"empty", "\n", "empty_file", "", ""},
		{"no JSON", good + "{", "invalid_json_line", "", "2"},
		{"no object", "[1]", "invalid_json_line", "", "1"},
		{"null", "null", "invalid_json_line", "", "1"},
		{"no UTF-8", good + "\n\n{\"\xff\":1}", "invalid_json_line", "", "4"},
		{"no custom_id", strings.Replace(good, `"custom_id":"a",`, "", 1), "missing_required_parameter", "custom_id", "1"},
		{"no body", `{"custom_id":"a","method":"POST","url":"` + chatPath + `"}`, "missing_required_parameter", "body", "1"},
		{"wrong method", strings.Replace(good, "POST", "GET", 1), "invalid_method", "method", "1"},
		{"wrong url", strings.Replace(good, chatPath, "/v1/responses", 1), "invalid_url", "url", "1"},
		{"duplicate", good + good, "duplicate_custom_id", "custom_id", "2"},
		{"two models", good + line("b", "sim-large", "a"), "mismatched_model", "body.model", "2"},
		{"no model", strings.Replace(good, `"model":"sim-small",`, "", 1), "invalid_request", "body.model", "1"},
		{"unknown model", line("a", "gpt-9", "a"), "model_not_found", "body.model", "1"},
		{"streaming", strings.Replace(good, `"body":{`, `"body":{"stream":true,`, 1), "streaming_unsupported", "body.stream", "1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := u.batchEnds(u.batch(u.upload("in.jsonl", "batch", tt.input)), "failed")
			e := got.Get("errors.data.0")
			require.Equal(t, "list", got.Get("errors.object").Str)
			require.Equal(t, tt.code, e.Get("code").Str, e.Raw)
			require.Equal(t, tt.param, e.Get("param").Str)
			require.Equal(t, tt.line, strings.TrimPrefix(e.Get("line").Raw, "null"))
			require.JSONEq(t, `{"total":0,"completed":0,"failed":0}`, got.Get("request_counts").Raw)
		})
	}
	got := u.batchEnds(u.batch("file-none"), "failed")
	require.Equal(t, "invalid_request", got.Get("errors.data.0.code").Str)
	got = u.batchEnds(u.batch(u.upload("in.jsonl", "batch", strings.Repeat("{\n", 1000))), "failed")
	require.Len(t, got.Get("errors.data").Array(), 100)
	require.Zero(t, u.Calls())
}

func TestBadBatchesAreRefused(t *testing.T) {
	t.Parallel()
	u := account(t, simulator.Options{})
	for body, param := range map[string]string{
		`{`: "", `[]`: "",
		`{"endpoint":"/v1/responses","completion_window":"24h"}`:                                        "input_file_id",
		`{"input_file_id":"f","completion_window":"24h"}`:                                               "endpoint",
		`{"input_file_id":"f","endpoint":"/v1/x","completion_window":"24h"}`:                            "endpoint",
		`{"input_file_id":"f","endpoint":"/v1/responses"}`:                                              "completion_window",
		`{"input_file_id":"f","endpoint":"/v1/responses","completion_window":"1h"}`:                     "completion_window",
		`{"input_file_id":"f","endpoint":"/v1/responses","completion_window":"24h","metadata":{"a":1}}`: "metadata.a",
		`{"input_file_id":"f","endpoint":"/v1/responses","completion_window":"24h","webhook":"x"}`:      "webhook",
	} {
		require.Equal(t, param, u.refused("POST", "/v1/batches", body, 400).Get("error.param").Str, body)
	}
	require.Empty(t, ids(u.fetch("/v1/batches")))
	u.refused("GET", "/v1/batches/batch_x", "", 404)
	u.refused("POST", "/v1/batches/batch_x/cancel", "", 404)
}

func TestBatchesThroughAnSDK(t *testing.T) {
	t.Parallel()
	u := account(t, simulator.Options{})
	client := u.sdk()
	var upload openai.UploadBatchFileRequest
	upload.FileName = "in.jsonl"
	for i := range 3 {
		upload.AddChatCompletion(fmt.Sprint(i), openai.ChatCompletionRequest{
			Model: "sim-large", Messages: []openai.ChatCompletionMessage{{Role: "user", Content: "a"}},
		})
	}
	created, err := client.CreateBatchWithUploadFile(t.Context(), openai.CreateBatchWithUploadFileRequest{
		Endpoint: openai.BatchEndpointChatCompletions, CompletionWindow: "24h", UploadBatchFileRequest: upload,
	})
	require.NoError(t, err)
	u.batchEnds(created.ID, "completed")
	got, err := client.RetrieveBatch(t.Context(), created.ID)
	require.NoError(t, err)
	require.Equal(t, 3, got.RequestCounts.Completed)
	require.NotNil(t, got.OutputFileID)
	_, err = client.CancelBatch(t.Context(), created.ID)
	var refused *openai.APIError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusConflict, refused.HTTPStatusCode)
}

func TestACancelIsFinishedAfterARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := serve(t, simulator.Options{Dir: dir})
	id := first.batch(first.upload("in.jsonl", "batch", line("stuck", "sim-small", "[[sim:hang]]")))
	first.eventually(func() bool { return first.fetch("/v1/batches/"+id).Get("status").Str == "in_progress" })
	require.NoError(t, first.Close())
	record := filepath.Join(dir, "batches", id+".json")
	raw, err := os.ReadFile(record)
	require.NoError(t, err)
	raw = bytes.Replace(raw, []byte(`"status":"in_progress"`), []byte(`"status":"cancelling"`), 1)
	require.NoError(t, os.WriteFile(record, raw, 0o600), "as a simulator leaves it that was killed then")
	second := account(t, simulator.Options{Dir: dir})
	second.batchEnds(id, "cancelled")
	require.Zero(t, second.Calls())
}
