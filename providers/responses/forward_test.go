package responses_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers/responses"
)

func TestNative(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		stream     bool
		want       string
	}{
		{
			"ours goes, the rest stays", `{ "model": "m",  "background":true, "x":1e0 , "input" : "h\u0069","temperature":0.0}`, false,
			`{ "model": "m", "x":1e0 , "input" : "h\u0069","temperature":0.0,"store":false}`,
		},
		{"first and last go", `{"background":true,"model":"m","input":"hi","store":true}`, false, `{"model":"m","input":"hi","store":false}`},
		{
			"streamed", `{"model":"m","input":"hi","stream":true,"stream_options":{"include_obfuscation":false}}`, true,
			`{"model":"m","input":"hi","stream_options":{"include_obfuscation":false},"store":false,"stream":true}`,
		},
		{
			"not streamed", `{"model":"m","input":"hi","stream":true,"stream_options":{"include_obfuscation":false}}`, false,
			`{"model":"m","input":"hi","store":false}`,
		},
		{
			"unknown keys stay, even twice", `{"model":"m","input":"hi","y":1,"y":12345678901234567890}`, false,
			`{"model":"m","input":"hi","y":1,"y":12345678901234567890,"store":false}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, string(responses.Native([]byte(tt.body), tt.stream)))
		})
	}
}

func TestContinue(t *testing.T) {
	t.Parallel()
	const first = `{"model":"m","input":"one"}`
	ended := `{"output":[{"type":"reasoning","id":"rs_1","summary":[]},{"type":"message","id":"msg_1","role":"assistant","content":[]}]}`
	history := responses.History([]byte(first), []byte(ended))
	second := responses.Continue([]byte(`{"model":"m", "previous_response_id":"resp_1","input":[{"role":"user","content":"two"}],"z":1}`), history)
	require.Equal(t, `{"model":"m","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"one"}]},`+
		`{"type":"message","role":"assistant","content":[]},{"role":"user","content":"two"}],"z":1}`, string(second))

	kept := `{"output":[{"type":"reasoning","id":"rs_1","encrypted_content":"x"},{"type":"message","id":"msg_2","role":"assistant","content":"2"}]}`
	third := responses.Continue([]byte(`{"model":"m","input":"three","previous_response_id":"resp_2"}`), responses.History(second, []byte(kept)))
	require.Len(t, requireJSON(t, third).Get("input").Array(), 6)
	require.Equal(t, "msg_2", requireJSON(t, third).Get("input.4.id").Str, "IDs stay where the reasoning does")
}

func TestChat(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		stream     bool
		want       string
	}{
		{"a string", `{"model":"m","input":"h\u0069"}`, false, `{"model":"m","messages":[{"role":"user","content":"h\u0069"}]}`},
		{
			"instructions and roles", `{"model":"m","instructions":"be","input":[{"role":"developer","content":"d"},{"role":"user","content":[{"type":"input_text","text":"u"}]}]}`, false,
			`{"model":"m","messages":[{"role":"system","content":"be"},{"role":"system","content":"d"},{"role":"user","content":"u"}]}`,
		},
		{
			"settings, verbatim", `{"model":"m","input":"q","temperature":0,"top_p":1.0,"max_output_tokens":16,"parallel_tool_calls":false,"metadata":{"ours":"x"},"user":"\u0075","top_logprobs":2,"reasoning":{"effort":"low"},"text":{"verbosity":"low"},"service_tier":"flex","prompt_cache_key":"k","safety_identifier":"s"}`, false,
			`{"model":"m","messages":[{"role":"user","content":"q"}],"max_completion_tokens":16,"reasoning_effort":"low","verbosity":"low","temperature":0,"top_p":1.0,"user":"\u0075","service_tier":"flex","prompt_cache_key":"k","safety_identifier":"s","logprobs":true,"top_logprobs":2}`,
		},
		{
			"unknown keys, and no key twice", `{"model":"m","input":"q","seed":9007199254740993,"messages":[],"stop":"\n"}`, false,
			`{"model":"m","messages":[{"role":"user","content":"q"}],"seed":9007199254740993,"stop":"\n"}`,
		},
		{
			"streamed", `{"model":"m","input":"q","stream":true,"background":true,"store":true}`, true,
			`{"model":"m","messages":[{"role":"user","content":"q"}],"stream":true,"stream_options":{"include_usage":true}}`,
		},
		{
			"formats", `{"model":"m","input":"q","text":{"format":{"type":"json_schema","name":"n","strict":true,"schema":{ "type":"object"}}}}`, false,
			`{"model":"m","messages":[{"role":"user","content":"q"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{ "type":"object"},"strict":true}}}`,
		},
		{
			"a JSON object", `{"model":"m","input":"q","text":{"format":{"type":"json_object"}}}`, false,
			`{"model":"m","messages":[{"role":"user","content":"q"}],"response_format":{"type":"json_object"}}`,
		},
		{
			"tools", `{"model":"m","input":"q","tools":[{"type":"function","name":"f","description":null,"parameters":{"x":1},"strict":false}],"tool_choice":{"type":"function","name":"f"}}`, false,
			`{"model":"m","messages":[{"role":"user","content":"q"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"x":1},"strict":false}}],"tool_choice":{"type":"function","function":{"name":"f"}}}`,
		},
		{
			"tools that do not say whether they are strict", `{"model":"m","input":"q","parallel_tool_calls":false,"tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}},{"type":"function","name":"g","strict":null,"parameters":{"type":"object","properties":{"a":{}}}}],"tool_choice":"required"}`, false,
			`{"model":"m","messages":[{"role":"user","content":"q"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false},"strict":true}},{"type":"function","function":{"name":"g","parameters":{"type":"object","properties":{"a":{}}}}}],"parallel_tool_calls":false,"tool_choice":"required"}`,
		},
		{"one answer is what there is", `{"model":"m","input":"q","n":1}`, false, `{"model":"m","messages":[{"role":"user","content":"q"}],"n":1}`},
		{"a choice of nothing without tools goes", `{"model":"m","input":"q","tool_choice":"none"}`, false, `{"model":"m","messages":[{"role":"user","content":"q"}]}`},
		{"a choice without tools goes", `{"model":"m","input":"q","tools":[],"tool_choice":"auto"}`, false, `{"model":"m","messages":[{"role":"user","content":"q"}]}`},
		{
			"calls and their outputs", `{"model":"m","input":[{"role":"user","content":"q"},{"type":"reasoning","id":"rs","summary":[]},{"role":"assistant","content":[{"type":"output_text","text":"a"},{"type":"output_text","text":"b"}]},` +
				`{"type":"function_call","call_id":"c1","name":"f","arguments":"{\"x\":1}"},{"type":"function_call","call_id":"c2","name":"g","arguments":"{}"},` +
				`{"type":"function_call_output","call_id":"c1","output":"1"},{"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"2"}]},{"type":"function_call","call_id":"c3","name":"h","arguments":""}]}`, false,
			`{"model":"m","messages":[{"role":"user","content":"q"},{"role":"assistant","content":"ab","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},{"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}]},` +
				`{"role":"tool","tool_call_id":"c1","content":"1"},{"role":"tool","tool_call_id":"c2","content":"2"},{"role":"assistant","content":null,"tool_calls":[{"id":"c3","type":"function","function":{"name":"h","arguments":""}}]}]}`,
		},
		{
			"two assistants stay two", `{"model":"m","input":[{"role":"assistant","content":"a"},{"role":"assistant","content":"b"}]}`, false,
			`{"model":"m","messages":[{"role":"assistant","content":"a"},{"role":"assistant","content":"b"}]}`,
		},
		{
			"images, files, sounds", `{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"t"},{"type":"input_image","image_url":"u","detail":"low"},{"type":"input_file","file_id":"f"},{"type":"input_audio","input_audio":{"data":"d","format":"wav"}}]}]}`, false,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"t"},{"type":"image_url","image_url":{"url":"u","detail":"low"}},{"type":"file","file":{"file_id":"f"}},{"type":"input_audio","input_audio":{"data":"d","format":"wav"}}]}]}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := responses.Chat([]byte(tt.body), tt.stream)
			require.NoError(t, err)
			require.Equal(t, tt.want, string(got))
			require.Empty(t, repeatedKeys(requireJSON(t, got)))
		})
	}
}

func TestChatRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body, param, word string }{
		{"a built-in tool", with(`"tools":[{"type":"web_search"}]`), "tools[0].type", "web_search"},
		{"a built-in choice", with(`"tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"file_search"}`), "tool_choice", "file_search"},
		{"a template", with(`"prompt":{"id":"p"}`), "prompt", "template"},
		{"an item of another kind", `{"model":"m","input":[{"type":"item_reference","id":"msg_1"}]}`, "input[0].type", "item_reference"},
		{"an image by ID", `{"model":"m","input":[{"role":"user","content":[{"type":"input_image","file_id":"f"}]}]}`, "input[0].content[0].file_id", "image"},
		{"a file by URL", `{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_url":"f"}]}]}`, "input[0].content[0].file_url", "URL"},
		{"a part of another kind", `{"model":"m","input":[{"role":"user","content":[{"type":"hologram"}]}]}`, "input[0].content[0].type", "hologram"},
		{"an output that is an image", `{"model":"m","input":[{"type":"function_call_output","call_id":"c","output":[{"type":"input_image","image_url":"u"}]}]}`, "input[0].output", "text"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := responses.Chat([]byte(tt.body), false)
			var p *responses.Problem
			require.True(t, errors.As(err, &p), "%v", err)
			require.Equal(t, "unsupported_parameter", p.Code)
			require.Equal(t, tt.param, p.Param)
			require.Contains(t, p.Message, tt.word)
		})
	}
}

// What a translation cannot say, and what it would have to leave out, is refused by the parameter's name.
func TestChatRefusesWhatIsNoMessage(t *testing.T) {
	t.Parallel()
	const call = `"type":"function_call","name":"f","arguments":"{}"`
	item := func(item string) string {
		return `{"model":"m","input":[{"role":"user","content":"q"},{` + item + `}]}`
	}
	for _, tt := range []struct{ name, body, code, param string }{
		{"an output that is an object", item(`"type":"function_call_output","call_id":"c","output":{"a":1}`), "invalid_type", "input[1].output"},
		{"an output that is a number", item(`"type":"function_call_output","call_id":"c","output":1`), "invalid_type", "input[1].output"},
		{"no output", item(`"type":"function_call_output","call_id":"c"`), "missing_required_parameter", "input[1].output"},
		{"an output of null", item(`"type":"function_call_output","call_id":"c","output":null`), "missing_required_parameter", "input[1].output"},
		{"an output with a text of 1", item(`"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":1}]`), "invalid_type", "input[1].output[0].text"},
		{"an output of what call", item(`"type":"function_call_output","output":"1"`), "missing_required_parameter", "input[1].call_id"},
		{"an output of call 7", item(`"type":"function_call_output","call_id":7,"output":"1"`), "invalid_type", "input[1].call_id"},
		{"a call without an ID", item(call), "missing_required_parameter", "input[1].call_id"},
		{"a call with an ID of 7", item(call + `,"call_id":7`), "invalid_type", "input[1].call_id"},
		{"a call of nothing", item(`"type":"function_call","call_id":"c","arguments":"{}"`), "missing_required_parameter", "input[1].name"},
		{"a call with an object", item(`"type":"function_call","call_id":"c","name":"f","arguments":{}`), "invalid_type", "input[1].arguments"},
		{"a text of 1", item(`"role":"user","content":[{"type":"input_text","text":1}]`), "invalid_type", "input[1].content[0].text"},
		{"a text of null beside an image", item(`"role":"user","content":[{"type":"input_image","image_url":"u"},{"type":"input_text","text":null}]`), "missing_required_parameter", "input[1].content[1].text"},
		{"a refusal without its words", item(`"role":"assistant","content":[{"type":"refusal"}]`), "missing_required_parameter", "input[1].content[0].refusal"},
		{"a tool is wanted, and there is none", with(`"tool_choice":"required"`), "invalid_value", "tool_choice"},
		{"a function is wanted, and there is none", with(`"tools":[],"tool_choice":{"type":"function","name":"f"}`), "invalid_value", "tool_choice"},
		{"two answers", with(`"n":2`), "unsupported_parameter", "n"},
		{"two answers, hidden behind one", with(`"n":1,"n":2`), "unsupported_parameter", "n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := responses.Parse([]byte(tt.body))
			require.NoError(t, err, "an upstream that speaks responses judges it itself")
			_, err = responses.Chat([]byte(tt.body), false)
			var p *responses.Problem
			require.True(t, errors.As(err, &p), "%v", err)
			require.Equal(t, tt.code, p.Code, p.Message)
			require.Equal(t, tt.param, p.Param)
			if tt.param == "input[1].output" && tt.code == "invalid_type" {
				require.Contains(t, p.Message, "a string or an array")
			}
		})
	}
}

// A function that does not say is strict in responses where its schema allows it, as OpenAI documents.
func TestChatStrictness(t *testing.T) {
	t.Parallel()
	const closed = `"additionalProperties":false`
	for _, tt := range []struct {
		name, parameters string
		strict           bool
	}{
		{"closed and all required", `{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],` + closed + `}`, true},
		{"no arguments", `{"type":"object","properties":{},` + closed + `}`, true},
		{"closed all the way down", `{"type":"object","properties":{"a":{"type":"array","items":{"$ref":"#/$defs/d"}},"b":{"anyOf":[{"type":"null"},{"type":"integer"}]}},"required":["b","a"],` + closed + `,"$defs":{"d":{"type":["object","null"],"properties":{},` + closed + `}}}`, true},
		{"open", `{"type":"object","properties":{"a":{}},"required":["a"]}`, false},
		{"open by its word", `{"type":"object","properties":{"a":{}},"required":["a"],"additionalProperties":true}`, false},
		{"not all required", `{"type":"object","properties":{"a":{},"b":{}},"required":["a"],` + closed + `}`, false},
		{"open within", `{"type":"object","properties":{"a":{"type":"object","properties":{}}},"required":["a"],` + closed + `}`, false},
		{"open in a list", `{"type":"object","properties":{"a":{"type":"array","items":{"type":"object"}}},"required":["a"],` + closed + `}`, false},
		{"open in a choice", `{"type":"object","properties":{"a":{"anyOf":[{"type":"null"},{"type":["object"]}]}},"required":["a"],` + closed + `}`, false},
		{"open in a definition", `{"type":"object","properties":{},` + closed + `,"$defs":{"d":{"properties":{}}}}`, false},
		{"a word that strict functions do not know", `{"type":"object","properties":{},` + closed + `,"allOf":[]}`, false},
		{"no schema", `null`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for strict, want := range map[string]bool{"": tt.strict, `,"strict":null`: tt.strict, `,"strict":false`: false, `,"strict":true`: true} {
				got, err := responses.Chat([]byte(with(`"tools":[{"type":"function","name":"f","parameters":`+tt.parameters+strict+`}]`)), false)
				require.NoError(t, err)
				require.Equal(t, want, requireJSON(t, got).Get("tools.0.function.strict").Bool(), "%s", got)
			}
		})
	}
}
