package responses_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers/responses"
)

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	many := `"a":"1"` + strings.Repeat(`,"a":"1"`, 16)
	for _, tt := range []struct{ name, body, code, param string }{
		{"no JSON", `{"model"`, "invalid_value", ""},
		{"no object", `[1]`, "invalid_type", ""},
		{"no model", `{"input":"hi"}`, "missing_required_parameter", "model"},
		{"model null", `{"model":null,"input":"hi"}`, "missing_required_parameter", "model"},
		{"model empty", `{"model":"","input":"hi"}`, "invalid_value", "model"},
		{"model a number", `{"model":1,"input":"hi"}`, "invalid_type", "model"},
		{"no input", `{"model":"m"}`, "missing_required_parameter", "input"},
		{"input a number", `{"model":"m","input":1}`, "invalid_type", "input"},
		{"input empty", `{"model":"m","input":[]}`, "invalid_value", "input"},
		{"item no object", `{"model":"m","input":["hi"]}`, "invalid_type", "input[0]"},
		{"item without a role", `{"model":"m","input":[{"content":"hi"}]}`, "missing_required_parameter", "input[0].role"},
		{"item with a strange role", `{"model":"m","input":[{"role":"tool","content":"hi"}]}`, "invalid_value", "input[0].role"},
		{"item without content", `{"model":"m","input":[{"role":"user"}]}`, "missing_required_parameter", "input[0].content"},
		{"content a number", `{"model":"m","input":[{"role":"user","content":1}]}`, "invalid_type", "input[0].content"},
		{"part without a type", `{"model":"m","input":[{"role":"user","content":[{"text":"hi"}]}]}`, "missing_required_parameter", "input[0].content[0].type"},
		{"type of an item no string", `{"model":"m","input":[{"type":1}]}`, "invalid_type", "input[0].type"},
		{"an ID that is a number", `{"model":"m","input":[{"role":"user","content":"a","id":7}]}`, "invalid_type", "input[0].id"},
		{"an empty ID", `{"model":"m","input":[{"role":"user","content":"a"},{"role":"user","content":"b","id":""}]}`, "invalid_value", "input[1].id"},
		{"an ID twice", `{"model":"m","input":[{"type":"reasoning","id":"x"},{"role":"user","content":"a","id":null},{"role":"user","content":"b","id":"y"},{"role":"user","content":"c","id":"\u0078"}]}`, "invalid_value", "input[3].id"},
		{"an ID twice in one item", `{"model":"m","input":[{"role":"user","content":"a","id":"x","id":"x"}]}`, "invalid_value", "input[0].id"},
		{"a repeated key", `{"model":"m","input":"hi","model":"n"}`, "invalid_value", "model"},
		{"metadata a string", with(`"metadata":"x"`), "invalid_type", "metadata"},
		{"metadata with a number", with(`"metadata":{"a":1}`), "invalid_type", "metadata.a"},
		{"metadata with too many", with(`"metadata":{` + many + `}`), "object_above_max_properties", "metadata"},
		{"metadata with a long value", with(`"metadata":{"a":"` + strings.Repeat("ä", 513) + `"}`), "string_above_max_length", "metadata.a"},
		{"metadata with a long key", with(`"metadata":{"` + strings.Repeat("a", 65) + `":""}`), "string_above_max_length", "metadata"},
		{"few tokens", with(`"max_output_tokens":15`), "integer_below_min_value", "max_output_tokens"},
		{"half a token", with(`"max_output_tokens":16.5`), "invalid_type", "max_output_tokens"},
		{"hot", with(`"temperature":2.1`), "decimal_above_max_value", "temperature"},
		{"cold", with(`"temperature":-0.1`), "decimal_below_min_value", "temperature"},
		{"temperature a string", with(`"temperature":"1"`), "invalid_type", "temperature"},
		{"top_p above 1", with(`"top_p":1.01`), "decimal_above_max_value", "top_p"},
		{"top_logprobs above 20", with(`"top_logprobs":21`), "integer_above_max_value", "top_logprobs"},
		{"a long safety_identifier", with(`"safety_identifier":"` + strings.Repeat("x", 65) + `"`), "string_above_max_length", "safety_identifier"},
		{"truncation of another kind", with(`"truncation":"middle"`), "invalid_value", "truncation"},
		{"include a string", with(`"include":"x"`), "invalid_type", "include"},
		{"include of numbers", with(`"include":[1]`), "invalid_type", "include[0]"},
		{"a tool without a type", with(`"tools":[{}]`), "missing_required_parameter", "tools[0].type"},
		{"a function without a name", with(`"tools":[{"type":"function"}]`), "missing_required_parameter", "tools[0].name"},
		{"a choice that is a number", with(`"tool_choice":1`), "invalid_type", "tool_choice"},
		{"a format of another type", with(`"text":{"format":{"type":"xml"}}`), "invalid_value", "text.format.type"},
		{"a format without a type", with(`"text":{"format":{}}`), "missing_required_parameter", "text.format.type"},
		{"stream a string", with(`"stream":"true"`), "invalid_type", "stream"},
		{"background without store", with(`"background":true,"store":false`), "unsupported_parameter", "store"},
		{"a conversation", with(`"conversation":"conv_1"`), "unsupported_parameter", "conversation"},
		{"a conversation and a previous response", with(`"conversation":"conv_1","previous_response_id":"resp_1"`), "unsupported_parameter", "conversation"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := responses.Parse([]byte(tt.body))
			var p *responses.Problem
			require.True(t, errors.As(err, &p), "%v", err)
			require.Equal(t, tt.code, p.Code, p.Message)
			require.Equal(t, tt.param, p.Param)
			require.NotEmpty(t, p.Message)
		})
	}
}

// with is a request with one more member.
func with(member string) string { return `{"model":"m","input":"hi",` + member + `}` }

func TestParseTakes(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"model":"m","input":"hi"}`,
		with(`"max_output_tokens":16,"temperature":0,"top_p":1,"top_logprobs":20`),
		with(`"temperature":null,"tools":null,"metadata":null,"conversation":null,"store":null,"text":null`),
		with(`"unknown":{"deep":[1]},"unknown":2`),
		with(`"tools":[{"type":"web_search"},{"type":"function","name":"f"}]`),
		`{"model":"m","input":[{"type":"computer_call_output","x":1},{"role":"user","content":""}]}`,
	} {
		_, err := responses.Parse([]byte(body))
		require.NoError(t, err, body)
	}
}

func TestParseReads(t *testing.T) {
	t.Parallel()
	r, err := responses.Parse([]byte(with(`"background":true,"stream":true,"previous_response_id":"resp_0","metadata":{ "a" : "b" }`)))
	require.NoError(t, err)
	require.Equal(t, "m", r.Model)
	require.True(t, r.Background && r.Stream && r.Store)
	require.Equal(t, "resp_0", r.Previous)
	require.Equal(t, `{ "a" : "b" }`, string(r.Metadata))
}

func TestItems(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, input, want string }{
		{
			"a string is a user's message", `"h\u0069"`,
			`[{"type":"message","role":"user","content":[{"type":"input_text","text":"h\u0069"}],"id":"msg_1","status":"completed"}]`,
		},
		{
			"a short message gets its type", `[{"role":"user","content":"hi"}]`,
			`[{"role":"user","content":[{"type":"input_text","text":"hi"}],"type":"message","id":"msg_1","status":"completed"}]`,
		},
		{
			"an assistant's text is output", `[{"role":"assistant","content":"hi"}]`,
			`[{"role":"assistant","content":[{"type":"output_text","text":"hi","annotations":[],"logprobs":[]}],"type":"message","id":"msg_1","status":"completed"}]`,
		},
		{
			"an image is looked at somehow", `[{"role":"user","content":[{"type":"input_image","image_url":"u"}]}]`,
			`[{"role":"user","content":[{"type":"input_image","image_url":"u","detail":"auto"}],"type":"message","id":"msg_1","status":"completed"}]`,
		},
		{
			"a given ID stays", `[{"type":"message","id":"msg_x","status":"completed","role":"user","content":[{"type":"input_text","text":"a"}]}]`,
			`[{"type":"message","id":"msg_x","status":"completed","role":"user","content":[{"type":"input_text","text":"a"}]}]`,
		},
		{
			"a null ID is none", `[{"id":null,"type":"function_call","call_id":"c","name":"f","arguments":"{}"}]`,
			`[{"type":"function_call","call_id":"c","name":"f","arguments":"{}","id":"fc_1","status":"completed"}]`,
		},
		{
			"other types get an ID", `[{"type":"function_call_output","call_id":"c","output":"1"},{"type":"mcp_call"}]`,
			`[{"type":"function_call_output","call_id":"c","output":"1","id":"fco_1","status":"completed"},{"type":"mcp_call","id":"item_2"}]`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := responses.Parse([]byte(`{"model":"m","input":` + tt.input + `}`))
			require.NoError(t, err)
			var got []string
			for _, item := range r.Items(counter()) {
				requireJSON(t, item)
				got = append(got, string(item))
			}
			require.Equal(t, tt.want, "["+strings.Join(got, ",")+"]")
		})
	}
}
