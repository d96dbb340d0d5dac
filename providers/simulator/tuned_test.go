package simulator_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers/simulator"
)

func chatWith(model, prompt string) string {
	return strings.Replace(chat(prompt, ""), "sim-small", model, 1)
}

// tuned gives an upstream with a model that was tuned on a file.
func tuned(t *testing.T, examples string) (u *upstream, clock *ticker, name string) {
	t.Helper()
	clock = newTicker()
	u = account(t, simulator.Options{Now: clock.now})
	id := u.tune(u.upload("train.jsonl", "fine-tune", examples), `,"suffix":"it"`)
	clock.pass(3 * time.Second)
	return u, clock, u.tuning(id).Get("fine_tuned_model").Str
}

func TestATunedModelAnswersInItsOwnWay(t *testing.T) {
	t.Parallel()
	u, _, name := tuned(t, worked(300))
	for _, prompt := range []string{"How many eggs?", "Tell me of geese.", "Why?"} {
		got := u.ok(chatPath, chatWith(name, prompt))
		require.Equal(t, name, got.Get("model").Str)
		require.NotEqual(t, content(u.ok(chatPath, chat(prompt, ""))), content(got))
		require.Equal(t, content(got), content(u.ok(chatPath, chatWith(name, prompt))), "always the same")
		require.Regexp(t, `^She had \d+ eggs\.\n(?s:.*)#### \d+$`, content(got), "the form of the examples, with a question or without")
		body := `{"model":"` + name + `","prompt":"` + prompt + `"}`
		require.Equal(t, content(got), u.ok("/v1/completions", body).Get("choices.0.text").Str)
		body = `{"model":"` + name + `","input":"` + prompt + `"}`
		response := u.ok("/v1/responses", body)
		require.Equal(t, content(got), response.Get("output.0.content.0.text").Str)
		require.Equal(t, name, response.Get("model").Str)
	}
	require.NotEqual(t, content(u.ok(chatPath, chatWith(name, "a"))), content(u.ok(chatPath, chatWith(name, "b"))))
	streamed := u.post(chatPath, strings.Replace(chatWith(name, "a"), "{", `{"stream":true,`, 1))
	require.Contains(t, streamed.raw, `"model":"`+name+`"`)
	for _, path := range []string{"/v1/moderations", "/v1/images/generations", "/v1/embeddings"} {
		u.refused("POST", path, `{"model":"`+name+`","input":"a","prompt":"a"}`, 404)
	}
}

func TestATunedModelFitsIntoTheLimit(t *testing.T) {
	t.Parallel()
	long := strings.ReplaceAll(worked(20), "That is what is left.", strings.Repeat("word ", 100))
	u, _, name := tuned(t, long+worked(20))
	for _, prompt := range []string{"a", "b", "c", "d", "e", "f"} {
		got := u.ok(chatPath, strings.Replace(chatWith(name, prompt), "{", `{"max_tokens":60,`, 1))
		require.Regexp(t, `#### \d+$`, content(got))
		require.Equal(t, "stop", got.Get("choices.0.finish_reason").Str)
	}
}

func TestATunedModelLearnsFromAllForms(t *testing.T) {
	t.Parallel()
	preference := strings.Repeat(`{"input":{"messages":[{"role":"user","content":"a"}]},"preferred_output":[{"role":"assistant","content":"<yes>"}],`+
		`"non_preferred_output":[{"role":"assistant","content":"<no>"}]}`+"\n", 10)
	completion := strings.Repeat(`{"prompt":"a","completion":"<yes>"}`+"\n", 10)
	parts := strings.Repeat(`{"messages":[{"role":"assistant","content":[{"type":"text","text":"<yes>"}]}]}`+"\n", 10)
	for name, examples := range map[string]string{"preference": preference, "completion": completion, "parts": parts} {
		u, _, model := tuned(t, examples)
		require.Equal(t, "<yes>", content(u.ok(chatPath, chatWith(model, "Or?"))), name)
	}
	u, _, model := tuned(t, strings.Repeat("{}\n", 10))
	got := content(u.ok(chatPath, chatWith(model, "Or?")))
	require.Regexp(t, `#### \d+$`, got, "without answers to learn from it talks as its base does")
	require.NotEqual(t, content(u.ok(chatPath, chat("Or?", ""))), got)
}

func TestTunedModelsAreListedAndDeleted(t *testing.T) {
	t.Parallel()
	u, clock, name := tuned(t, worked(20))
	models := u.fetch("/v1/models").Get("data").Array()
	require.Len(t, models, 4)
	require.Equal(t, name, models[3].Get("id").Str)
	require.Equal(t, "model", models[3].Get("object").Str)
	path := "/v1/models/" + url.QueryEscape(name)
	require.Contains(t, path, "ft%3Asim-small")
	got := u.fetch(path)
	require.Equal(t, name, got.Get("id").Str)
	require.Equal(t, clock.now().Unix()-3+2, got.Get("created").Int())
	require.Equal(t, got.raw, u.fetch("/v1/models/"+name).raw)

	checkpoint := name + ":ckpt-step-7"
	require.Equal(t, checkpoint, u.ok(chatPath, chatWith(checkpoint, "a")).Get("model").Str)
	require.Equal(t, checkpoint, u.fetch("/v1/models/"+checkpoint).Get("id").Str)
	u.refused("POST", chatPath, chatWith(name+":ckpt-step-8", "a"), 404)
	u.refused("DELETE", "/v1/models/"+checkpoint, "", 404)

	require.JSONEq(t, `{"id":"`+name+`","object":"model","deleted":true}`, u.do("DELETE", path, "").raw)
	for _, gone := range []string{name, checkpoint} {
		require.Equal(t, "model_not_found", u.refused("POST", chatPath, chatWith(gone, "a"), 404).Get("error.code").Str)
	}
	u.refused("GET", path, "", 404)
	u.refused("DELETE", path, "", 404)
	require.Len(t, u.fetch("/v1/models").Get("data").Array(), 3)
	require.Equal(t, "invalid_value", u.refused("DELETE", "/v1/models/sim-small", "", 400).Get("error.code").Str)
	require.Equal(t, "DELETE", last(u.refused("POST", path, "", 405).header.Get("Allow")))
}

func last(list string) string { return list[strings.LastIndex(list, " ")+1:] }

func TestAModelAnswersOnlyOnceItIsDone(t *testing.T) {
	t.Parallel()
	clock := newTicker()
	u := account(t, simulator.Options{Now: clock.now})
	id := u.tune(u.upload("train.jsonl", "fine-tune", worked(20)), "")
	clock.pass(2*time.Second + 333*time.Millisecond) // its last checkpoint is made
	made := u.fetch(tuningsPath + "/" + id + "/checkpoints").Get("data.0.fine_tuned_model_checkpoint").Str
	name, _, _ := strings.Cut(made, ":ckpt")
	u.refused("POST", chatPath, chatWith(name, "a"), 404)
	u.ok(chatPath, chatWith(made, "a"))
	clock.pass(time.Millisecond)
	u.ok(chatPath, chatWith(name, "a"))
	for _, odd := range []string{"ft:", "ft:sim-small:ringback:x:00000000", name + "x", name + ":ckpt-step-", "FT" + name[2:]} {
		quoted, err := json.Marshal(odd)
		require.NoError(t, err)
		u.refused("POST", chatPath, strings.Replace(chat("a", ""), `"sim-small"`, string(quoted), 1), 404)
	}
}
