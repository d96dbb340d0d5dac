package responses_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers/responses"
)

func chunk(delta, finish string) string {
	return `{"id":"c","object":"chat.completion.chunk","model":"m-2026","choices":[{"index":0,"delta":` + delta + `,"logprobs":null,"finish_reason":` + finish + `}],"usage":null}`
}

// played is all that a chat's chunks become.
func played(t *testing.T, chunks ...string) (responses.Object, []responses.Event) {
	t.Helper()
	s := responses.NewChatStream(responses.FirstNumber, counter())
	var events []responses.Event
	for _, c := range chunks {
		events = append(events, s.Push([]byte(c))...)
	}
	o, last, err := s.Finish(object(t, question))
	require.NoError(t, err)
	events = append(events, last...)
	requireGapless(t, responses.FirstNumber, events)
	return o, events
}

func TestChatStreamOfText(t *testing.T) {
	t.Parallel()
	o, events := played(t,
		chunk(`{"role":"assistant","content":"","refusal":null}`, "null"),
		chunk(`{"content":"a\ud83d"}`, "null"), chunk(`{"content":"\ude00"}`, "null"), chunk(`{}`, `"stop"`),
		`{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`, `[DONE]`,
	)
	require.Equal(t, []string{
		"response.output_item.added", "response.content_part.added", "response.output_text.delta", "response.output_text.delta",
		"response.output_text.done", "response.content_part.done", "response.output_item.done",
	}, types(events))
	require.Equal(t, `{"type":"response.output_item.added","sequence_number":3,"output_index":0,"item":{"id":"msg_1","type":"message","status":"in_progress","role":"assistant","content":[]}}`, string(events[0].Data))
	require.Equal(t, `{"type":"response.content_part.added","sequence_number":4,"item_id":"msg_1","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]}}`, string(events[1].Data))
	require.Equal(t, `{"type":"response.output_text.delta","sequence_number":5,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"a\ud83d","logprobs":[]}`, string(events[2].Data))
	require.Equal(t, `{"type":"response.output_text.done","sequence_number":7,"item_id":"msg_1","output_index":0,"content_index":0,"text":"a\ud83d\ude00","logprobs":[]}`, string(events[4].Data))
	v := requireJSON(t, o.JSON())
	require.Equal(t, "a😀", v.Get("output.0.content.0.text").String())
	require.Equal(t, int64(3), v.Get("usage.total_tokens").Int())
	require.Equal(t, "completed", v.Get("status").Str)
}

func TestChatStreamOfCalls(t *testing.T) {
	t.Parallel()
	o, events := played(t,
		chunk(`{"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"f","arguments":""}}]}`, "null"),
		chunk(`{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]}`, "null"),
		chunk(`{"tool_calls":[{"index":1,"type":"function","function":{"name":"g","arguments":"{}"}}]}`, "null"),
		chunk(`{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}`, "null"),
		chunk(`{}`, `"tool_calls"`),
	)
	require.Equal(t, []string{
		"response.output_item.added", "response.function_call_arguments.delta", "response.output_item.added",
		"response.function_call_arguments.delta", "response.function_call_arguments.delta",
		"response.function_call_arguments.done", "response.output_item.done", "response.function_call_arguments.done", "response.output_item.done",
	}, types(events))
	require.Equal(t, `{"type":"response.function_call_arguments.done","sequence_number":8,"item_id":"fc_1","output_index":0,"name":"f","arguments":"{\"x\":1}"}`, string(events[5].Data))
	require.Equal(t, `[{"id":"fc_1","type":"function_call","status":"completed","arguments":"{\"x\":1}","call_id":"call_a","name":"f"},`+
		`{"id":"fc_2","type":"function_call","status":"completed","arguments":"{}","call_id":"call_3","name":"g"}]`, string(o.Output))
}

func TestChatStreamOfTextAroundACall(t *testing.T) {
	t.Parallel()
	o, events := played(t,
		chunk(`{"content":"let me see"}`, "null"),
		chunk(`{"tool_calls":[{"index":0,"id":"call_a","function":{"name":"f","arguments":"{}"}}]}`, "null"),
		chunk(`{"content":"done"}`, `"length"`),
	)
	require.Equal(t, []string{
		"response.output_item.added", "response.content_part.added", "response.output_text.delta",
		"response.output_text.done", "response.content_part.done", "response.output_item.done",
		"response.output_item.added", "response.function_call_arguments.delta",
		"response.output_item.added", "response.content_part.added", "response.output_text.delta",
		"response.function_call_arguments.done", "response.output_item.done",
		"response.output_text.done", "response.content_part.done", "response.output_item.done",
	}, types(events))
	v := requireJSON(t, o.Output)
	require.Equal(t, `["completed","completed","incomplete"]`, v.Get("#.status").Raw)
	require.Equal(t, `["message","function_call","message"]`, v.Get("#.type").Raw)
}

func TestChatStreamOfARefusal(t *testing.T) {
	t.Parallel()
	o, events := played(t, chunk(`{"content":"well"}`, "null"), chunk(`{"refusal":"n"}`, "null"), chunk(`{"refusal":"o"}`, `"length"`))
	require.Contains(t, types(events), "response.refusal.done")
	require.Equal(t, `[{"id":"msg_1","type":"message","status":"incomplete","role":"assistant","content":[{"type":"output_text","text":"well","annotations":[],"logprobs":[]},{"type":"refusal","refusal":"no"}]}]`, string(o.Output))
	require.Equal(t, "incomplete", o.Status)
}

// A request may ask for more than one answer; a response has one.
func TestChatStreamHasOneAnswer(t *testing.T) {
	t.Parallel()
	o, _ := played(t, chunk(`{"content":"a"}`, "null"),
		`{"choices":[{"index":1,"delta":{"content":"b"},"finish_reason":"length"}]}`, chunk(`{"content":"c"}`, `"stop"`))
	require.Equal(t, "ac", requireJSON(t, o.Output).Get("0.content.0.text").Str)
	require.Equal(t, "completed", o.Status)
}

func TestChatStreamSaysNothing(t *testing.T) {
	t.Parallel()
	o, events := played(t, chunk(`{}`, `"stop"`))
	require.Equal(t, []string{"response.output_item.added", "response.content_part.added", "response.output_text.done", "response.content_part.done", "response.output_item.done"}, types(events))
	require.Equal(t, "", requireJSON(t, o.Output).Get("0.content.0.text").Str)
}

func TestNativeStream(t *testing.T) {
	t.Parallel()
	s := responses.NewNativeStream(9, counter())
	var events []responses.Event
	for _, e := range [][2]string{
		{"response.created", `{"type":"response.created","sequence_number":0,"response":{}}`},
		{"response.in_progress", `{"type":"response.in_progress","sequence_number":1,"response":{}}`},
		{"response.output_item.added", `{ "type":"response.output_item.added", "sequence_number":2,"item":{"id":"msg_x","big":12345678901234567890},"error":null}`},
		{"response.new_kind", `{"sequence_number":17,"obfuscation":"zz"}`},
		{"response.expiring", `{"type":"response.expiring","response":{"status":"expiring"}}`},
		{"error", `{"type":"error","code":"rate_limit_exceeded"}`},
		{"response.output_text.delta", `{"type":"response.output_text.delta","delta":"h\u0069"}`},
		{"", `[DONE]`},
		{"", `[1]`},
		{"", `no json`},
		{"response.completed", `{"type":"response.completed","sequence_number":9,"response":{"id":"theirs","status":"completed","output":[]}}`},
	} {
		events = append(events, s.Push(e[0], []byte(e[1]))...)
	}
	requireGapless(t, 9, events)
	require.Equal(t, []string{"response.output_item.added", "response.new_kind", "response.output_text.delta"}, types(events))
	require.Equal(t, `{ "type":"response.output_item.added", "sequence_number":9,"item":{"id":"msg_x","big":12345678901234567890}}`, string(events[0].Data))
	require.Equal(t, `{"sequence_number":10,"obfuscation":"zz","type":"response.new_kind"}`, string(events[1].Data))
	state, got, last, err := s.Finish(object(t, question))
	require.NoError(t, err)
	require.Empty(t, last)
	require.Equal(t, responses.Completed, state)
	require.Equal(t, "resp_1", requireJSON(t, got).Get("id").Str)
}

func TestTold(t *testing.T) {
	t.Parallel()
	e := responses.Told(0, "response.created", []byte(`{"id":"resp_1"}`))
	require.Equal(t, `{"type":"response.created","sequence_number":0,"response":{"id":"resp_1"}}`, string(e.Data))
}
