package simulator_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers/simulator"
)

const weather = `{"type":"object","properties":{
	"city":{"type":"string"},"unit":{"type":"string","enum":["c","f"]},
	"days":{"type":"integer","minimum":3,"maximum":5},"wind":{"type":["boolean","null"]},
	"hours":{"type":"array","items":{"type":"number"}},"near":{"type":"object","properties":{"lat":{"type":"number"}}}}}`

func chatTools(more string) string {
	return chat("Sun? [[sim:call]]", `,"tools":[{"type":"function","function":{"name":"other"}},
		{"type":"function","function":{"name":"weather","parameters":`+weather+`}}]`+more)
}

func responseTools(more string) string {
	return `{"model":"sim-small","input":"Sun? [[sim:call]]","tools":[{"type":"web_search"},
		{"type":"function","name":"weather","parameters":` + weather + `}]` + more + `}`
}

const named = `,"tool_choice":{"type":"function","function":{"name":"weather"}}`

func requireFits(t *testing.T, arguments string) {
	t.Helper()
	require.True(t, gjson.Valid(arguments), arguments)
	got := gjson.Parse(arguments)
	require.NotEmpty(t, got.Get("city").Str)
	require.Contains(t, []string{"c", "f"}, got.Get("unit").Str)
	require.GreaterOrEqual(t, got.Get("days").Int(), int64(3))
	require.LessOrEqual(t, got.Get("days").Int(), int64(5))
	require.True(t, got.Get("wind").IsBool(), arguments)
	require.Equal(t, gjson.Number, got.Get("hours.0").Type)
	require.Equal(t, gjson.Number, got.Get("near.lat").Type)
}

func TestChatCallsAFunction(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	got := u.ok(chatPath, chatTools(named))
	require.Equal(t, "tool_calls", got.Get("choices.0.finish_reason").Str)
	require.Equal(t, "null", got.Get("choices.0.message.content").Raw)
	made := got.Get("choices.0.message.tool_calls.0")
	require.Equal(t, "weather", made.Get("function.name").Str)
	require.Regexp(t, `^call_[0-9a-f]{16}$`, made.Get("id").Str)
	requireFits(t, made.Get("function.arguments").Str)
	require.EqualValues(t, simulator.CountTokens(made.Get("function.arguments").Str), got.Get("usage.completion_tokens").Int())

	require.Equal(t, "other", u.ok(chatPath, chatTools("")).Get("choices.0.message.tool_calls.0.function.name").Str)
	require.Equal(t, "{}", u.ok(chatPath, chatTools("")).Get("choices.0.message.tool_calls.0.function.arguments").Str)
}

func TestNoFunctionIsCalledUnasked(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	for name, body := range map[string]string{
		"no tools":      chat("[[sim:call]]", ""),
		"no directive":  strings.Replace(chatTools(""), "[[sim:call]]", "", 1),
		"choice none":   chatTools(`,"tool_choice":"none"`),
		"a tool's word": strings.Replace(chatTools(""), `"}],"tools"`, `"},{"role":"tool","tool_call_id":"a","content":"Sun"}],"tools"`, 1),
	} {
		got := u.ok(chatPath, body)
		require.Equal(t, "stop", got.Get("choices.0.finish_reason").Str, name)
		require.NotEmpty(t, content(got), name)
	}
	got := u.ok(responsesPath, `{"model":"sim-small","input":[{"role":"user","content":"[[sim:call]]"},
		{"type":"function_call_output","call_id":"a","output":"Sun"}],"tools":[{"type":"function","name":"weather"}]}`)
	require.Equal(t, "message", got.Get("output.0.type").Str)
}

func TestGoOpenAIReadsAFunctionCallFromTheChatStream(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	stream, err := client(u).CreateChatCompletionStream(t.Context(), openai.ChatCompletionRequest{
		Model:    "sim-small",
		Messages: []openai.ChatCompletionMessage{{Role: "user", Content: "Sun? [[sim:call]]"}},
		Tools:    []openai.Tool{{Type: "function", Function: &openai.FunctionDefinition{Name: "weather", Parameters: gjson.Parse(weather).Value()}}},
	})
	require.NoError(t, err)
	defer func() { _ = stream.Close() }()
	var made openai.ToolCall
	finish := openai.FinishReason("")
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		for _, piece := range chunk.Choices[0].Delta.ToolCalls {
			require.Equal(t, 0, *piece.Index)
			made.ID += piece.ID
			made.Function.Name += piece.Function.Name
			made.Function.Arguments += piece.Function.Arguments
		}
		finish = chunk.Choices[0].FinishReason
	}
	require.EqualValues(t, "tool_calls", finish)
	require.Equal(t, "weather", made.Function.Name)
	require.Regexp(t, `^call_[0-9a-f]{16}$`, made.ID)
	requireFits(t, made.Function.Arguments)
}

func TestResponseCallsAFunction(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	whole := u.ok(responsesPath, responseTools(""))
	item := whole.Get("output.0")
	require.Equal(t, "function_call", item.Get("type").Str)
	require.Equal(t, "weather", item.Get("name").Str)
	require.Equal(t, "completed", item.Get("status").Str)
	requireFits(t, item.Get("arguments").Str)
	require.Len(t, whole.Get("tools").Array(), 2)

	types, list := numbered(t, strings.NewReader(u.post(responsesPath, responseTools(`,"stream":true`)).raw))
	require.Equal(t, "response.output_item.added", types[2])
	require.Equal(t, `""`, list[2].Get("item.arguments").Raw)
	end := len(list) - 3
	require.Equal(t, []string{"response.function_call_arguments.done", "response.output_item.done", "response.completed"}, types[end:])
	arguments := ""
	for i := 3; i < end; i++ {
		require.Equal(t, "response.function_call_arguments.delta", types[i])
		require.Equal(t, list[2].Get("item.id").Str, list[i].Get("item_id").Str)
		arguments += list[i].Get("delta").Str
	}
	require.Equal(t, item.Get("arguments").Str, arguments)
	require.Equal(t, arguments, list[end].Get("arguments").Str)
	require.Equal(t, "weather", list[end].Get("name").Str)
	require.Equal(t, arguments, list[end+1].Get("item.arguments").Str)
	require.Equal(t, list[end+1].Get("item").Raw, list[end+2].Get("response.output.0").Raw)
}
