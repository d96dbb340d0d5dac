package web

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

func TestAGenerationForwardsTheClientsBytes(t *testing.T) {
	t.Parallel()
	h := start(t)
	a := h.post("/v1/generate", `{ "model" : "sim-small", "temperature": 0, "seed": 12345678901234567890,
  "webhook": "https://a.example/h", "input": "h\u00e9 <b> \ud83d\ude00", "x": 1, "x": 2.50, "metadata": {"a":"b"}, "webhook_ids": "known-1" }`)
	require.Equal(t, http.StatusAccepted, a.status, a.body)
	o := object(t, a.body)
	require.Equal(t, "generation", o["object"])
	require.Equal(t, "queued", o["status"])
	require.Empty(t, o["model_output"])
	require.Equal(t, map[string]any{"a": "b"}, o["metadata"])
	j, body, hook := h.records.last()
	require.Equal(t, `{ "model" : "sim-small", "temperature": 0, "seed": 12345678901234567890, "messages":[{"role":"user","content":"h\u00e9 <b> \ud83d\ude00"}], "x": 1, "x": 2.50 }`, string(body))
	require.Equal(t, "/v1/chat/completions", j.Path)
	require.Equal(t, "sim-small", j.Model)
	require.Equal(t, "https://a.example/h", hook.URL)
	require.Equal(t, jobs.Texts{"known-1"}, j.WebhookIDs)
	require.Equal(t, a.body, h.get("/v1/generate/"+j.ID).body)
}

func TestGenerationsThatAreTaken(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ body, forward string }{
		"messages":      {`{"model":"sim-small","messages":[]}`, `{"model":"sim-small","messages":[]}`},
		"list input":    {`{"input": [ {"role":"user"} ],"model":"org/model"}`, `{"messages":[ {"role":"user"} ],"model":"org/model"}`},
		"null input":    {`{"input":null,"model":"sim-small","messages":[1]}`, `{"model":"sim-small","messages":[1]}`},
		"stream":        {`{"model":"sim-small","stream":true,"input":"x"}`, `{"model":"sim-small","stream":true,"messages":[{"role":"user","content":"x"}]}`},
		"stream false":  {`{"model":"sim-small","stream":false,"input":"x"}`, `{"model":"sim-small","stream":false,"messages":[{"role":"user","content":"x"}]}`},
		"nulls are cut": {`{"run_at":null,"model":"sim-small","input":"x","priority":null,"webhook_ids":[]}`, `{"model":"sim-small","messages":[{"role":"user","content":"x"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			a := h.post("/v1/generate", tc.body)
			require.Equal(t, http.StatusAccepted, a.status, a.body)
			_, body, _ := h.records.last()
			require.Equal(t, tc.forward, string(body))
		})
	}
}

func TestWrongGenerationsAreRefusedByName(t *testing.T) {
	t.Parallel()
	h := start(t)
	for name, tc := range map[string]struct {
		members, param, code string
		status               int
	}{
		"no model":          {`"input":"x"`, "model", "missing_required_parameter", 400},
		"model a number":    {`"model":1,"input":"x"`, "model", "invalid_type", 400},
		"unknown model":     {`"model":"nope","input":"x"`, "model", "model_not_found", 404},
		"no prompt":         {`"model":"sim-small"`, "input", "missing_required_parameter", 400},
		"null prompts":      {`"model":"sim-small","input":null,"messages":null`, "input", "missing_required_parameter", 400},
		"both":              {`"model":"sim-small","input":"x","messages":[]`, "input", "", 400},
		"both, null":        {`"model":"sim-small","input":"x","messages":null`, "input", "", 400},
		"input an object":   {`"model":"sim-small","input":{}`, "input", "invalid_type", 400},
		"messages a text":   {`"model":"sim-small","messages":"x"`, "messages", "invalid_type", 400},
		"stream a text":     {`"model":"sim-small","input":"x","stream":"true"`, "stream", "invalid_type", 400},
		"stream twice":      {`"model":"sim-small","input":"x","stream":false,"stream":true`, "stream", "invalid_value", 400},
		"model twice":       {`"model":"sim-small","input":"x","model":"gpt"`, "model", "invalid_value", 400},
		"webhook twice":     {`"model":"sim-small","input":"x","webhook":null,"webhook":null`, "webhook", "invalid_value", 400},
		"input twice":       {`"model":"sim-small","input":"x","\u0069nput":"y"`, "input", "invalid_value", 400},
		"run_at":            {`"model":"sim-small","input":"x","run_at":"tomorrow"`, "run_at", "invalid_value", 400},
		"run_at far ahead":  {`"model":"sim-small","input":"x","run_at":"2030-01-01T00:00:00Z"`, "run_at", "invalid_value", 400},
		"run_at a fraction": {`"model":"sim-small","input":"x","run_at":1700000100.5`, "run_at", "invalid_value", 400},
		"run_at a boolean":  {`"model":"sim-small","input":"x","run_at":true`, "run_at", "invalid_type", 400},
		"priority a number": {`"model":"sim-small","input":"x","priority":1`, "priority", "invalid_type", 400},
		"priority unknown":  {`"model":"sim-small","input":"x","priority":"urgent"`, "priority", "invalid_value", 400},
		"priority empty":    {`"model":"sim-small","input":"x","priority":""`, "priority", "invalid_value", 400},
		"webhook":           {`"model":"sim-small","input":"x","webhook":{}`, "webhook.url", "invalid_value", 400},
		"webhook ids":       {`"model":"sim-small","input":"x","webhook_ids":["a"]`, "webhook_ids", "invalid_value", 400},
		"metadata a number": {`"model":"sim-small","input":"x","metadata":{"a":1}`, "metadata.a", "invalid_type", 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := h.post("/v1/generate", "{"+tc.members+"}")
			require.Equal(t, tc.status, a.status, a.body)
			require.Equal(t, tc.param, failure(t, a).Param)
			require.Equal(t, tc.code, failure(t, a).Code)
		})
	}
}

func TestCancelOfAGeneration(t *testing.T) {
	t.Parallel()
	h := start(t)
	id := object(t, h.post("/v1/generate", `{"model":"sim-small","input":"x"}`).body)["id"].(string)
	batch := object(t, h.post("/v1/batches", batchBody).body)["id"].(string)
	a := h.post("/v1/generate/"+id+"/cancel", "")
	require.Equal(t, "cancelled", object(t, a.body)["status"])
	h.records.end(jobs.Failed)
	a = h.post("/v1/generate/"+id+"/cancel", "")
	require.Equal(t, http.StatusConflict, a.status)
	require.Equal(t, "false", a.header.Get("x-should-retry"))
	for _, other := range []string{batch, "gen_x"} {
		require.Equal(t, http.StatusNotFound, h.get("/v1/generate/"+other).status)
		require.Equal(t, http.StatusNotFound, h.post("/v1/generate/"+other+"/cancel", "").status)
		require.True(t, strings.HasPrefix(failure(t, h.get("/v1/generate/"+other)).Message, "No generation found"))
	}
}
