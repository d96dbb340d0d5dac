package simulator_test

import (
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers/simulator"
)

// events splits a stream and expects [DONE] for its last.
func events(t *testing.T, got answer) []gjson.Result {
	t.Helper()
	require.Equal(t, "text/event-stream", got.header.Get("Content-Type"))
	var list []gjson.Result
	parts := strings.Split(strings.TrimSuffix(got.raw, "\n\n"), "\n\n")
	for _, part := range parts[:len(parts)-1] {
		data, found := strings.CutPrefix(part, "data: ")
		require.True(t, found, part)
		require.True(t, gjson.Valid(data), data)
		list = append(list, gjson.Parse(data))
	}
	require.Equal(t, "data: [DONE]", parts[len(parts)-1])
	return list
}

func TestStreamSaysWhatTheWholeAnswerSays(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	whole := u.ok(chatPath, chat("How many eggs?", `,"n":2`))
	list := events(t, u.post(chatPath, chat("How many eggs?", `,"n":2,"stream":true,"stream_options":{"include_usage":true}`)))
	texts := [2]string{}
	finished := [2]string{}
	for _, event := range list[:len(list)-1] {
		require.Equal(t, "chat.completion.chunk", event.Get("object").Str)
		require.Equal(t, list[0].Get("id").Str, event.Get("id").Str)
		require.Equal(t, "null", event.Get("usage").Raw)
		i := event.Get("choices.0.index").Int()
		texts[i] += event.Get("choices.0.delta.content").Str
		finished[i] += event.Get("choices.0.finish_reason").Str
	}
	last := list[len(list)-1]
	require.Empty(t, last.Get("choices").Array())
	require.JSONEq(t, whole.Get("usage").Raw, last.Get("usage").Raw)
	for i := range texts {
		require.Equal(t, whole.Get("choices").Array()[i].Get("message.content").Str, texts[i])
		require.Equal(t, "stop", finished[i])
	}
}

func TestStreamObeysTheTokenLimitAndTheLatency(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{TTFT: 20 * time.Millisecond, TPOT: 10 * time.Millisecond})
	start := time.Now()
	list := events(t, u.post(chatPath, chat("a", `,"max_tokens":4,"stream":true`)))
	require.GreaterOrEqual(t, time.Since(start), 60*time.Millisecond)
	require.Len(t, list, 1+4+1)
	require.Equal(t, "length", list[5].Get("choices.0.finish_reason").Str)
	require.False(t, list[5].Get("usage").Exists())
}

func TestStreamBreaksOffByDirective(t *testing.T) {
	t.Parallel()
	u := serve(t, simulator.Options{})
	got, err := u.try("POST", chatPath, chat("[[sim:truncate]]", `,"stream":true`))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Contains(t, got.raw, "data: ")
	require.NotContains(t, got.raw, "[DONE]")

	got, err = u.try("POST", chatPath, chat("[[sim:reset=body]]", `,"stream":true`))
	require.Error(t, err)
	require.NotContains(t, got.raw, "[DONE]")

	_, err = u.try("POST", chatPath, chat("[[sim:reset]]", `,"stream":true`))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.Equal(t, 500, u.post(chatPath, chat("[[sim:status=500]]", `,"stream":true`)).status)
}
