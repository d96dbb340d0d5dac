package providers

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers/simulator"
)

func simulated(t *testing.T, o simulator.Options, change ...func(*Options, *Config)) *Provider {
	t.Helper()
	o.Dir, o.APIKey = t.TempDir(), "sk-test-0123456789"
	sim := simulator.New(o)
	t.Cleanup(func() { require.NoError(t, sim.Close()) })
	return upstream(t, sim.ServeHTTP, change...)
}

// collect streams a call and puts its chunks together.
func collect(t *testing.T, p *Provider, path, body string) (Answer, *Assembly) {
	t.Helper()
	a := new(Assembly)
	answer, err := p.Stream(t.Context(), Request{Path: path, Body: []byte(body)}, func(c Chunk) error { return a.Add(c.Data) })
	require.NoError(t, err)
	return answer, a
}

func TestAssemblyIsWhatAPlainCallGets(t *testing.T) {
	t.Parallel()
	p := simulated(t, simulator.Options{})
	asked := `{"model":"sim-small","n":2,"messages":[{"role":"user","content":"Tell me about 😀 telephones"}]`
	plain, err := p.Do(t.Context(), Request{Path: chatPath, Body: []byte(asked + `}`)})
	require.NoError(t, err)
	answer, a := collect(t, p, chatPath, asked+`,"stream":true,"stream_options":{"include_usage":true}}`)
	require.Equal(t, plain.Usage, answer.Usage)
	require.Equal(t, plain.Usage.OutputTokens, a.Tokens())
	body, err := a.Body()
	require.NoError(t, err)
	for _, path := range []string{"object", "model", "system_fingerprint", "usage", "choices.#", "choices.#.index", "choices.#.message.role", "choices.#.message.content", "choices.#.message.refusal", "choices.#.finish_reason"} {
		require.JSONEq(t, gjson.GetBytes(plain.Body, path).Raw, gjson.GetBytes(body, path).Raw, path)
	}
}

func TestStreamOfASimulatedResponse(t *testing.T) {
	t.Parallel()
	p := simulated(t, simulator.Options{})
	answer, a := collect(t, p, "/v1/responses", `{"model":"sim-small","input":"Hello","stream":true}`)
	body, err := a.Body()
	require.NoError(t, err)
	require.Equal(t, "completed", gjson.GetBytes(body, "status").Str)
	require.Positive(t, answer.Usage.OutputTokens)
	require.Equal(t, answer.Usage.OutputTokens, a.Tokens())
}

func TestMediaAgainstTheSimulator(t *testing.T) {
	t.Parallel()
	p := simulated(t, simulator.Options{MediaTime: 100 * time.Millisecond}, func(_ *Options, c *Config) {
		c.Media = []MediaConfig{{Path: "/v1/videos", Fetch: "/v1/videos/{id}/content", Cancel: "DELETE /v1/videos/{id}"}}
	})
	m, _ := p.Media("/v1/videos")
	id, _, err := m.Submit(t.Context(), []byte(`{"model":"sim-small","prompt":"A telephone rings"}`), "job-1")
	require.NoError(t, err)
	var state MediaState
	require.Eventually(t, func() bool {
		state, err = m.Poll(t.Context(), id)
		return err != nil || state.Done || state.Failed
	}, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, err)
	require.True(t, state.Done)
	require.EqualValues(t, 100, state.Progress)
	result, err := m.Fetch(t.Context(), id, state)
	require.NoError(t, err)
	film, err := io.ReadAll(result.Body)
	require.NoError(t, err)
	require.NoError(t, result.Body.Close())
	require.Equal(t, "video/mp4", result.ContentType)
	require.NotEmpty(t, film)
	require.NoError(t, m.Cancel(t.Context(), id))
	_, err = m.Poll(t.Context(), id)
	require.Equal(t, 404, AsError(err).Status)
}

func TestSpeechAndBack(t *testing.T) {
	t.Parallel()
	p := simulated(t, simulator.Options{})
	speech, err := p.Do(t.Context(), Request{Path: "/v1/audio/speech", Any: true, Body: []byte(`{"model":"sim-small","voice":"alloy","input":"Hello","response_format":"wav"}`)})
	require.NoError(t, err)
	require.Equal(t, "audio/wav", speech.ContentType)
	require.Equal(t, "RIFF", string(speech.Body[:4]))
}
