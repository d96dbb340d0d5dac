package responses_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers/responses"
)

// FuzzRequest holds that whatever is taken is shown, kept and forwarded as JSON.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		question,
		`{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"a"}]},{"type":"function_call"},{"type":"function_call_output","output":[]}]}`,
		with(`"tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"function"},"text":{"format":{"type":"json_schema"}},"x":1`),
		with(`"background":true,"stream":true,"stream_options":{},"previous_response_id":"r","a.b":{"c":1},"":0`),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r, err := responses.Parse([]byte(body))
		if err != nil {
			return
		}
		for _, item := range r.Items(counter()) {
			requireJSON(t, item)
		}
		o := responses.Object{ID: "resp_1", Status: responses.Queued, Model: r.Model, Settings: r.Settings()}
		requireJSON(t, o.JSON())
		kept := responses.Continue([]byte(body), responses.History([]byte(body), o.JSON()))
		requireJSON(t, kept)
		for _, stream := range []bool{false, true} {
			native := requireJSON(t, responses.Native(kept, stream))
			require.False(t, native.Get("background").Exists())
			if forward, err := responses.Chat(kept, stream); err == nil {
				require.Empty(t, onlyOurs(repeatedKeys(requireJSON(t, forward))))
			}
		}
	})
}

// onlyOurs are the keys that a translation writes: those may not stand twice.
func onlyOurs(keys []string) (found []string) {
	for _, key := range keys {
		if strings.Contains(" model messages tools tool_choice temperature top_p stream stream_options response_format ", " "+key+" ") {
			found = append(found, key)
		}
	}
	return found
}

// FuzzChat holds that any chunks make gapless events and a response that are JSON.
func FuzzChat(f *testing.F) {
	f.Add(chunk(`{"content":"a"}`, "null") + "\n" + chunk(`{"tool_calls":[{"index":3,"function":{"name":"f"}}],"refusal":"x"}`, `"length"`))
	f.Add(chunk(`{"tool_calls":[{"id":"a"},{"function":{"arguments":{"x":1},"name":"f"}}],"function_call":{"name":"g"}}`, `"stop"`))
	f.Add(`{"choices":[{"index":-1,"delta":{"tool_calls":[{"index":1e99}]}}],"usage":{"prompt_tokens":-1}}`)
	f.Add(`{"model":"\u0000","service_tier":"x","choices":[{"delta":{"content":[{"text":"a"},1]},"logprobs":{"content":[1,"a"]}}]}`)
	f.Fuzz(func(t *testing.T, chunks string) {
		s := responses.NewChatStream(3, counter())
		var events []responses.Event
		for _, c := range strings.Split(chunks, "\n") {
			events = append(events, s.Push([]byte(c))...)
			if json.Valid([]byte(c)) {
				if o, err := responses.FromChat(object(t, question), []byte(c), counter()); err == nil {
					requireJSON(t, o.JSON())
				}
			}
		}
		o, last, err := s.Finish(object(t, question))
		require.True(t, err == nil || len(last) == 0)
		requireJSON(t, o.JSON())
		for i, e := range append(events, last...) {
			require.Equal(t, int64(3+i), requireJSON(t, e.Data).Get("sequence_number").Int())
		}
	})
}

// FuzzNative holds the same of an upstream's own events and responses.
func FuzzNative(f *testing.F) {
	f.Add("response.output_text.delta", `{"type":"response.output_text.delta","sequence_number":1,"sequence_number":2}`)
	f.Add("response.completed", `{"response":{"status":"completed","usage":{"input_tokens_details":null},"error":{"code":1}}}`)
	f.Add("x", `{}`)
	f.Add("x", `{"output":[{"content":"a"},{"type":"message","content":[{"type":"refusal"},{"type":"output_text","logprobs":null},1]},{"type":"function_call","name":"f"},{"type":"reasoning"},{}]}`)
	f.Fuzz(func(t *testing.T, name, data string) {
		s := responses.NewNativeStream(3, counter())
		events := append(s.Push(name, []byte(data)), s.Push(name, []byte(data))...)
		if _, object, _, err := s.Finish(object(t, question)); err == nil {
			requireJSON(t, object)
		}
		if json.Valid([]byte(data)) {
			whole := responses.NewNativeStream(int64(3+len(events)), counter())
			whole.Whole([]byte(data))
			_, object, retold, err := whole.Finish(object(t, question))
			if err == nil {
				requireJSON(t, object)
			}
			events = append(events, retold...)
		}
		for i, e := range events {
			v := requireJSON(t, e.Data)
			require.Equal(t, int64(3+i), v.Get("sequence_number").Int())
			require.False(t, v.Get("error").Exists())
			require.Regexp(t, `^[a-z0-9_.]{1,64}$`, e.Type)
		}
	})
}
