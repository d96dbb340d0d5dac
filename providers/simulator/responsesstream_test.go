package simulator_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers/simulator"
)

const responsesPath = "/v1/responses"

// numbered reads a response's stream: each event has its type twice and the next
// number, none has an error at its top, and nothing comes after the last.
func numbered(t *testing.T, body io.Reader) (types []string, list []gjson.Result) {
	t.Helper()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		kind, found := strings.CutPrefix(lines.Text(), "event: ")
		require.True(t, found, lines.Text())
		require.True(t, lines.Scan())
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		require.True(t, found, lines.Text())
		require.True(t, json.Valid([]byte(data)), data)
		event := gjson.Parse(data)
		require.Equal(t, kind, event.Get("type").Str)
		require.EqualValues(t, len(list), event.Get("sequence_number").Int())
		require.False(t, event.Get("error").Exists(), data)
		types, list = append(types, kind), append(list, event)
		require.True(t, lines.Scan())
		require.Empty(t, lines.Text())
	}
	require.NoError(t, lines.Err())
	return types, list
}

func respond(u *upstream, more string) answer {
	u.t.Helper()
	return u.post(responsesPath, `{"model":"sim-small","input":"How many eggs?"`+more+`}`)
}

func TestResponseStreamHasOpenAIsOrder(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	got := respond(u, `,"stream":true`)
	require.Equal(t, "text/event-stream", got.header.Get("Content-Type"))
	types, list := numbered(t, strings.NewReader(got.raw))
	head := []string{
		"response.created", "response.in_progress",
		"response.output_item.added", "response.content_part.added", "response.output_text.delta",
	}
	tail := []string{
		"response.output_text.delta", "response.output_text.done",
		"response.content_part.done", "response.output_item.done", "response.completed",
	}
	require.Equal(t, head, types[:len(head)])
	require.Equal(t, tail, types[len(types)-len(tail):])
	for _, kind := range types[len(head) : len(types)-len(tail)] {
		require.Equal(t, "response.output_text.delta", kind)
	}
	for i, event := range list {
		for _, key := range required[types[i]] {
			require.True(t, event.Get(key).Exists(), "%s in %s", key, event.Raw)
		}
	}
	require.Equal(t, "in_progress", list[0].Get("response.status").Str)
	require.Equal(t, "null", list[0].Get("response.usage").Raw)
	require.Equal(t, "[]", list[0].Get("response.output").Raw)
}

// required is what each event must have beside its type and its number.
var required = map[string][]string{
	"response.created":            {"response"},
	"response.in_progress":        {"response"},
	"response.completed":          {"response"},
	"response.output_item.added":  {"output_index", "item"},
	"response.output_item.done":   {"output_index", "item"},
	"response.content_part.added": {"item_id", "output_index", "content_index", "part"},
	"response.content_part.done":  {"item_id", "output_index", "content_index", "part"},
	"response.output_text.delta":  {"item_id", "output_index", "content_index", "delta", "logprobs"},
	"response.output_text.done":   {"item_id", "output_index", "content_index", "text", "logprobs"},
}

func TestResponseStreamSaysWhatTheWholeAnswerSays(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	tests := []struct{ name, more, status string }{
		{"completed", `,"instructions":"Be brief"`, "completed"},
		{"cut by the token limit", `,"max_output_tokens":16`, "incomplete"},
		{"settings over several lines", ",\"metadata\":{\n\t\"a\":\r\n\"b\"}", "completed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			whole := respond(u, tt.more)
			types, list := numbered(t, strings.NewReader(respond(u, tt.more+`,"stream":true`).raw))
			text := ""
			for _, event := range list {
				if event.Get("type").Str == "response.output_text.delta" {
					text += event.Get("delta").Str
				}
			}
			last := list[len(list)-1]
			require.Equal(t, "response."+tt.status, types[len(types)-1])
			require.Equal(t, tt.status, last.Get("response.status").Str)
			require.Equal(t, whole.Get("output.0.content.0.text").Str, text)
			require.Equal(t, text, last.Get("response.output.0.content.0.text").Str)
			require.Equal(t, text, list[len(list)-2].Get("item.content.0.text").Str)
			for _, key := range []string{"usage", "metadata", "instructions", "incomplete_details"} {
				require.JSONEq(t, whole.Get(key).Raw, last.Get("response."+key).Raw, key)
			}
			require.Equal(t, list[0].Get("response.id").Str, last.Get("response.id").Str)
		})
	}
}

func TestResponseStreamTellsOfTheResponseBeforeTheFirstToken(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{TTFT: time.Hour})
	req, err := http.NewRequestWithContext(t.Context(), "POST", u.url+responsesPath, strings.NewReader(`{"model":"sim-small","input":"a","stream":true}`))
	require.NoError(t, err)
	resp, err := u.client.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "event: response.created\n", line)
}

func TestResponseStreamObeysTheLatency(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, input string
		opts        simulator.Options
	}{
		{"time to the first token", "a", simulator.Options{TTFT: 120 * time.Millisecond}},
		{"time per token", "a", simulator.Options{TPOT: 8 * time.Millisecond}},
		{"wait", "[[sim:wait=120ms]]", simulator.Options{}},
		{"drip", "[[sim:drip=120ms]]", simulator.Options{}},
	}
	for _, tt := range tests {
		u := serve(t, tt.opts)
		start := time.Now()
		u.post(responsesPath, `{"model":"sim-small","input":"`+tt.input+`","max_output_tokens":16,"stream":true}`)
		require.GreaterOrEqual(t, time.Since(start), 115*time.Millisecond, tt.name)
	}
}

func TestResponseStreamBreaksOffByDirective(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	ask := func(words string) (answer, error) {
		return u.try("POST", responsesPath, `{"model":"sim-small","input":"[[sim:`+words+`]]","stream":true}`)
	}
	got, err := ask("truncate")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Contains(t, got.raw, "response.output_text.delta")
	require.NotContains(t, got.raw, "response.output_text.done")
	got, err = ask("reset=body")
	require.Error(t, err)
	require.NotContains(t, got.raw, "response.completed")
	_, err = ask("reset")
	require.ErrorIs(t, err, syscall.ECONNRESET)
	got, err = ask("status=503")
	require.NoError(t, err)
	require.Equal(t, 503, got.status)
}

func client(u *upstream) *openai.Client {
	config := openai.DefaultConfig("k")
	config.BaseURL, config.HTTPClient = u.url+"/v1", u.client
	return openai.NewClientWithConfig(config)
}

func TestGoOpenAIReadsTheResponseStream(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	stream, err := client(u).CreateResponseStream(t.Context(), openai.CreateResponseRequest{Model: "sim-small", Input: "How many eggs?"})
	require.NoError(t, err)
	defer func() { _ = stream.Close() }()
	text, last := "", openai.ResponseStreamEvent{}
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if event.Type == openai.ResponseStreamEventOutputTextDelta {
			text += event.Delta
		}
		last = event
	}
	require.Equal(t, openai.ResponseStreamEventCompleted, last.Type)
	require.Equal(t, respond(u, "").Get("output.0.content.0.text").Str, text)
	require.NotNil(t, last.Response)
}
