package responses_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers/responses"
)

func TestNativeShapesAreMadeWhole(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body, key, want string }{
		{"an output of null", `{"status":"completed","output":null}`, "output", `[]`},
		{"tools of null", `{"output":[],"tools":null}`, "tools", `[]`},
		{"a choice of null", `{"output":[],"tool_choice":null}`, "tool_choice", `"auto"`},
		{"parallel or null", `{"output":[],"parallel_tool_calls":null}`, "parallel_tool_calls", `true`},
		{"a model of null", `{"output":[],"model":null}`, "model", `"m"`},
		{"a text of null", `{"output":[],"text":null}`, "text", `{"format":{"type":"text"}}`},
		{"null where it may be", `{"output":[],"temperature":null,"reasoning":null}`, "temperature", `null`},
		{
			"a bare message", `{"output":[{"type":"message","content":[{"type":"output_text","text":"a"}]}]}`, "output",
			`[{"type":"message","content":[{"type":"output_text","text":"a","annotations":[],"logprobs":[]}],"id":"msg_1","role":"assistant","status":"completed"}]`,
		},
		{
			"a message of nulls", `{"status":"incomplete","output":[{"id":null,"role":null,"type":null,"status":null,"content":"a\u0069"}]}`, "output",
			`[{"id":"msg_1","role":"assistant","type":"message","status":"incomplete","content":[{"type":"output_text","text":"a\u0069","annotations":[],"logprobs":[]}]}]`,
		},
		{
			"parts of nulls", `{"output":[{"type":"message","id":"x","role":"assistant","status":"completed","content":[{"type":"output_text","text":null,"annotations":null,"logprobs":null},{"type":"refusal"}]}]}`, "output",
			`[{"type":"message","id":"x","role":"assistant","status":"completed","content":[{"type":"output_text","text":"","annotations":[],"logprobs":[]},{"type":"refusal","refusal":""}]}]`,
		},
		{
			"content of null", `{"output":[{"type":"message","id":"x","role":"assistant","status":"completed","content":null}]}`, "output",
			`[{"type":"message","id":"x","role":"assistant","status":"completed","content":[]}]`,
		},
		{
			"a bare call", `{"output":[{"type":"function_call","name":"f"}]}`, "output",
			`[{"type":"function_call","name":"f","id":"fc_1","status":"completed","call_id":"call_2","arguments":""}]`,
		},
		{"bare thoughts", `{"output":[{"type":"reasoning"}]}`, "output", `[{"type":"reasoning","id":"rs_1","summary":[]}]`},
		{"a kind of its own", `{"output":[ {"type":"vendor_call", "id":null} ]}`, "output", `[ {"type":"vendor_call", "id":null} ]`},
		{
			"a whole one", `{"output":[ {"type":"message", "id":"x","role":"assistant","status":"completed","content": [ {"type":"output_text","text":"a","annotations":[],"logprobs":[]} ]} ]}`, "output",
			`[ {"type":"message", "id":"x","role":"assistant","status":"completed","content": [ {"type":"output_text","text":"a","annotations":[],"logprobs":[]} ]} ]`,
		},
		{
			"a usage of one count", `{"output":[],"usage":{"input_tokens":3}}`, "usage",
			`{"input_tokens":3,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":0,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":3}`,
		},
		{
			"a usage of nulls", `{"output":[],"usage":{"input_tokens":3,"output_tokens":2,"input_tokens_details":null,"output_tokens_details":{"reasoning_tokens":null},"total_tokens":null}}`, "usage",
			`{"input_tokens":3,"output_tokens":2,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens_details":{"reasoning_tokens":0},"total_tokens":5}`,
		},
		{"no usage", `{"output":[],"usage":null}`, "usage", `null`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, got, err := responses.FromNative(object(t, question), []byte(tt.body), counter())
			require.NoError(t, err)
			v := requireJSON(t, got)
			require.Empty(t, repeatedKeys(v))
			require.Equal(t, tt.want, v.Get(tt.key).Raw)
			for _, key := range required {
				require.True(t, v.Get(key).Exists(), key)
			}
		})
	}
}

// An event's type stands in a line of its own in the stream.
func TestNativeEventTypes(t *testing.T) {
	t.Parallel()
	for typ, passes := range map[string]bool{
		"response.output_text.delta":  true,
		"response.v2_part.added":      true,
		"keepalive":                   true,
		strings.Repeat("x", 64):       true,
		"":                            false,
		strings.Repeat("x", 65):       false,
		`x\ndata: {\"type\":\"lie\"}`: false,
		`x\r`:                         false,
		"response.output text.delta":  false,
		"Response.Delta":              false,
		"response.\u00e9":             false,
	} {
		s := responses.NewNativeStream(3, counter())
		require.Equal(t, passes, len(s.Push("", []byte(`{"type":"`+typ+`","delta":"a"}`))) == 1, "%q", typ)
		if !strings.Contains(typ, `\`) {
			require.Equal(t, passes, len(s.Push(typ, []byte(`{"delta":"a"}`))) == 1, "%q by its field", typ)
		}
	}
	require.Empty(t, responses.NewNativeStream(3, counter()).Push("x\nid: 1", []byte(`{"delta":"a"}`)))
}

// An answer in one piece makes the events that it would have had in many.
func TestWholeAnswersAreRetold(t *testing.T) {
	t.Parallel()
	const odds = `[{"token":"a","logprob":-0.10,"bytes":[97],"top_logprobs":[]}]`
	native := responses.NewNativeStream(9, counter())
	native.Whole([]byte(`{"status":"completed","output":[{"type":"vendor_call","x":1e0},{"type":"message","content":[{"type":"output_text","text":"h\u0069","logprobs":` + odds + `},{"type":"refusal","refusal":"no"},{"type":"hologram"}]},` +
		`{"type":"function_call","id":"fc_x","call_id":"c","name":"f","arguments":"{\"x\":1}"}]}`))
	_, object9, events, err := native.Finish(object(t, question))
	require.NoError(t, err)
	requireGapless(t, 9, events)
	require.Equal(t, []string{
		"output_item.added", "output_item.done",
		"output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done",
		"content_part.added", "refusal.delta", "refusal.done", "content_part.done", "content_part.added", "content_part.done", "output_item.done",
		"output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
	}, strings.Split(strings.ReplaceAll(strings.Join(types(events), " "), "response.", ""), " "))
	item := func(n int) string { return requireJSON(t, events[n].Data).Get("item").Raw }
	require.Equal(t, `{"type":"vendor_call","x":1e0}`, item(0))
	require.Equal(t, `{"type":"message","content":[],"id":"msg_1","role":"assistant","status":"in_progress"}`, item(2))
	require.Equal(t, `{"type":"response.output_text.delta","sequence_number":13,"item_id":"msg_1","output_index":1,"content_index":0,"delta":"h\u0069","logprobs":`+odds+`}`, string(events[4].Data))
	require.Equal(t, `{"type":"response.refusal.done","sequence_number":18,"item_id":"msg_1","output_index":1,"content_index":1,"refusal":"no"}`, string(events[9].Data))
	require.Equal(t, `{"type":"response.function_call_arguments.done","sequence_number":25,"item_id":"fc_x","output_index":2,"name":"f","arguments":"{\"x\":1}"}`, string(events[16].Data))
	require.Equal(t, requireJSON(t, object9).Get("output").Raw, "["+item(1)+","+item(13)+","+item(17)+"]")

	chatted := responses.NewChatStream(9, counter())
	chatted.Whole([]byte(chat(`{"content":"a","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}}]}`, "stop")))
	_, events, err = chatted.Finish(object(t, question))
	require.NoError(t, err)
	requireGapless(t, 9, events)
	require.Equal(t, "output_item.added content_part.added output_text.delta output_text.done content_part.done output_item.done "+
		"output_item.added function_call_arguments.delta function_call_arguments.done output_item.done",
		strings.ReplaceAll(strings.Join(types(events), " "), "response.", ""))
}
