package responses_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers/responses"
)

func requireUnreadable(t *testing.T, err error, why string) {
	t.Helper()
	var unreadable responses.Unreadable
	require.ErrorAs(t, err, &unreadable)
	require.Contains(t, string(unreadable), why)
}

func TestChatThatIsNoAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body, why string }{
		{"another object", `{"foo":1}`, "no message"},
		{"no choice", `{"choices":[]}`, "no message"},
		{"choices that are none", `{"choices":"x"}`, "no message"},
		{"no message", `{"choices":[{"index":0,"finish_reason":"stop"}]}`, "no message"},
		{"an empty message", `{"choices":[{"message":{}}]}`, "no message"},
		{"another choice alone", `{"choices":[{"index":1,"message":{"content":"b"}}]}`, "no message"},
		{"content that is a number", chat(`{"content":7}`, "stop"), "content"},
		{"content that is an object", chat(`{"content":{"text":"a"}}`, "stop"), "content"},
		{"a call of nothing", chat(`{"tool_calls":[{"id":"c","function":{"arguments":"{}"}}]}`, "stop"), "without naming"},
		{"an error at its end", chat(`{"content":"a"}`, "error"), "'error'"},
		{"broken off", chat(`{"content":"a"}`, "abort"), "'abort'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := responses.FromChat(object(t, question), []byte(tt.body), counter())
			requireUnreadable(t, err, tt.why)
		})
	}
}

func TestChatStreamThatIsNoAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		chunks []string
		why    string
	}{
		{"nothing", []string{`[DONE]`}, "no message"},
		{"another object", []string{`{"foo":1}`, `[DONE]`}, "no message"},
		{"no choice", []string{`{"choices":[]}`, `[DONE]`}, "no message"},
		{"an end alone", []string{`{"choices":[{"finish_reason":"stop"}]}`}, "no message"},
		{"cut", []string{chunk(`{"content":"a"}`, "null"), `[DONE]`}, "finish_reason"},
		{"an error at its end", []string{chunk(`{"content":"a"}`, "null"), chunk(`{}`, `"error"`)}, "'error'"},
		{"broken off", []string{chunk(`{"content":"a"}`, `"abort"`)}, "'abort'"},
		{"a call of nothing", []string{chunk(`{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}`, `"tool_calls"`)}, "without naming"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := responses.NewChatStream(responses.FirstNumber, counter())
			for _, c := range tt.chunks {
				s.Push([]byte(c))
			}
			_, events, err := s.Finish(object(t, question))
			requireUnreadable(t, err, tt.why)
			require.Empty(t, events)
		})
	}
}

func TestChatThatIsOneAllTheSame(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body, status, text string }{
		{"without a finish_reason", `{"choices":[{"message":{"content":"a"}}]}`, "completed", "a"},
		{"not the first of its choices", `{"choices":[{"index":1,"message":{"content":"b"},"finish_reason":"length"},{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]}`, "completed", "a"},
		{"cut at its context", `{"choices":[{"message":{"content":"a"},"finish_reason":"model_length"}]}`, "incomplete", "a"},
		{"nothing to say", `{"choices":[{"message":{"role":"assistant","content":null},"finish_reason":"stop"}]}`, "completed", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, err := responses.FromChat(object(t, question), []byte(tt.body), counter())
			require.NoError(t, err)
			require.Equal(t, tt.status, o.Status)
			require.Equal(t, tt.text, requireJSON(t, o.Output).Get("0.content.0.text").Str)
		})
	}
	o, _ := played(t, `{"choices":[{"index":1,"delta":{"content":"b"},"finish_reason":"length"},{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}`)
	require.Equal(t, "a", requireJSON(t, o.Output).Get("0.content.0.text").Str)
	require.Equal(t, "completed", o.Status)
}

func TestNativeThatIsNoAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body, why string }{
		{"no object", `[]`, "no response"},
		{"another object", `{"foo":1}`, "no response"},
		{"nothing but null", `{"output":null,"status":null,"error":null}`, "no response"},
		{"not done", `{"status":"in_progress","output":[]}`, "in_progress"},
		{"cancelled", `{"status":"cancelled","output":[]}`, "cancelled"},
		{"an output that is a text", `{"status":"completed","output":"x"}`, "no list"},
		{"an item that is a text", `{"status":"completed","output":["x"]}`, "no item"},
		{"a call of nothing", `{"output":[{"type":"function_call","arguments":"{}"}]}`, "without naming"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := responses.FromNative(object(t, question), []byte(tt.body), counter())
			requireUnreadable(t, err, tt.why)
		})
	}
}

func TestNativeStreamThatIsNoAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, data, why string }{
		{"no response", `{"type":"response.output_text.delta","delta":"a"}`, "without a response"},
		{"a cancelled one", `{"type":"response.cancelled","response":{"status":"cancelled","output":[]}}`, "cancelled"},
		{"a cancelled one that says it is done", `{"type":"response.cancelled","response":{"status":"completed","output":[]}}`, "cancelled"},
		{"an empty one", `{"type":"response.completed","response":{}}`, "no response"},
		{"none at its end", `{"type":"response.completed"}`, "no response"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := responses.NewNativeStream(3, counter())
			require.NotContains(t, types(s.Push("", []byte(tt.data))), "response.cancelled")
			_, _, events, err := s.Finish(object(t, question))
			requireUnreadable(t, err, tt.why)
			require.Empty(t, events)
		})
	}
}
