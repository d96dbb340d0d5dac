package web

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// TestSubmittedCallsGoOutAsTheyCame: any path of the provider's, the body byte for byte, the job as reads show it.
func TestSubmittedCallsGoOutAsTheyCame(t *testing.T) {
	t.Parallel()
	h := start(t)
	at := time.Now().Add(time.Hour).Unix()
	body := `{"kind":"generation","path":"/v1/embeddings","body":{ "input":["a"] ,"model":"sim-small","n":9007199254740993},` +
		`"metadata":{"a":"b"},"priority":"high","run_at":` + strconv.FormatInt(at, 10) + `,"webhook":"https://example.com/h"}`
	a := h.post("/v1/jobs", body)
	require.Equal(t, http.StatusAccepted, a.status, a.body)
	j, sent, hook := h.records.last()
	require.Equal(t, `{ "input":["a"] ,"model":"sim-small","n":9007199254740993}`, string(sent))
	require.Equal(t, "/v1/embeddings", j.Path)
	require.Equal(t, jobs.PriorityHigh, j.Priority)
	require.Equal(t, jobs.Time(at*1000), j.RunAt)
	require.Equal(t, j.RunAt, j.DueAt)
	require.Equal(t, "https://example.com/h", hook.URL)
	require.Equal(t, "job", gjson.Get(a.body, "object").Str)
	require.JSONEq(t, `{"reason":"window","until":`+strconv.FormatInt(at, 10)+`,"position":null}`, gjson.Get(a.body, "blocked_by").Raw)
	require.Equal(t, a.body, h.get("/v1/jobs/"+j.ID).body)
	h.records.position = 7
	require.JSONEq(t, `{"reason":"queue","until":null,"position":7}`, gjson.Get(h.get("/v1/jobs/"+j.ID).body, "blocked_by").Raw)
}

func TestModelOfACallWithoutOne(t *testing.T) {
	t.Parallel()
	h := start(t)
	a := h.post("/v1/jobs", `{"kind":"generation","path":"/v1/videos","model":"sim-small","body":{"prompt":"p"}}`)
	require.Equal(t, http.StatusAccepted, a.status, a.body)
	j, sent, _ := h.records.last()
	require.Equal(t, "sim-small", j.Model)
	require.JSONEq(t, `{"prompt":"p"}`, string(sent))
}

func TestWrongCallsAreRefusedByName(t *testing.T) {
	t.Parallel()
	h := start(t)
	for name, tc := range map[string]struct {
		body, param, code string
		status            int
	}{
		"no kind":              {`{"path":"/v1/x","body":{"model":"sim-small"}}`, "kind", "missing_required_parameter", 400},
		"a batch":              {`{"kind":"batch","path":"/v1/x","body":{"model":"sim-small"}}`, "kind", "invalid_value", 400},
		"no such kind":         {`{"kind":"chat","path":"/v1/x","body":{"model":"sim-small"}}`, "kind", "invalid_value", 400},
		"no path":              {`{"kind":"generation","body":{"model":"sim-small"}}`, "path", "missing_required_parameter", 400},
		"a path that is a URL": {`{"kind":"generation","path":"https://x.com/v1/y","body":{"model":"sim-small"}}`, "path", "invalid_value", 400},
		"a path up":            {`{"kind":"generation","path":"/v1/../admin","body":{"model":"sim-small"}}`, "path", "invalid_value", 400},
		"a file's path":        {`{"kind":"generation","path":"/v1/files","body":{"model":"sim-small"}}`, "path", "invalid_value", 400},
		"a cancel":             {`{"kind":"generation","path":"/v1/videos/v/cancel","body":{"model":"sim-small"}}`, "path", "invalid_value", 400},
		"a mask":               {`{"kind":"generation","path":"/v1/images/edits","body":{"model":"sim-small","image":"file-x","mask":"file-y"}}`, "body.mask", "unsupported_parameter", 400},
		"a path's query":       {`{"kind":"generation","path":"/v1/x?y=z","body":{"model":"sim-small"}}`, "path", "invalid_value", 400},
		"no body":              {`{"kind":"generation","path":"/v1/x"}`, "body", "missing_required_parameter", 400},
		"body a text":          {`{"kind":"generation","path":"/v1/x","body":"{}"}`, "body", "invalid_type", 400},
		"no model":             {`{"kind":"generation","path":"/v1/x","body":{}}`, "model", "missing_required_parameter", 400},
		"unknown model":        {`{"kind":"generation","path":"/v1/x","body":{"model":"nope"}}`, "model", "model_not_found", 404},
		"two models":           {`{"kind":"generation","path":"/v1/x","model":"a","body":{"model":"sim-small"}}`, "model", "invalid_value", 400},
		"model twice":          {`{"kind":"generation","path":"/v1/x","body":{"model":"sim-small","model":"b"}}`, "body.model", "invalid_value", 400},
		"unknown key":          {`{"kind":"generation","path":"/v1/x","body":{"model":"sim-small"},"x":1}`, "x", "unknown_parameter", 400},
		"no file":              {`{"kind":"generation","path":"/v1/audio/transcriptions","body":{"model":"sim-small"}}`, "body.file", "missing_required_parameter", 400},
		"unknown file":         {`{"kind":"generation","path":"/v1/audio/transcriptions","body":{"model":"sim-small","file":"file-x"}}`, "body.file", "", 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := h.post("/v1/jobs", tc.body)
			require.Equal(t, tc.status, a.status, a.body)
			require.Equal(t, tc.code, gjson.Get(a.body, "error.code").String(), a.body)
			require.Equal(t, tc.param, gjson.Get(a.body, "error.param").String(), a.body)
		})
	}
}
