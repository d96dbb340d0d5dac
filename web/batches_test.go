package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

const batchBody = `{"input_file_id":"file-1","endpoint":"/v1/chat/completions","completion_window":"24h"}`

// with is the plain batch with further members.
func with(members string) string { return strings.TrimSuffix(batchBody, "}") + "," + members + "}" }

func TestABatchIsTakenWhole(t *testing.T) {
	t.Parallel()
	h := start(t)
	a := h.post("/v1/batches", with(`"metadata":{"a":"1"},"output_expires_after":{"anchor":"created_at","seconds":3600},
		"webhook":{"url":"https://a.example/h","method":"PUT","secret":"whsec_canary"},"webhook_ids":["known-1","known-2","known-1"]`))
	require.Equal(t, http.StatusOK, a.status, a.body)
	o := object(t, a.body)
	require.Equal(t, "batch", o["object"])
	require.Equal(t, "validating", o["status"])
	require.Equal(t, map[string]any{"a": "1"}, o["metadata"])
	require.Equal(t, map[string]any{"url": "https://a.example/h", "method": "PUT", "secret": "***"}, o["webhook"])
	j, _, hook := h.records.last()
	require.EqualValues(t, 3600, j.OutputTTL)
	require.Equal(t, jobs.DefaultProject, j.ProjectID)
	require.Equal(t, "whsec_canary", hook.Secret)
	require.Equal(t, jobs.Texts{"known-1", "known-2"}, j.WebhookIDs)
	require.NotContains(t, a.body+h.log.String(), "canary")
	require.Equal(t, a.body, h.get("/v1/batches/"+j.ID).body)
}

func TestNullsAreAbsent(t *testing.T) {
	t.Parallel()
	h := start(t)
	a := h.post("/v1/batches", with(`"metadata":null,"output_expires_after":null,"webhook":null,"webhook_ids":null`))
	require.Equal(t, http.StatusOK, a.status, a.body)
	_, _, hook := h.records.last()
	require.Nil(t, hook)
}

func TestABareURLIsAWebhook(t *testing.T) {
	t.Parallel()
	h := start(t)
	require.Equal(t, http.StatusOK, h.post("/v1/batches", with(`"webhook":"https://b.example"`)).status)
	_, _, hook := h.records.last()
	require.Equal(t, "https://b.example", hook.URL)
}

func TestWrongBatchesAreRefusedByName(t *testing.T) {
	t.Parallel()
	h := start(t)
	pairs := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d":"v"`, i)
		}
		return strings.TrimPrefix(b.String(), ",")
	}
	for name, tc := range map[string]struct{ body, param, code, message string }{
		"no file":           {`{"endpoint":"/v1/embeddings","completion_window":"24h"}`, "input_file_id", "missing_required_parameter", "Missing required parameter: 'input_file_id'."},
		"empty":             {`{}`, "input_file_id", "missing_required_parameter", ""},
		"null file":         {`{"input_file_id":null}`, "input_file_id", "missing_required_parameter", ""},
		"array for a text":  {with(`"completion_window_":1`), "completion_window_", "unknown_parameter", "Unknown parameter: 'completion_window_'."},
		"file is a number":  {`{"input_file_id":7}`, "input_file_id", "invalid_type", "Invalid type for 'input_file_id': expected a string, but got an integer instead."},
		"endpoint an array": {`{"input_file_id":"f","endpoint":[1]}`, "endpoint", "invalid_type", "Invalid type for 'endpoint': expected a string, but got an array instead."},
		"window a boolean":  {`{"input_file_id":"f","completion_window":true}`, "completion_window", "invalid_type", ""},
		"other endpoint":    {`{"input_file_id":"f","endpoint":"/v1/x","completion_window":"24h"}`, "endpoint", "invalid_value", ""},
		"other window":      {`{"input_file_id":"f","endpoint":"/v1/embeddings","completion_window":"8d"}`, "completion_window", "invalid_value", ""},
		"file with NUL":     {`{"input_file_id":"f\u0000","endpoint":"/v1/embeddings","completion_window":"24h"}`, "input_file_id", "invalid_value", ""},
		"twice":             {with(`"endpoint":"/v1/embeddings"`), "endpoint", "invalid_value", "Duplicate parameter: 'endpoint'. Give it once."},
		"escaped twice":     {with(`"\u0065ndpoint":"/v1/embeddings"`), "endpoint", "invalid_value", ""},

		"metadata a list":      {with(`"metadata":[]`), "metadata", "invalid_type", "Invalid type for 'metadata': expected an object, but got an array instead."},
		"metadata value":       {with(`"metadata":{"tags":["a"]}`), "metadata.tags", "invalid_type", "Invalid type for 'metadata.tags': expected a string, but got an array instead."},
		"metadata null value":  {with(`"metadata":{"tags":null}`), "metadata.tags", "invalid_type", ""},
		"metadata float":       {with(`"metadata":{"tags":1.5}`), "metadata.tags", "invalid_type", "Invalid type for 'metadata.tags': expected a string, but got a number instead."},
		"17 pairs":             {with(`"metadata":{` + pairs(17) + `}`), "metadata", "object_above_max_properties", ""},
		"65 characters of key": {with(`"metadata":{"` + strings.Repeat("ü", 65) + `":"v"}`), "metadata", "string_above_max_length", ""},
		"513 of value":         {with(`"metadata":{"k":"` + strings.Repeat("ü", 513) + `"}`), "metadata.k", "string_above_max_length", ""},

		"ttl a number":     {with(`"output_expires_after":3600`), "output_expires_after", "invalid_type", ""},
		"ttl no anchor":    {with(`"output_expires_after":{"seconds":3600}`), "output_expires_after.anchor", "missing_required_parameter", ""},
		"ttl other anchor": {with(`"output_expires_after":{"anchor":"x","seconds":3600}`), "output_expires_after.anchor", "invalid_value", ""},
		"ttl no seconds":   {with(`"output_expires_after":{"anchor":"created_at"}`), "output_expires_after.seconds", "missing_required_parameter", ""},
		"ttl short":        {with(`"output_expires_after":{"anchor":"created_at","seconds":3599}`), "output_expires_after.seconds", "integer_below_min_value", ""},
		"ttl long":         {with(`"output_expires_after":{"anchor":"created_at","seconds":2592001}`), "output_expires_after.seconds", "integer_above_max_value", ""},
		"ttl text":         {with(`"output_expires_after":{"anchor":"created_at","seconds":"3600"}`), "output_expires_after.seconds", "invalid_type", ""},
		"ttl fraction":     {with(`"output_expires_after":{"anchor":"created_at","seconds":3600.5}`), "output_expires_after.seconds", "invalid_type", ""},
		"ttl huge":         {with(`"output_expires_after":{"anchor":"created_at","seconds":99999999999999999999}`), "output_expires_after.seconds", "invalid_type", ""},
		"ttl unknown":      {with(`"output_expires_after":{"anchor":"created_at","seconds":3600,"x":1}`), "output_expires_after.x", "unknown_parameter", ""},

		"webhook":          {with(`"webhook":{"url":"http://a"}`), "webhook.url", "invalid_value", ""},
		"webhook id":       {with(`"webhook_ids":["known-1","5f7e"]`), "webhook_ids", "invalid_value", "No webhook endpoint found with id '5f7e'."},
		"webhook id type":  {with(`"webhook_ids":[7]`), "webhook_ids", "invalid_type", ""},
		"webhook id alone": {with(`"webhook_ids":"5f7e"`), "webhook_ids", "invalid_value", "No webhook endpoint found with id '5f7e'."},
		"webhook id NUL":   {with(`"webhook_ids":["a\u0000"]`), "webhook_ids", "invalid_value", ""},
		"webhook ids type": {with(`"webhook_ids":{"a":1}`), "webhook_ids", "invalid_type", ""},
		"33 webhook ids":   {with(`"webhook_ids":[` + strings.Repeat(`"known",`, 32) + `"known"]`), "webhook_ids", "array_above_max_length", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := h.post("/v1/batches", tc.body)
			require.Equal(t, http.StatusBadRequest, a.status, a.body)
			e := failure(t, a)
			require.Equal(t, tc.param, e.Param)
			require.Equal(t, tc.code, e.Code)
			if tc.message != "" {
				require.Equal(t, tc.message, e.Message)
			}
		})
	}
	t.Run("at the limits", func(t *testing.T) {
		t.Parallel()
		a := h.post("/v1/batches", with(`"metadata":{`+pairs(15)+`,"`+strings.Repeat("ü", 64)+`":"`+strings.Repeat("ü", 512)+`"}`))
		require.Equal(t, http.StatusOK, a.status, a.body)
	})
}

func TestBatchesAreListedAlone(t *testing.T) {
	t.Parallel()
	h := start(t)
	require.Equal(t, []string{}, ids(t, h.get("/v1/batches")))
	var batches []string
	for range 3 {
		batches = append(batches, object(t, h.post("/v1/batches", batchBody).body)["id"].(string))
	}
	require.Equal(t, http.StatusAccepted, h.post("/v1/generate", `{"model":"sim-small","input":"x"}`).status)
	a := h.get("/v1/batches?limit=2")
	require.Equal(t, []string{batches[2], batches[1]}, ids(t, a))
	require.Equal(t, true, object(t, a.body)["has_more"])
	a = h.get("/v1/batches?limit=2&after=" + batches[1])
	require.Equal(t, []string{batches[0]}, ids(t, a))
	require.Equal(t, false, object(t, a.body)["has_more"])
}

func TestWrongListParametersAreRefused(t *testing.T) {
	t.Parallel()
	h := start(t)
	for query, want := range map[string]struct{ param, code string }{
		"/v1/batches?limit=0":          {"limit", "integer_below_min_value"},
		"/v1/batches?limit=101":        {"limit", "integer_above_max_value"},
		"/v1/batches?limit=x":          {"limit", "invalid_type"},
		"/v1/batches?after=batch_gone": {"after", "invalid_value"},
		"/v1/batches?after=%00":        {"after", "invalid_value"},
		"/v1/files?limit=10001":        {"limit", "integer_above_max_value"},
		"/v1/files?order=up":           {"order", "invalid_value"},
		"/v1/files?after=file-gone":    {"after", "invalid_value"},
		"/v1/jobs?limit=101":           {"limit", "integer_above_max_value"},
		"/v1/jobs?kind=chat":           {"kind", "invalid_value"},
		"/v1/jobs?status=done":         {"status", "invalid_value"},
		"/v1/jobs?after=gone":          {"after", "invalid_value"},
		"/v1/events?limit=101":         {"limit", "integer_above_max_value"},
		"/v1/events?after=evt_gone":    {"after", "invalid_value"},
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			a := h.get(query)
			require.Equal(t, http.StatusBadRequest, a.status, a.body)
			require.Equal(t, want.param, failure(t, a).Param)
			require.Equal(t, want.code, failure(t, a).Code)
		})
	}
}

func TestCancelOfABatch(t *testing.T) {
	t.Parallel()
	h := start(t)
	id := object(t, h.post("/v1/batches", batchBody).body)["id"].(string)
	generation := object(t, h.post("/v1/generate", `{"model":"sim-small","input":"x"}`).body)["id"].(string)
	encoded := strings.Replace(id, "_", "%5F", 1)

	a := h.do(http.MethodPost, "/v1/batches/"+encoded+"/cancel", "")
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, "cancelling", object(t, a.body)["status"])
	a = h.do(http.MethodPost, "/v1/batches/"+id+"/cancel", "", "Content-Type", "application/json")
	require.Equal(t, http.StatusOK, a.status, "cancelling twice is no error")

	h.records.end(jobs.Completed)
	a = h.do(http.MethodPost, "/v1/batches/"+id+"/cancel", "")
	require.Equal(t, http.StatusConflict, a.status)
	require.Equal(t, "false", a.header.Get("x-should-retry"))
	require.Equal(t, shown{"Cannot cancel a batch with status 'completed'.", typeRequest, "", ""}, failure(t, a))

	for _, path := range []string{"/v1/batches/batch_x", "/v1/batches/batch_x/cancel", "/v1/batches/" + generation + "/cancel"} {
		method := http.MethodGet
		if strings.HasSuffix(path, "cancel") {
			method = http.MethodPost
		}
		a = h.do(method, path, "")
		require.Equal(t, http.StatusNotFound, a.status, path)
		require.Regexp(t, `^No batch found with id '\w+'\.$`, failure(t, a).Message)
	}
}

func TestBodiesThatAreNoJSONObject(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.BodyBytes = 4 << 20 })
	for name, tc := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"empty":            {"", 400, ""},
		"text":             {"hello", 400, ""},
		"cut off":          {`{"endpoint":"`, 400, ""},
		"two":              {`{} {}`, 400, ""},
		"BOM":              {"\ufeff{}", 400, ""},
		"NUL":              {"{\"endpoint\":\"\x00\"}", 400, ""},
		"NUL after":        {"{}\x00", 400, ""},
		"not UTF-8":        {"{\"endpoint\":\"\xff\"}", 400, ""},
		"UTF-16":           {"\xff\xfe{\x00}\x00", 400, ""},
		"NaN":              {`{"endpoint":NaN}`, 400, ""},
		"array":            {`[1]`, 400, "invalid_type"},
		"null":             {`null`, 400, "invalid_type"},
		"depth bomb":       {strings.Repeat("[", 4<<20), 400, ""},
		"closed bomb":      {strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20), 400, ""},
		"bomb of objects":  {strings.Repeat(`{"a":`, 1<<19), 400, ""},
		"bomb in a member": {`{"metadata":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "}", 400, ""},
		"too large":        {`{"endpoint":"` + strings.Repeat("x", 4<<20) + `"}`, 413, "request_too_large"},
	} {
		for _, path := range []string{"/v1/batches", "/v1/generate"} {
			t.Run(name+path, func(t *testing.T) {
				t.Parallel()
				a := h.post(path, tc.body)
				require.Equal(t, tc.status, a.status, clip(a.body))
				require.Equal(t, tc.code, failure(t, a).Code)
			})
		}
	}
	a := h.post("/v1/batches", batchBody, "Content-Encoding", "gzip")
	require.Equal(t, http.StatusUnsupportedMediaType, a.status)
	require.Equal(t, "Content-Encoding", failure(t, a).Param)
}
