package simulator_test

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers/simulator"
)

func TestChatAnswersDeterministically(t *testing.T) {
	t.Parallel()
	one, two := serve(t, simulator.Options{}), serve(t, simulator.Options{})
	first := one.ok(chatPath, chat("How many eggs?", ""))
	require.Equal(t, "chat.completion", first.Get("object").Str)
	require.Equal(t, "sim-small", first.Get("model").Str)
	require.Equal(t, "stop", first.Get("choices.0.finish_reason").Str)
	require.Regexp(t, `\n#### \d+$`, content(first))

	again := two.ok(chatPath, chat("How many eggs?", `,"temperature":1.5`))
	require.Equal(t, content(first), content(again))
	require.NotEqual(t, first.Get("id").Str, again.Get("id").Str)
	require.NotEqual(t, content(first), content(one.ok(chatPath, chat("How many geese?", ""))))
	require.NotContains(t, content(one.ok(chatPath, chat("Tell me of geese.", ""))), "####")
	require.EqualValues(t, 3, one.Calls())
}

func TestChatReadsPartsAndTheLastUserMessage(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	got := u.ok(chatPath, `{"model":"sim-small","messages":[
		{"role":"system","content":"Be brief, please."},
		{"role":"user","content":[{"type":"text","text":"How many eggs?"},{"type":"image_url","image_url":{"url":"x"}}]},
		{"role":"assistant","content":null}]}`)
	require.Equal(t, content(u.ok(chatPath, chat("How many eggs?", ""))), content(got))
	require.EqualValues(t, 5+4, got.Get("usage.prompt_tokens").Int())
}

func TestUsageAddsUp(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	got := u.ok(chatPath, chat("How many eggs?", `,"n":3`))
	require.EqualValues(t, 4, got.Get("usage.prompt_tokens").Int())
	tokens := 0
	for i, choice := range got.Get("choices").Array() {
		require.EqualValues(t, i, choice.Get("index").Int())
		tokens += simulator.CountTokens(choice.Get("message.content").Str)
	}
	require.Len(t, got.Get("choices").Array(), 3)
	require.NotEqual(t, got.Get("choices.0.message.content").Str, got.Get("choices.1.message.content").Str)
	require.EqualValues(t, tokens, got.Get("usage.completion_tokens").Int())
	require.EqualValues(t, 4+tokens, got.Get("usage.total_tokens").Int())
}

func TestTokenLimitsAreObeyed(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	whole := content(u.ok(chatPath, chat("How many eggs?", "")))
	for _, field := range []string{"max_tokens", "max_completion_tokens"} {
		got := u.ok(chatPath, chat("How many eggs?", `,"`+field+`":5`))
		require.EqualValues(t, 5, got.Get("usage.completion_tokens").Int())
		require.Equal(t, "length", got.Get("choices.0.finish_reason").Str)
		require.True(t, strings.HasPrefix(whole, content(got)))
	}
	got := u.ok("/v1/completions", `{"model":"sim-large","prompt":"Go on","max_tokens":2}`)
	require.Equal(t, "length", got.Get("choices.0.finish_reason").Str)
	require.EqualValues(t, 2, got.Get("usage.completion_tokens").Int())
	got = u.ok("/v1/responses", `{"model":"sim-large","input":"Go on","max_output_tokens":16}`)
	require.Equal(t, "incomplete", got.Get("status").Str)
	require.Equal(t, "max_output_tokens", got.Get("incomplete_details.reason").Str)
	require.EqualValues(t, 16, got.Get("usage.output_tokens").Int())
}

func TestCompletions(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	got := u.ok("/v1/completions", `{"model":"sim-small","prompt":["Go on","Why?"],"n":2}`)
	require.Equal(t, "text_completion", got.Get("object").Str)
	require.Len(t, got.Get("choices").Array(), 4)
	require.Contains(t, got.Get("choices.2.text").Str, "####")
	require.EqualValues(t, 4, got.Get("usage.prompt_tokens").Int())
	got = u.ok("/v1/completions", `{"model":"sim-small","prompt":[1,2,3]}`)
	require.EqualValues(t, 3, got.Get("usage.prompt_tokens").Int())
	u.refused("POST", "/v1/completions", `{"model":"sim-small","prompt":"a","stream":true}`, 400)
}

func TestResponses(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	got := u.ok("/v1/responses", `{"model":"sim-small","instructions":"Be brief","metadata":{"a":"b"},"input":[
		{"role":"user","content":[{"type":"input_text","text":"How many eggs?"}]}]}`)
	require.Equal(t, "completed", got.Get("status").Str)
	text := got.Get("output.0.content.0.text").Str
	require.Equal(t, text, u.ok("/v1/responses", `{"model":"sim-small","input":"How many eggs?"}`).Get("output.0.content.0.text").Str)
	require.Equal(t, "b", got.Get("metadata.a").Str)
	usage := got.Get("usage")
	require.EqualValues(t, 2+4, usage.Get("input_tokens").Int())
	require.EqualValues(t, simulator.CountTokens(text), usage.Get("output_tokens").Int())
	require.Equal(t, usage.Get("input_tokens").Int()+usage.Get("output_tokens").Int(), usage.Get("total_tokens").Int())
	for _, path := range []string{"input_tokens_details.cached_tokens", "input_tokens_details.cache_write_tokens", "output_tokens_details.reasoning_tokens"} {
		require.True(t, usage.Get(path).Exists(), path)
	}
}

func TestEmbeddings(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	got := u.ok("/v1/embeddings", `{"model":"sim-embed","input":["one two","three"]}`)
	require.Len(t, got.Get("data").Array(), 2)
	require.EqualValues(t, 3, got.Get("usage.total_tokens").Int())
	for i, item := range got.Get("data").Array() {
		require.EqualValues(t, i, item.Get("index").Int())
		require.Len(t, item.Get("embedding").Array(), 64)
		sum := 0.0
		for _, x := range item.Get("embedding").Array() {
			sum += x.Num * x.Num
		}
		require.InDelta(t, 1, sum, 1e-5)
	}
	require.NotEqual(t, got.Get("data.0.embedding").Raw, got.Get("data.1.embedding").Raw)

	floats := u.ok("/v1/embeddings", `{"model":"sim-embed","input":"three","dimensions":7}`)
	packed := u.ok("/v1/embeddings", `{"model":"sim-embed","input":"three","dimensions":7,"encoding_format":"base64"}`)
	bits, err := base64.StdEncoding.DecodeString(packed.Get("data.0.embedding").Str)
	require.NoError(t, err)
	require.Len(t, bits, 4*7)
	for i, x := range floats.Get("data.0.embedding").Array() {
		word := uint32(bits[4*i]) | uint32(bits[4*i+1])<<8 | uint32(bits[4*i+2])<<16 | uint32(bits[4*i+3])<<24
		require.Equal(t, float32(x.Num), math.Float32frombits(word))
	}
	tokens := u.ok("/v1/embeddings", `{"model":"sim-embed","input":[[1,2],[3]]}`)
	require.EqualValues(t, 3, tokens.Get("usage.prompt_tokens").Int())
	require.Len(t, tokens.Get("data").Array(), 2)
}

func TestModerations(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	got := u.ok("/v1/moderations", `{"model":"sim-small","input":["A calm day","I will KILL it"]}`)
	require.False(t, got.Get("results.0.flagged").Bool())
	require.True(t, got.Get("results.1.flagged").Bool())
	require.True(t, got.Get("results.1.categories.violence").Bool())
	require.Greater(t, got.Get("results.1.category_scores.violence").Num, 0.9)
	require.Less(t, got.Get("results.0.category_scores.violence").Num, 0.1)
	require.Len(t, got.Get("results.0.category_scores").Map(), 13)
	got = u.ok("/v1/moderations", `{"model":"sim-large","input":[{"type":"text","text":"murder"}]}`)
	require.True(t, got.Get("results.0.flagged").Bool())
}

func TestImages(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	got := u.ok("/v1/images/generations", `{"model":"sim-small","prompt":"A red hen","n":2}`)
	require.Len(t, got.Get("data").Array(), 2)
	for _, item := range got.Get("data").Array() {
		raw, err := base64.StdEncoding.DecodeString(item.Get("b64_json").Str)
		require.NoError(t, err)
		picture, err := png.Decode(bytes.NewReader(raw))
		require.NoError(t, err)
		require.Equal(t, 8, picture.Bounds().Dx())
	}
	require.EqualValues(t, 3, got.Get("usage.input_tokens").Int())
	require.EqualValues(t, 3+128, got.Get("usage.total_tokens").Int())
}

func TestModelsAndHealth(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{APIKey: "k"})
	require.Equal(t, http.StatusOK, u.do("GET", "/healthz", "").status)
	require.Equal(t, "invalid_api_key", u.refused("GET", "/v1/models", "", 401).Get("error.code").Str)
	require.Equal(t, "invalid_api_key", u.refused("POST", chatPath, chat("a", ""), 401).Get("error.code").Str)

	req, err := http.NewRequestWithContext(t.Context(), "POST", u.url+chatPath, strings.NewReader(chat("a", "")))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer k")
	resp, err := u.client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)

	// The refused call counts, asking for the model list and the health does not.
	health := u.do("GET", "/healthz", "")
	require.Equal(t, "ok", health.Get("status").Str)
	require.EqualValues(t, 2, health.Get("calls").Int())

	open := serve(t, simulator.Options{})
	require.Equal(t, "sim-embed", open.do("GET", "/v1/models", "").Get("data.2.id").Str)
	require.Equal(t, "model", open.do("GET", "/v1/models/sim-large", "").Get("object").Str)
	require.Equal(t, "model_not_found", open.refused("GET", "/v1/models/gpt-9", "", 404).Get("error.code").Str)
}

func TestBadRequestsAnswerInTheEnvelope(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	tests := []struct {
		name, method, path, body string
		status                   int
		param, code              string
	}{
		{"unknown route", "POST", "/v1/x", `{}`, 404, "", ""},
		{"wrong method", "GET", chatPath, "", 405, "", ""},
		{"wrong method on models", "POST", "/v1/models", "", 405, "", ""},
		{"bad JSON", "POST", chatPath, `{"model":`, 400, "", ""},
		{"no object", "POST", chatPath, `[]`, 400, "", ""},
		{"too deep", "POST", chatPath, strings.Repeat("[", 1<<20), 400, "", ""},
		{"no model", "POST", chatPath, `{"messages":[]}`, 400, "model", "missing_required_parameter"},
		{"model of a wrong type", "POST", chatPath, `{"model":1}`, 400, "model", "invalid_type"},
		{"unknown model", "POST", chatPath, `{"model":"a\"b\u0000é"}`, 404, "model", "model_not_found"},
		{"unsuited model", "POST", chatPath, `{"model":"sim-embed"}`, 404, "model", "model_not_found"},
		{"unsuited model for vectors", "POST", "/v1/embeddings", `{"model":"sim-small"}`, 404, "model", "model_not_found"},
		{"no messages", "POST", chatPath, `{"model":"sim-small"}`, 400, "messages", "missing_required_parameter"},
		{"messages of a wrong type", "POST", chatPath, `{"model":"sim-small","messages":"a"}`, 400, "messages", "invalid_type"},
		{"empty messages", "POST", chatPath, `{"model":"sim-small","messages":[]}`, 400, "messages", "empty_array"},
		{"message of a wrong type", "POST", chatPath, `{"model":"sim-small","messages":[1]}`, 400, "messages", "invalid_type"},
		{"no prompt", "POST", "/v1/completions", `{"model":"sim-small"}`, 400, "prompt", "missing_required_parameter"},
		{"no response input", "POST", "/v1/responses", `{"model":"sim-small"}`, 400, "input", "missing_required_parameter"},
		{"no input", "POST", "/v1/embeddings", `{"model":"sim-embed"}`, 400, "input", "missing_required_parameter"},
		{"mixed input", "POST", "/v1/embeddings", `{"model":"sim-embed","input":["a",1]}`, 400, "input", "invalid_type"},
		{"mixed tokens", "POST", "/v1/embeddings", `{"model":"sim-embed","input":[1,"a"]}`, 400, "input", "invalid_type"},
		{"unknown encoding", "POST", "/v1/embeddings", `{"model":"sim-embed","input":"a","encoding_format":"x"}`, 400, "encoding_format", "invalid_value"},
		{"no moderation input", "POST", "/v1/moderations", `{"model":"sim-small"}`, 400, "input", "missing_required_parameter"},
		{"no image prompt", "POST", "/v1/images/generations", `{"model":"sim-small"}`, 400, "prompt", "missing_required_parameter"},
		{"n too high", "POST", chatPath, chat("a", `,"n":9`), 400, "n", "integer_above_max_value"},
		{"limit too low", "POST", chatPath, chat("a", `,"max_tokens":0`), 400, "max_tokens", "integer_below_min_value"},
		{"limit of a wrong type", "POST", chatPath, chat("a", `,"max_tokens":1.5`), 400, "max_tokens", "invalid_type"},
		{"unknown directive", "POST", chatPath, chat("[[sim:dance]]", ""), 400, "", "invalid_directive"},
		{"open directive", "POST", chatPath, chat("[[sim:hang", ""), 400, "", "invalid_directive"},
		{"bad value", "POST", chatPath, chat("[[sim:status=200]]", ""), 400, "", "invalid_directive"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := u.refused(tt.method, tt.path, tt.body, tt.status)
			require.Equal(t, tt.param, got.Get("error.param").Str)
			require.Equal(t, tt.code, got.Get("error.code").Str)
			require.Equal(t, "invalid_request_error", got.Get("error.type").Str)
		})
	}
}

func TestBodyOverTheLimitAnswers413(t *testing.T) {
	t.Parallel()
	sim := simulator.New(simulator.Options{})
	for name, length := range map[string]int64{"declared": 64<<20 + 1, "chunked": -1} {
		t.Run(name, func(t *testing.T) {
			got := record(t, sim, &endless{left: 64<<20 + 1}, length)
			require.Equal(t, http.StatusRequestEntityTooLarge, got.Code)
			require.Contains(t, got.Body.String(), `"invalid_request_error"`)
		})
	}
}
