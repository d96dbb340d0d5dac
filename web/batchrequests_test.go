package web

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// inline is a batch that brings its requests along.
func inline(requests string) string {
	return `{"requests":` + requests + `,"endpoint":"/v1/chat/completions","completion_window":"24h"}`
}

// TestRequestsBecomeAFile of which each body is as it came.
func TestRequestsBecomeAFile(t *testing.T) {
	t.Parallel()
	h := start(t)
	a := h.post("/v1/batches", inline("[ {\"body\":{ \"model\" :\n\"m\",\r\n\"x\":1e400,\"x\":9007199254740993,\"t\":\"a\\n\"}},\n"+
		`{"url":"/v1/x","custom_id":"\u0061","body":{},"method":"GET"}, {"custom_id":null,"method":null,"url":null,"body":{},"id":"batch_req_1","response":null,"error":{"code":"c"}}]`))
	require.Equal(t, http.StatusOK, a.status, a.body)
	j, _, _ := h.records.last()
	require.Equal(t, j.InputFileID, object(t, a.body)["input_file_id"])
	f := h.records.files[0]
	require.Equal(t, []string{j.InputFileID, "batch", j.ID + "_input.jsonl"}, []string{f.ID, f.Purpose, f.Filename})
	text := string(h.blobs.stored[f.Blob])
	require.Equal(t, `{"custom_id":"request-1","method":"POST","url":"/v1/chat/completions","body":{ "model" : "m",  "x":1e400,"x":9007199254740993,"t":"a\n"}}`+"\n"+
		`{"custom_id":"\u0061","method":"GET","url":"/v1/x","body":{}}`+"\n"+
		`{"custom_id":"request-3","method":"POST","url":"/v1/chat/completions","body":{}}`+"\n", text)
	require.EqualValues(t, len(text), f.Bytes)
	require.Equal(t, f.CreatedAt.Add(jobs.BatchFileTTL), f.ExpiresAt)
}

func TestWrongRequestsAreRefusedByName(t *testing.T) {
	t.Parallel()
	h := start(t)
	good := `{"body":{}}`
	for name, tc := range map[string]struct{ body, param, code string }{
		"no array":           {inline(`{}`), "requests", "invalid_type"},
		"empty":              {inline(`[]`), "requests", "invalid_value"},
		"null is no file":    {inline(`null`), "input_file_id", "missing_required_parameter"},
		"both":               {with(`"requests":[` + good + `]`), "requests", "invalid_value"},
		"too many":           {inline("[" + strings.Repeat(good+",", 100) + good + "]"), "requests", "invalid_value"},
		"no object":          {inline(`[` + good + `,7]`), "requests[1]", "invalid_type"},
		"no body":            {inline(`[` + good + `,` + good + `,{}]`), "requests[2].body", "missing_required_parameter"},
		"body null":          {inline(`[{"body":null}]`), "requests[0].body", "missing_required_parameter"},
		"body a text":        {inline(`[{"body":"x"}]`), "requests[0].body", "invalid_type"},
		"custom_id a number": {inline(`[{"custom_id":7,"body":{}}]`), "requests[0].custom_id", "invalid_type"},
		"method a list":      {inline(`[{"method":[],"body":{}}]`), "requests[0].method", "invalid_type"},
		"url true":           {inline(`[{"url":true,"body":{}}]`), "requests[0].url", "invalid_type"},
		"unknown":            {inline(`[{"customId":"a","body":{}}]`), "requests[0].customId", "unknown_parameter"},
		"twice":              {inline(`[{"body":{},"body":{}}]`), "requests[0].body", "invalid_value"},
		"other endpoint":     {strings.Replace(inline("["+good+"]"), "/v1/chat/completions", "/v1/x", 1), "endpoint", "invalid_value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := h.post("/v1/batches", tc.body)
			require.Equal(t, http.StatusBadRequest, a.status, a.body)
			e := failure(t, a)
			require.Equal(t, tc.param, e.Param)
			require.Equal(t, tc.code, e.Code)
		})
	}
	t.Cleanup(func() {
		require.Zero(t, h.blobs.count(), "no bytes are left")
		_, batches := h.records.count()
		require.Zero(t, batches)
	})
}

func TestAsManyRequestsAsTheLimit(t *testing.T) {
	t.Parallel()
	h := start(t)
	a := h.post("/v1/batches", inline("["+strings.Repeat(`{"body":{}},`, 99)+`{"body":{}}]`))
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, 100, strings.Count(string(h.blobs.stored[h.records.files[0].Blob]), "\n"))
}

// TestRequestsAreKeptOnce: a repeat is answered as the first, and its bytes go.
func TestRequestsAreKeptOnce(t *testing.T) {
	t.Parallel()
	h := start(t)
	body := inline(`[{"body":{"a":1}}]`)
	first := h.post("/v1/batches", body, "Idempotency-Key", "k")
	again := h.post("/v1/batches", body, "Idempotency-Key", "k")
	require.Equal(t, first.body, again.body)
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
	other := h.post("/v1/batches", strings.Replace(body, "1", "2", 1), "Idempotency-Key", "k")
	require.Equal(t, http.StatusUnprocessableEntity, other.status)
	require.Equal(t, 1, h.blobs.count())
	_, batches := h.records.count()
	require.Equal(t, 1, batches)
}

// tweak changes the first job.
func (m *memory) tweak(change func(*jobs.Job)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.jobs[0])
}

func TestRetryOfABatch(t *testing.T) {
	t.Parallel()
	h, path := withBatch(t)
	path = strings.TrimSuffix(path, "results") + "retry"
	conflict := func(what string) {
		t.Helper()
		a := h.post(path, "")
		require.Equal(t, http.StatusConflict, a.status, a.body)
		require.Equal(t, "false", a.header.Get("x-should-retry"))
		require.Contains(t, failure(t, a).Message, what)
	}
	conflict("status 'validating'")
	h.records.tweak(func(j *jobs.Job) { j.Status = "cancelled" })
	conflict("before any of its requests was run")
	h.records.tweak(func(j *jobs.Job) {
		j.StartedAt, j.Total, j.Completed, j.Model, j.Status = 1, 3, 3, "sim-small", "completed"
	})
	conflict("nothing is left to retry")
	h.records.tweak(func(j *jobs.Job) { j.Completed = 2 })
	conflict("'file-1' was deleted or has expired")
	id := h.upload(t, purpose("batch"), batchFile())
	h.records.tweak(func(j *jobs.Job) {
		j.InputFileID = id
		j.Metadata, j.Priority, j.OutputTTL = []byte(`{"a":"1"}`), "low", 3600
	})
	old, _, _ := h.records.last()

	for body, want := range map[string]shown{
		`{"model":7}`:                    {Param: "model", Code: "invalid_type"},
		`{"completion_window":"1s"}`:     {Param: "completion_window", Code: "invalid_value"},
		`{"input_file_id":"file-1"}`:     {Param: "input_file_id", Code: "unknown_parameter"},
		`[]`:                             {Code: "invalid_type"},
		`{"webhook":{"url":"http://a"}}`: {Param: "webhook.url", Code: "invalid_value"},
	} {
		a := h.post(path, body)
		require.Equal(t, http.StatusBadRequest, a.status, a.body)
		e := failure(t, a)
		require.Equal(t, want, shown{Param: e.Param, Code: e.Code}, body)
	}
	a := h.post(path, `{"model":"gpt-none"}`)
	require.Equal(t, http.StatusNotFound, a.status)
	require.Equal(t, "model_not_found", failure(t, a).Code)
	require.Equal(t, http.StatusNotFound, h.post("/v1/batches/batch_none/retry", "").status)

	a = h.post(path, "", "Idempotency-Key", "k")
	require.Equal(t, http.StatusOK, a.status, a.body)
	o := object(t, a.body)
	require.Equal(t, old.ID, o["retry_of"])
	require.NotEqual(t, old.ID, o["id"])
	require.Equal(t, []any{"validating", "sim-small", old.InputFileID, "24h", "low", nil}, []any{o["status"], o["model"], o["input_file_id"], o["completion_window"], o["priority"], o["webhook"]})
	require.Equal(t, map[string]any{"a": "1"}, o["metadata"])
	made, _, _ := h.records.last()
	require.EqualValues(t, 3600, made.OutputTTL)
	require.Equal(t, a.body, h.post(path, "", "Idempotency-Key", "k").body)

	a = h.post(path, `{"model":"org/model","completion_window":"2h","priority":"high","metadata":{},"webhook":"https://b.example"}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	o = object(t, a.body)
	require.Equal(t, []any{"org/model", "2h", "high", map[string]any{}}, []any{o["model"], o["completion_window"], o["priority"], o["metadata"]})
	require.Equal(t, 7200.0, o["expires_at"].(float64)-o["created_at"].(float64))
	_, _, hook := h.records.last()
	require.Equal(t, "https://b.example", hook.URL)
	require.Contains(t, h.get("/v1/batches/"+old.ID).body, `"retry_of":null`)
}
