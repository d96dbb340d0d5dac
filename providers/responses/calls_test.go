package responses_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers/responses"
)

// called are an answer's calls, as name(arguments)@call_id.
func called(t *testing.T, o responses.Object) (calls []string) {
	t.Helper()
	for _, item := range requireJSON(t, o.Output).Array() {
		if item.Get("type").Str == "function_call" {
			require.Equal(t, "completed", item.Get("status").Str)
			calls = append(calls, fmt.Sprintf("%s(%s)@%s", item.Get("name").Str, item.Get("arguments").Str, item.Get("call_id").Str))
		}
	}
	return calls
}

// piece is a chunk with pieces of calls.
func piece(calls ...string) string {
	return chunk(`{"tool_calls":[`+strings.Join(calls, ",")+`]}`, "null")
}

func TestCallsAreToldApart(t *testing.T) {
	t.Parallel()
	const a, b = `"id":"call_a","function":{"name":"f","arguments":"{\"x\":1}"}`, `"id":"call_b","function":{"name":"g","arguments":"{}"}`
	ab := []string{`f({"x":1})@call_a`, `g({})@call_b`}
	for _, tt := range []struct {
		name   string
		chunks []string
		want   []string
	}{
		{"by their IDs, without an index", []string{piece(`{` + a + `}`), piece(`{` + b + `}`)}, ab},
		{"by their IDs, with one index", []string{piece(`{"index":0,` + a + `}`), piece(`{"index":0,` + b + `}`)}, ab},
		{"by their IDs, in pieces", []string{
			piece(`{"id":"call_a","function":{"name":"f","arguments":""}}`, `{"id":"call_b","function":{"name":"g","arguments":""}}`),
			piece(`{"id":"call_b","function":{"arguments":"{"}}`), piece(`{"id":"call_a","function":{"arguments":"{\"x\""}}`), piece(`{"function":{"arguments":":1}"}}`),
			piece(`{"id":"call_b","function":{"arguments":"}"}}`),
		}, ab},
		{"by their indexes, though their ID is the same", []string{piece(`{"index":0,`+a+`}`, `{"index":1,`+strings.Replace(b, "call_b", "call_a", 1)+`}`)}, []string{`f({"x":1})@call_a`, `g({})@call_a`}},
		{"by their names, without an ID or an index", []string{piece(`{"id":"","function":{"name":"f","arguments":""}}`), piece(`{"function":{"name":"g","arguments":"{}"}}`)}, []string{`f()@call_2`, `g({})@call_4`}},
		{"by whole arguments, where even the name is the same", []string{piece(`{"function":{"name":"f","arguments":"{\"x\":1}"}}`), piece(`{"function":{"name":"f","arguments":"{\"x\":2}"}}`)}, []string{`f({"x":1})@call_2`, `f({"x":2})@call_4`}},
		{"not by a name that is repeated", []string{piece(`{"index":0,"id":"call_a","function":{"name":"f","arguments":"{\"x\""}}`), piece(`{"index":0,"function":{"name":"f","arguments":":1}"}}`), piece(`{"index":0,"function":{"name":"f","arguments":""}}`)}, ab[:1]},
		{"not by an ID that is repeated", []string{piece(`{"index":0,"id":"call_a","function":{"name":"f","arguments":"{\"x\""}}`), piece(`{"index":0,"id":"call_a","function":{"arguments":":1}"}}`)}, ab[:1]},
		{"a name that comes last", []string{piece(`{"index":0,"id":"call_a"}`), piece(`{"index":0,"function":{"arguments":"{\"x\":"}}`), piece(`{"index":0,"function":{"name":"f","arguments":"1}"}}`)}, ab[:1]},
		{"an ID that comes after the name", []string{piece(`{"index":0,"function":{"name":"f"}}`), piece(`{"index":0,"id":"call_a","function":{"arguments":"{\"x\":1}"}}`)}, ab[:1]},
		{"an ID that comes too late", []string{piece(`{"index":0,"function":{"name":"f","arguments":"{\"x\":"}}`), piece(`{"index":0,"id":"call_a","function":{"arguments":"1}"}}`), piece(`{"index":0,` + b + `}`)}, []string{`f({"x":1})@call_2`, `g({})@call_b`}},
		{"arguments that are an object", []string{piece(`{"id":"call_a","function":{"name":"f","arguments":{"x":1}}}`)}, ab[:1]},
		{"an empty piece is none", []string{piece(`{"index":0}`), piece(`{"index":1,` + b + `}`)}, ab[1:]},
		{"the old way", []string{chunk(`{"function_call":{"name":"f","arguments":""}}`, "null"), chunk(`{"function_call":{"arguments":"{}"}}`, "null")}, []string{`f({})@call_2`}},
		{"both ways at once", []string{chunk(`{"tool_calls":[{`+b+`}],"function_call":{"name":"g","arguments":"{}"}}`, "null")}, ab[1:]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, events := played(t, append(tt.chunks, chunk(`{}`, `"tool_calls"`))...)
			require.Equal(t, tt.want, called(t, o))
			requireShown(t, o, events)
		})
	}
}

// requireShown wants the events to make the calls that the response has: whoever adds them up knows no less.
func requireShown(t *testing.T, o responses.Object, events []responses.Event) {
	t.Helper()
	arguments := map[string]string{}
	begun := map[int64]string{}
	for _, e := range events {
		v := requireJSON(t, e.Data)
		switch e.Type {
		case "response.output_item.added":
			item := v.Get("item")
			require.NotEmpty(t, item.Get("name").Str, "it is shown once its name is known")
			require.Empty(t, item.Get("arguments").Str)
			begun[v.Get("output_index").Int()] = item.Get("name").Str + "@" + item.Get("call_id").Str
		case "response.function_call_arguments.delta":
			arguments[v.Get("item_id").Str] += v.Get("delta").Str
		}
	}
	for i, item := range requireJSON(t, o.Output).Array() {
		require.Equal(t, item.Get("name").Str+"@"+item.Get("call_id").Str, begun[int64(i)])
		require.Equal(t, item.Get("arguments").Str, arguments[item.Get("id").Str])
	}
}

func TestCallsOfAWholeMessage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, message string
		want          []string
	}{
		{"one of the old way", `{"content":null,"function_call":{"name":"f","arguments":"{}"}}`, []string{"f({})@call_2"}},
		{"several with one ID", `{"tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}},{"id":"c","function":{"name":"f","arguments":"{}"}}]}`, []string{"f({})@c", "f({})@c"}},
		{"several with one index", `{"tool_calls":[{"index":0,"function":{"name":"f","arguments":""}},{"index":0,"function":{"name":"f","arguments":""}}]}`, []string{"f()@call_2", "f()@call_4"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, err := responses.FromChat(object(t, question), []byte(chat(tt.message, "tool_calls")), counter())
			require.NoError(t, err)
			require.Equal(t, tt.want, called(t, o))
		})
	}
}

func TestManyCallsAreNoAnswer(t *testing.T) {
	t.Parallel()
	calls := func(n int) string {
		return `{"tool_calls":[` + strings.TrimSuffix(strings.Repeat(`{"id":"c","function":{"name":"f","arguments":"{}"}},`, n), ",") + `]}`
	}
	o, err := responses.FromChat(object(t, question), []byte(chat(calls(1024), "stop")), counter())
	require.NoError(t, err)
	require.Len(t, called(t, o), 1024)
	_, err = responses.FromChat(object(t, question), []byte(chat(calls(1025), "stop")), counter())
	require.ErrorContains(t, err, "1,024")
}
