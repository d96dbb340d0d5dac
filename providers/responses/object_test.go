package responses_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers/responses"
)

// required are the keys that OpenAI's document wants in every response.
var required = []string{
	"id", "object", "created_at", "error", "incomplete_details", "instructions", "model", "tools", "output",
	"parallel_tool_calls", "metadata", "tool_choice", "temperature", "top_p",
}

func TestObjectInEachState(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		state                   string
		completed, failure, why string
	}{
		{responses.Queued, "null", "null", "null"},
		{responses.InProgress, "null", "null", "null"},
		{responses.Completed, "105", "null", "null"},
		{responses.Incomplete, "null", "null", `{"reason":"max_output_tokens"}`},
		{responses.Failed, "null", `{"code":"server_error","message":"it \"broke\""}`, "null"},
		{responses.Cancelled, "null", "null", "null"},
	} {
		t.Run(tt.state, func(t *testing.T) {
			t.Parallel()
			o := object(t, question)
			o.Status, o.Reason = tt.state, "max_output_tokens"
			o.Error = responses.Failure{Code: responses.ServerError, Message: `it "broke"`}
			v := requireJSON(t, o.JSON())
			require.Empty(t, repeatedKeys(v))
			for _, key := range required {
				require.True(t, v.Get(key).Exists(), key)
			}
			require.Equal(t, tt.state, v.Get("status").Str)
			require.Equal(t, tt.completed, v.Get("completed_at").Raw)
			require.Equal(t, tt.failure, v.Get("error").Raw)
			require.Equal(t, tt.why, v.Get("incomplete_details").Raw)
			require.Equal(t, "null", v.Get("usage").Raw)
			require.Equal(t, "100", v.Get("created_at").Raw)
			require.False(t, v.Get("output_text").Exists())
		})
	}
}

func TestObjectRepeatsItsRequest(t *testing.T) {
	t.Parallel()
	o := object(t, `{"model":"m","input":"hi","background":true,"store":true,"instructions":"be","previous_response_id":"resp_0","temperature":0.0,"top_p":1e0,`+
		`"metadata":{"a":"b"},"text":{"verbosity":"low"},"tools":[{"type":"function","name":"f"},{"type":"web_search"}],"tool_choice":"required","max_output_tokens":16}`)
	v := requireJSON(t, o.JSON())
	for key, want := range map[string]string{
		"instructions": `"be"`, "previous_response_id": `"resp_0"`, "temperature": "0.0", "top_p": "1e0", "metadata": `{"a":"b"}`,
		"text": `{"verbosity":"low","format":{"type":"text"}}`, "tool_choice": `"required"`, "max_output_tokens": "16", "background": "true", "store": "true",
		"tools": `[{"type":"function","name":"f","parameters":null,"strict":null},{"type":"web_search"}]`,
	} {
		require.Equal(t, want, v.Get(key).Raw, key)
	}
}

func TestFromChat(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body, status, reason, output string }{
		{
			"text", chat(`{"role":"assistant","content":"h\u0069","refusal":null}`, "stop"), "completed", "",
			`[{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"h\u0069","annotations":[],"logprobs":[]}]}]`,
		},
		{
			"a refusal", chat(`{"content":null,"refusal":"no"}`, "stop"), "completed", "",
			`[{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"refusal","refusal":"no"}]}]`,
		},
		{
			"calls", chat(`{"content":"so","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},{"id":"c2","type":"function","function":{"name":"g","arguments":""}}]}`, "tool_calls"), "completed", "",
			`[{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"so","annotations":[],"logprobs":[]}]},` +
				`{"id":"fc_2","type":"function_call","status":"completed","arguments":"{\"x\":1}","call_id":"c1","name":"f"},{"id":"fc_3","type":"function_call","status":"completed","arguments":"","call_id":"c2","name":"g"}]`,
		},
		{
			"cut", chat(`{"content":"long"}`, "length"), "incomplete", "max_output_tokens",
			`[{"id":"msg_1","type":"message","status":"incomplete","role":"assistant","content":[{"type":"output_text","text":"long","annotations":[],"logprobs":[]}]}]`,
		},
		{
			"filtered", chat(`{"content":"bad"}`, "content_filter"), "incomplete", "content_filter",
			`[{"id":"msg_1","type":"message","status":"incomplete","role":"assistant","content":[{"type":"output_text","text":"bad","annotations":[],"logprobs":[]}]}]`,
		},
		{
			"not a word", chat(`{"content":""}`, "stop"), "completed", "",
			`[{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"","annotations":[],"logprobs":[]}]}]`,
		},
		{
			"parts", chat(`{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}`, "stop"), "completed", "",
			`[{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"ab","annotations":[],"logprobs":[]}]}]`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, err := responses.FromChat(object(t, question), []byte(tt.body), counter())
			require.NoError(t, err)
			v := requireJSON(t, o.JSON())
			require.Equal(t, tt.status, v.Get("status").Str)
			require.Equal(t, tt.reason, v.Get("incomplete_details.reason").Str)
			require.Equal(t, tt.output, v.Get("output").Raw)
			require.Equal(t, "m-2026", v.Get("model").Str)
			require.Equal(t, `"flex"`, v.Get("service_tier").Raw)
			require.Equal(t, `{"input_tokens":7,"input_tokens_details":{"cached_tokens":2,"cache_write_tokens":0},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":12}`, v.Get("usage").Raw)
		})
	}
}

func chat(message, finish string) string {
	return `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m-2026","service_tier":"flex","choices":[{"index":0,"message":` + message +
		`,"logprobs":null,"finish_reason":"` + finish + `"}],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":3}}}`
}

func TestFromChatWithOdds(t *testing.T) {
	t.Parallel()
	body := `{"choices":[{"message":{"content":"a"},"logprobs":{"content":[{"token":"a","logprob":-0.10,"bytes":[97],"top_logprobs":[]}]},"finish_reason":"stop"}]}`
	o, err := responses.FromChat(object(t, question), []byte(body), counter())
	require.NoError(t, err)
	require.Equal(t, `[{"token":"a","logprob":-0.10,"bytes":[97],"top_logprobs":[]}]`, requireJSON(t, o.Output).Get("0.content.0.logprobs").Raw)
	require.Nil(t, o.Usage)
}

func TestFromNative(t *testing.T) {
	t.Parallel()
	body := `{ "id":"resp_theirs","object":"response","created_at":1.0,"status":"completed","completed_at":2.0,"background":false,"error":null,"incomplete_details":null,` +
		`"instructions":null,"metadata":{},"model":"m-2026","output": [ {"type":"vendor_call","vendor":1e0},{"type":"message", "id":"msg_x","role":"assistant","status":"completed","content": [ {"type":"output_text","text":"h\u0069","annotations":[],"logprobs":[]} ]}],"output_text":"x","store":false,"previous_response_id":null,` +
		`"temperature":0.70,"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3,"vendor":true},"vendor_key":12345678901234567890 }`
	o := object(t, `{"model":"m","input":"hi","background":true,"instructions":"be","previous_response_id":"resp_0","metadata":{"a":"b"}}`)
	state, got, err := responses.FromNative(o, []byte(body), counter())
	require.NoError(t, err)
	require.Equal(t, responses.Completed, state)
	v := requireJSON(t, got)
	require.Empty(t, repeatedKeys(v))
	for key, want := range map[string]string{
		"id": `"resp_1"`, "created_at": "100", "completed_at": "105", "background": "true", "store": "true", "previous_response_id": `"resp_0"`,
		"metadata": `{"a":"b"}`, "instructions": `"be"`, "model": `"m-2026"`, "temperature": "0.70",
		"output":     `[ {"type":"vendor_call","vendor":1e0},{"type":"message", "id":"msg_x","role":"assistant","status":"completed","content": [ {"type":"output_text","text":"h\u0069","annotations":[],"logprobs":[]} ]}]`,
		"vendor_key": "12345678901234567890", "tools": "[]", "tool_choice": `"auto"`, "top_p": "1", "output_text": "",
		"usage": `{"input_tokens":1,"output_tokens":2,"total_tokens":3,"vendor":true,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens_details":{"reasoning_tokens":0}}`,
	} {
		require.Equal(t, want, v.Get(key).Raw, key)
	}
}

func TestFromNativeStates(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body, state, check, want string }{
		{"incomplete", `{"status":"incomplete","incomplete_details":{"reason":"content_filter","more":1}}`, "incomplete", "incomplete_details", `{"reason":"content_filter","more":1}`},
		{"incomplete by its details", `{"incomplete_details":{"reason":"max_output_tokens"}}`, "incomplete", "status", `"incomplete"`},
		{"failed with a code of OpenAI's", `{"status":"failed","error":{"code":"bio_policy","message":"x"}}`, "failed", "error", `{"code":"bio_policy","message":"x"}`},
		{"failed with another code", `{"status":"failed","error":{"code":"oops","message":"x"}}`, "failed", "error.code", `"server_error"`},
		{"failed by its error", `{"error":{"code":"rate_limit_reached","message":"x"}}`, "failed", "error.code", `"rate_limit_exceeded"`},
		{"silent", `{"output":[]}`, "completed", "status", `"completed"`},
		{"nothing where lists belong", `{"status":"completed","output":null,"tools":null}`, "completed", "output", `[]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			state, got, err := responses.FromNative(object(t, question), []byte(tt.body), counter())
			require.NoError(t, err)
			v := requireJSON(t, got)
			require.Equal(t, tt.state, state)
			require.Equal(t, tt.state, v.Get("status").Str)
			require.Equal(t, tt.want, v.Get(tt.check).Raw)
			for _, key := range required {
				require.True(t, v.Get(key).Exists(), key)
			}
		})
	}
}
