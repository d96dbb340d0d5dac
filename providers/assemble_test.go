package providers

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

func assembled(t *testing.T, chunks ...string) string {
	t.Helper()
	var a Assembly
	for _, c := range chunks {
		require.NoError(t, a.Add([]byte(c)))
	}
	body, err := a.Body()
	require.NoError(t, err)
	require.True(t, rawjson.Valid(body), "%s", body)
	again, err := a.Body()
	require.NoError(t, err)
	require.Equal(t, string(body), string(again))
	return string(body)
}

// delta is a chunk of one choice.
func delta(text string) string { return `{"choices":[{"index":0,"delta":` + text + `}]}` }

// said is the message put together from deltas.
func said(t *testing.T, deltas ...string) string {
	t.Helper()
	var chunks []string
	for _, d := range deltas {
		chunks = append(chunks, delta(d))
	}
	return gjson.Get(assembled(t, chunks...), "choices.0.message").Raw
}

func TestAssemblyOfAChat(t *testing.T) {
	t.Parallel()
	chunk := func(choices, rest string) string {
		return `{"id":"c1","object":"chat.completion.chunk","created":12345678901234567890,"model":"m","service_tier":"default","system_fingerprint":"fp","obfuscation":"xyz","choices":[` + choices + `]` + rest + `}`
	}
	got := assembled(t,
		chunk(`{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}`, `,"usage":null`),
		chunk(`{"index":1,"delta":{"role":"assistant","content":"Zwei"},"logprobs":null,"finish_reason":null}`, `,"usage":null`),
		chunk(`{"index":0,"delta":{"content":"Hel"},"logprobs":{"content":[{"token":"Hel","logprob":-0.10}],"refusal":null},"finish_reason":null}`, ``),
		chunk(`{"index":0,"delta":{"content":"lo"},"logprobs":{"content":[{"token":"lo","logprob":-1E0}],"refusal":null},"finish_reason":null}`, ``),
		chunk(`{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}`, ``),
		chunk(`{"index":1,"delta":{},"logprobs":null,"finish_reason":"length"}`, ``),
		chunk(``, `,"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}`),
	)
	require.Equal(t, `{"id":"c1","object":"chat.completion","created":12345678901234567890,"model":"m","service_tier":"default","system_fingerprint":"fp","choices":[`+
		`{"index":0,"message":{"role":"assistant","content":"Hello","refusal":null},"logprobs":{"content":[{"token":"Hel","logprob":-0.10},{"token":"lo","logprob":-1E0}],"refusal":null},"finish_reason":"stop"},`+
		`{"index":1,"message":{"role":"assistant","content":"Zwei"},"logprobs":null,"finish_reason":"length"}`+
		`],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}`, got)
}

func TestAssemblyOfACompletion(t *testing.T) {
	t.Parallel()
	require.Equal(t, `{"id":"c1","object":"text_completion","choices":[{"index":0,"text":"Hello","logprobs":{"tokens":["Hel","lo"],"text_offset":[0,3]},"finish_reason":"stop"}],"usage":{"completion_tokens":2}}`, assembled(t,
		`{"id":"c1","object":"text_completion","choices":[{"text":"Hel","index":0,"logprobs":{"tokens":["Hel"],"text_offset":[0]},"finish_reason":null}]}`,
		`{"id":"c1","object":"text_completion","choices":[{"text":"lo","index":0,"logprobs":{"tokens":["lo"],"text_offset":[3]},"finish_reason":"stop"}]}`,
		`{"id":"c1","object":"text_completion","choices":[],"usage":{"completion_tokens":2}}`))
}

func TestAssemblyOfAResponse(t *testing.T) {
	t.Parallel()
	var a Assembly
	require.NoError(t, a.Add([]byte(`{"type":"response.created","response":{"id":"r","status":"in_progress"}}`)))
	_, err := a.Body()
	require.Error(t, err)
	for range 3 {
		require.NoError(t, a.Add([]byte(`{"type":"response.output_text.delta","delta":"a"}`)))
	}
	require.EqualValues(t, 3, a.Tokens())
	require.NoError(t, a.Add([]byte(`{"type":"response.incomplete","response":{ "id":"r", "n":1.0,"usage":{"output_tokens":7}}}`)))
	require.EqualValues(t, 7, a.Tokens())
	body, err := a.Body()
	require.NoError(t, err)
	require.Equal(t, `{ "id":"r", "n":1.0,"usage":{"output_tokens":7}}`, string(body))
	require.Error(t, a.Add([]byte(`{"type":"response.completed"}`)))
}

func TestAssemblyJoinsWhatBelongsTogether(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		deltas []string
		want   string
	}{
		"a pair of surrogates": {
			[]string{`{"content":"a\ud83d"}`, `{"content":"\ude00 \u0000"}`, `{"content":"😀"}`},
			`{"content":"a\ud83d\ude00 \u0000😀","role":"assistant"}`,
		},
		"reasoning": {
			[]string{`{"role":"assistant","content":null,"reasoning_content":"a"}`, `{"reasoning_content":"b"}`, `{"reasoning_content":null,"content":"c"}`},
			`{"role":"assistant","content":"c","reasoning_content":"ab"}`,
		},
		"a role that is repeated": {
			[]string{`{"role":"assistant","content":"a"}`, `{"role":"assistant","content":"b"}`},
			`{"role":"assistant","content":"ab"}`,
		},
		"unknown members": {
			[]string{`{"x":"a","n":1.0,"list":[1]}`, `{"x":"b","n":123456789012345678901234567890,"list":[2, 3],"null":null}`},
			`{"x":"ab","n":123456789012345678901234567890,"list":[2, 3],"role":"assistant","content":null,"null":null}`,
		},
		"tool calls": {
			[]string{
				`{"role":"assistant","content":null,"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":""}}]}`,
				`{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\""}},{"index":1,"function":{"arguments":"{}"}}]}`,
				`{"tool_calls":[{"index":0,"function":{"arguments":":\"\ud83d"}}]}`,
				`{"tool_calls":[{"index":0,"id":"","type":"function","function":{"name":"","arguments":"\ude00\"}"}}]}`,
			},
			`{"role":"assistant","content":null,"tool_calls":[` +
				`{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":\"\ud83d\ude00\"}"}},` +
				`{"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]}`,
		},
		"tool calls without an index": {
			[]string{
				`{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"1"}},{"id":"b","function":{"name":"f","arguments":"2"}}]}`,
				`{"tool_calls":[{"function":{"arguments":"3"}}]}`, `{"tool_calls":[{"id":"b","function":{"name":"f","arguments":"4"}}]}`,
			},
			`{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"1"}},{"id":"b","function":{"name":"f","arguments":"234"}}],"role":"assistant","content":null}`,
		},
		"a name in two halves": {
			[]string{`{"function_call":{"name":"get_","arguments":"{"}}`, `{"function_call":{"name":"weather","arguments":"}"}}`},
			`{"function_call":{"name":"get_weather","arguments":"{}"},"role":"assistant","content":null}`,
		},
		"a type that changes": {
			[]string{`{"content":"a"}`, `{"content":[{"type":"text"}]}`, `{"content":"b"}`},
			`{"content":"b","role":"assistant"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, said(t, test.deltas...))
		})
	}
}

func TestAssemblyTakesTheFirstThatSaysSomething(t *testing.T) {
	t.Parallel()
	got := assembled(t,
		`{"id":"","model":"","created":0,"object":"","system_fingerprint":null,"prompt_filter_results":[1],"choices":[]}`,
		`{"id":"a","model":"m","created":1,"object":"chat.completion.chunk","system_fingerprint":"f","choices":[{"delta":{"content":"x"},"content_filter_results":{}}]}`,
		`{"id":"b","model":"n","created":2,"choices":null,"usage":{"completion_tokens":1},"choices2":[]}`,
		`{"choices":[{"index":0,"content_filter_results":{"n":1.0}}],"usage":{"completion_tokens":2}}`,
	)
	require.Equal(t, `{"id":"a","model":"m","created":1,"object":"chat.completion","system_fingerprint":"f","prompt_filter_results":[1],`+
		`"choices":[{"index":0,"message":{"content":"x","role":"assistant"},"content_filter_results":{"n":1.0},"finish_reason":null}],`+
		`"usage":{"completion_tokens":2},"choices2":[]}`, got)
}

func TestAssemblyCountsTokens(t *testing.T) {
	t.Parallel()
	var a Assembly
	for _, step := range []struct {
		chunk string
		want  int64
	}{
		{delta(`{"role":"assistant","content":"","refusal":null}`), 0},
		{delta(`{"content":"a"}`), 1},
		{delta(`{"role":"assistant","reasoning_content":"b"}`), 2},
		{delta(`{"tool_calls":[{"index":0}]}`), 3},
		{delta(`{}`), 3},
		{`{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"a"}}]}`, 5},
		{`{"choices":[{"index":0,"text":"a"}],"usage":null}`, 6},
		{`{"choices":[],"usage":{"completion_tokens":4}}`, 4},
		{delta(`{"content":"a"}`), 4},
	} {
		require.NoError(t, a.Add([]byte(step.chunk)))
		require.Equal(t, step.want, a.Tokens(), step.chunk)
	}
}

func TestAssemblyRefuses(t *testing.T) {
	t.Parallel()
	var a Assembly
	for _, bad := range []string{
		``, `[]`, `"x"`, `{`, "{\"a\":\"\xff\"}", strings.Repeat("[", 20_000),
		`{"choices":[{"index":-1}]}`, `{"choices":[{"index":1024}]}`, `{"choices":[{"index":0.5}]}`, `{"choices":[{"index":"0"}]}`, `{"choices":[1]}`,
	} {
		require.Error(t, a.Add([]byte(bad)), "%.40s", bad)
	}
	_, err := a.Body()
	require.Error(t, err)
	require.NoError(t, a.Add([]byte(`{"id":"c","choices":[]}`)))
	_, err = a.Body()
	require.Error(t, err)
}

// What is added may be overwritten: a stream reuses its buffer.
func TestAssemblyKeepsNothingOfTheChunk(t *testing.T) {
	t.Parallel()
	var a Assembly
	chunk := []byte(`{"id":"c","x":"y","choices":[{"index":0,"delta":{"content":"a","y":"z"}}]}`)
	require.NoError(t, a.Add(chunk))
	clear(chunk)
	body, err := a.Body()
	require.NoError(t, err)
	require.Equal(t, `{"id":"c","x":"y","choices":[{"index":0,"message":{"content":"a","y":"z","role":"assistant"},"finish_reason":null}],"object":"chat.completion"}`, string(body))
}

// FuzzAssembly feeds lines as chunks: whatever they are, the answer is JSON and
// not longer than what came plus what a plain answer always has.
func FuzzAssembly(f *testing.F) {
	for _, seed := range []string{
		delta(`{"content":"a\ud83d"}`) + "\n" + delta(`{"content":"\ude00","tool_calls":[{"index":0,"function":{"name":"f","arguments":"{"}},{"id":"x"}]}`),
		`{"id":"c","object":"chat.completion.chunk","choices":[{"index":1,"delta":{"role":"assistant","audio":{"id":"a","data":"x"}},"logprobs":{"content":[1]}}],"usage":{"completion_tokens":1}}`,
		`{"type":"response.completed","response":{"usage":{"output_tokens":1}}}`, `{"choices":[{"text":"a","\u0069ndex":0}]}`,
		`{"choices":[{"delta":{"content":{"a":1}}}]}` + "\n" + delta(`{"content":"x","tool_calls":"y"}`) + "\n" + delta(`{"tool_calls":[1,[{}]],"function_call":3}`),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var a Assembly
		chunks := strings.Split(text, "\n")
		for _, chunk := range chunks {
			_ = a.Add([]byte(chunk))
		}
		body, err := a.Body()
		if err != nil {
			require.Nil(t, body)
			return
		}
		require.True(t, json.Valid(body) && body[0] == '{', "%q", body)
		require.LessOrEqual(t, len(body), len(text)+120*(len(chunks)+strings.Count(text, "{")))
		require.LessOrEqual(t, a.Tokens(), max(int64(maxCount), int64(len(text))))
	})
}
