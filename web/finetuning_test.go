package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// startTuning is the API with a training file, file-1, and files that are none.
func startTuning(t *testing.T) *harness {
	t.Helper()
	h := start(t)
	for id, purpose := range map[string]string{"file-1": "fine-tune", "file-2": "fine-tune", "file-b": "batch"} {
		h.records.files = append(h.records.files, jobs.File{ProjectID: jobs.DefaultProject, ID: id, Purpose: purpose})
	}
	return h
}

const tuningBody = `{"model":"sim-small","training_file":"file-1"}`

func tuningWith(members string) string {
	return strings.TrimSuffix(tuningBody, "}") + "," + members + "}"
}

func (h *harness) tuning(members string) string {
	h.t.Helper()
	body := tuningBody
	if members != "" {
		body = tuningWith(members)
	}
	a := h.post("/v1/fine_tuning/jobs", body)
	require.Equal(h.t, http.StatusOK, a.status, a.body)
	return object(h.t, a.body)["id"].(string)
}

func TestAFineTuningForwardsTheClientsBytes(t *testing.T) {
	t.Parallel()
	h := startTuning(t)
	a := h.post("/v1/fine_tuning/jobs", `{ "webhook":"https://a.example/h", "model" : "sim-small", "training_file":"file-1","validation_file":"file-2",
  "suffix":"\u00fc", "seed": 7, "webhook_ids":["known-1"], "x": 2.50, "x": 1e2, "metadata": {"a" : "b"}, "run_at":1,
  "method":{"type":"dpo","dpo":{"hyperparameters":{"beta":0.10,"n_epochs":"auto"}}, "y":12345678901234567890},
  "priority":"high", "integrations":[{"type":"wandb","wandb":{"project":"p","tags":["t"]}}]}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	o := object(t, a.body)
	require.Equal(t, "fine_tuning.job", o["object"])
	require.Equal(t, "validating_files", o["status"])
	require.Regexp(t, "^ftjob-", o["id"])
	require.Equal(t, "file-1", o["training_file"])
	require.Equal(t, "file-2", o["validation_file"])
	require.Equal(t, "ü", o["user_provided_suffix"])
	require.EqualValues(t, 7, o["seed"])
	require.Equal(t, map[string]any{"a": "b"}, o["metadata"])
	require.Equal(t, "dpo", o["method"].(map[string]any)["type"])
	require.Len(t, o["integrations"], 1)
	require.Equal(t, []any{}, o["result_files"])
	for _, null := range []string{"error", "finished_at", "fine_tuned_model", "trained_tokens", "estimated_finish"} {
		require.Contains(t, o, null)
		require.Nil(t, o[null])
	}
	j, body, hook := h.records.last()
	require.Equal(t, `{ "model" : "sim-small", "training_file":"file-1","validation_file":"file-2",
  "suffix":"\u00fc", "seed": 7, "x": 2.50, "x": 1e2, "metadata": {"a" : "b"},
  "method":{"type":"dpo","dpo":{"hyperparameters":{"beta":0.10,"n_epochs":"auto"}}, "y":12345678901234567890}, "integrations":[{"type":"wandb","wandb":{"project":"p","tags":["t"]}}]}`, string(body))
	require.Equal(t, "https://a.example/h", hook.URL)
	require.Equal(t, jobs.Texts{"known-1"}, j.WebhookIDs)
	require.Equal(t, jobs.PriorityHigh, j.Priority)
	require.Equal(t, a.body, h.get("/v1/fine_tuning/jobs/"+j.ID).body)
	wrapped := object(t, h.get("/v1/jobs/"+j.ID).body)
	require.Equal(t, "fine_tuning", wrapped["kind"])
	require.Equal(t, o["id"], wrapped["detail"].(map[string]any)["id"])
	require.Equal(t, []string{j.ID}, ids(t, h.get("/v1/jobs?kind=fine_tuning&status=validating_files")))
}

func TestFineTuningsThatAreTaken(t *testing.T) {
	t.Parallel()
	h := startTuning(t)
	for _, members := range []string{
		`"seed":0`, `"seed":2147483647`, `"seed":null`, `"suffix":null`, `"validation_file":null`, `"method":null`,
		`"suffix":"` + strings.Repeat("ü", 64) + `"`, `"unknown":{"a":1}`,
		`"hyperparameters":{"batch_size":256,"n_epochs":50,"learning_rate_multiplier":0.05}`,
		`"hyperparameters":{"batch_size":"auto","n_epochs":"auto","learning_rate_multiplier":"auto","warmup":-1}`,
		`"method":{"type":"supervised"}`, `"method":{"type":"supervised","supervised":{"hyperparameters":{"n_epochs":1}}}`,
		`"method":{"type":"dpo","dpo":{"hyperparameters":{"beta":2}}}`,
		`"method":{"type":"reinforcement","reinforcement":{"grader":{"type":"string_check"},"hyperparameters":{"reasoning_effort":"low","compute_multiplier":10,"eval_interval":1,"eval_samples":"auto"}}}`,
		`"integrations":null`, `"integrations":[]`,
	} {
		a := h.post("/v1/fine_tuning/jobs", tuningWith(members))
		require.Equal(t, http.StatusOK, a.status, "%s: %s", members, a.body)
	}
}

func TestWrongFineTuningsAreRefusedByName(t *testing.T) {
	t.Parallel()
	h := startTuning(t)
	hyper := func(members string) string { return tuningWith(`"hyperparameters":{` + members + `}`) }
	method := func(members string) string { return tuningWith(`"method":{` + members + `}`) }
	wandb := `{"type":"wandb","wandb":{"project":"p"}}`
	for name, tc := range map[string]struct{ body, param, code string }{
		"no model":             {`{"training_file":"file-1"}`, "model", "missing_required_parameter"},
		"no file":              {`{"model":"sim-small"}`, "training_file", "missing_required_parameter"},
		"model a number":       {`{"model":1,"training_file":"file-1"}`, "model", "invalid_type"},
		"no body":              {``, "", ""},
		"model twice":          {tuningWith(`"model":"x"`), "model", "invalid_value"},
		"file twice":           {tuningWith(`"tr\u0061ining_file":"file-2"`), "training_file", "invalid_value"},
		"webhook twice":        {tuningWith(`"webhook":null,"webhook":null`), "webhook", "invalid_value"},
		"unknown file":         {`{"model":"sim-small","training_file":"file-x"}`, "training_file", ""},
		"another purpose":      {`{"model":"sim-small","training_file":"file-b"}`, "training_file", ""},
		"unknown validation":   {tuningWith(`"validation_file":"file-x"`), "validation_file", ""},
		"empty suffix":         {tuningWith(`"suffix":""`), "suffix", "string_below_min_length"},
		"long suffix":          {tuningWith(`"suffix":"` + strings.Repeat("ü", 65) + `"`), "suffix", "string_above_max_length"},
		"suffix a number":      {tuningWith(`"suffix":1`), "suffix", "invalid_type"},
		"seed below":           {tuningWith(`"seed":-1`), "seed", "integer_below_min_value"},
		"seed above":           {tuningWith(`"seed":2147483648`), "seed", "integer_above_max_value"},
		"seed a text":          {tuningWith(`"seed":"1"`), "seed", "invalid_type"},
		"seed a fraction":      {tuningWith(`"seed":1.5`), "seed", "invalid_type"},
		"method a text":        {tuningWith(`"method":"dpo"`), "method", "invalid_type"},
		"no type":              {method(`"dpo":{}`), "method.type", "missing_required_parameter"},
		"unknown type":         {method(`"type":"rlhf"`), "method.type", "invalid_value"},
		"type twice":           {method(`"type":"dpo","type":"supervised"`), "method.type", "invalid_value"},
		"dpo a text":           {method(`"type":"dpo","dpo":"x"`), "method.dpo", "invalid_type"},
		"beta 0":               {method(`"type":"dpo","dpo":{"hyperparameters":{"beta":0}}`), "method.dpo.hyperparameters.beta", "decimal_below_min_value"},
		"beta 2.1":             {method(`"type":"dpo","dpo":{"hyperparameters":{"beta":2.1}}`), "method.dpo.hyperparameters.beta", "decimal_above_max_value"},
		"no grader":            {method(`"type":"reinforcement","reinforcement":{}`), "method.reinforcement.grader", "missing_required_parameter"},
		"nothing of it":        {method(`"type":"reinforcement"`), "method.reinforcement.grader", "missing_required_parameter"},
		"grader a text":        {method(`"type":"reinforcement","reinforcement":{"grader":"x"}`), "method.reinforcement.grader", "invalid_type"},
		"effort":               {method(`"type":"reinforcement","reinforcement":{"grader":{},"hyperparameters":{"reasoning_effort":"much"}}`), "method.reinforcement.hyperparameters.reasoning_effort", "invalid_value"},
		"compute":              {method(`"type":"reinforcement","reinforcement":{"grader":{},"hyperparameters":{"compute_multiplier":0.00001}}`), "method.reinforcement.hyperparameters.compute_multiplier", "decimal_below_min_value"},
		"eval_samples":         {method(`"type":"reinforcement","reinforcement":{"grader":{},"hyperparameters":{"eval_samples":0}}`), "method.reinforcement.hyperparameters.eval_samples", "integer_below_min_value"},
		"hyper a list":         {tuningWith(`"hyperparameters":[]`), "hyperparameters", "invalid_type"},
		"batch size 0":         {hyper(`"batch_size":0`), "hyperparameters.batch_size", "integer_below_min_value"},
		"batch size 257":       {hyper(`"batch_size":257`), "hyperparameters.batch_size", "integer_above_max_value"},
		"batch size a half":    {hyper(`"batch_size":0.5`), "hyperparameters.batch_size", "invalid_type"},
		"epochs 51":            {hyper(`"n_epochs":51`), "hyperparameters.n_epochs", "integer_above_max_value"},
		"epochs many":          {hyper(`"n_epochs":"many"`), "hyperparameters.n_epochs", "invalid_type"},
		"rate 0":               {hyper(`"learning_rate_multiplier":0`), "hyperparameters.learning_rate_multiplier", "decimal_below_min_value"},
		"rate twice":           {hyper(`"learning_rate_multiplier":1,"learning_rate_multiplier":2`), "hyperparameters.learning_rate_multiplier", "invalid_value"},
		"integrations a text":  {tuningWith(`"integrations":"wandb"`), "integrations", "invalid_type"},
		"six integrations":     {tuningWith(`"integrations":[` + strings.Repeat(wandb+",", 5) + wandb + `]`), "integrations", "array_above_max_length"},
		"integration a text":   {tuningWith(`"integrations":["wandb"]`), "integrations[0]", "invalid_type"},
		"integration untyped":  {tuningWith(`"integrations":[` + wandb + `,{}]`), "integrations[1].type", "missing_required_parameter"},
		"unknown integration":  {tuningWith(`"integrations":[{"type":"x"}]`), "integrations[0].type", "invalid_value"},
		"no wandb":             {tuningWith(`"integrations":[{"type":"wandb"}]`), "integrations[0].wandb", "missing_required_parameter"},
		"no project":           {tuningWith(`"integrations":[{"type":"wandb","wandb":{}}]`), "integrations[0].wandb.project", "missing_required_parameter"},
		"metadata a number":    {tuningWith(`"metadata":{"a":1}`), "metadata.a", "invalid_type"},
		"webhook":              {tuningWith(`"webhook":{}`), "webhook.url", "invalid_value"},
		"webhook ids":          {tuningWith(`"webhook_ids":["a"]`), "webhook_ids", "invalid_value"},
		"run_at":               {tuningWith(`"run_at":"soon"`), "run_at", "invalid_value"},
		"priority":             {tuningWith(`"priority":"urgent"`), "priority", "invalid_value"},
		"training_file a list": {`{"model":"sim-small","training_file":["file-1"]}`, "training_file", "invalid_type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := h.post("/v1/fine_tuning/jobs", tc.body)
			require.Equal(t, http.StatusBadRequest, a.status, a.body)
			require.Equal(t, tc.param, failure(t, a).Param)
			require.Equal(t, tc.code, failure(t, a).Code)
		})
	}
	a := h.post("/v1/fine_tuning/jobs", `{"model":"nope","training_file":"file-1"}`)
	require.Equal(t, http.StatusNotFound, a.status)
	require.Equal(t, "model_not_found", failure(t, a).Code)
}

func TestAFineTuningIsMadeOncePerKey(t *testing.T) {
	t.Parallel()
	h := startTuning(t)
	first := h.post("/v1/fine_tuning/jobs", tuningBody, "Idempotency-Key", "k")
	require.Equal(t, http.StatusOK, first.status, first.body)
	again := h.post("/v1/fine_tuning/jobs", tuningBody, "Idempotency-Key", "k")
	require.Equal(t, first.body, again.body)
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
	require.Equal(t, http.StatusUnprocessableEntity, h.post("/v1/fine_tuning/jobs", tuningWith(`"seed":1`), "Idempotency-Key", "k").status)
	_, made := h.records.count()
	require.Equal(t, 1, made)
}

func TestFineTuningsAreListedAlone(t *testing.T) {
	t.Parallel()
	h := startTuning(t)
	require.Equal(t, []string{}, ids(t, h.get("/v1/fine_tuning/jobs")))
	first, second := h.tuning(""), h.tuning("")
	require.Equal(t, http.StatusOK, h.post("/v1/batches", batchBody).status)
	a := h.get("/v1/fine_tuning/jobs?limit=1")
	require.Equal(t, []string{second}, ids(t, a))
	require.Equal(t, true, object(t, a.body)["has_more"])
	a = h.get("/v1/fine_tuning/jobs?after=" + second)
	require.Equal(t, []string{first}, ids(t, a))
	require.Equal(t, false, object(t, a.body)["has_more"])
	require.Equal(t, 20, h.records.asked.Limit)
	require.Nil(t, h.records.asked.Metadata)

	h.get("/v1/fine_tuning/jobs?metadata[a%5Bb]=" + url.QueryEscape("1&2") + "&metadata%5Bc%5D=")
	require.Equal(t, map[string]string{"a[b": "1&2", "c": ""}, h.records.asked.Metadata)
	h.get("/v1/fine_tuning/jobs?metadata=null")
	require.True(t, h.records.asked.NoMetadata)
	for query, param := range map[string]string{
		"limit=0": "limit", "limit=x": "limit", "limit=101": "limit", "after=x": "after", "metadata=x": "metadata",
		"metadata=null&metadata[a]=b": "metadata", "metadata[a]=%00": "metadata", "metadata[a]=%ff": "metadata",
	} {
		a := h.get("/v1/fine_tuning/jobs?" + query)
		require.Equal(t, http.StatusBadRequest, a.status, "%s: %s", query, a.body)
		require.Equal(t, param, failure(t, a).Param, query)
	}
}

func TestFineTuningsAreMoved(t *testing.T) {
	t.Parallel()
	h := startTuning(t)
	id := h.tuning("")
	command := func(verb string) answer { return h.post("/v1/fine_tuning/jobs/"+id+"/"+verb, "") }
	status := func(a answer) any {
		require.Equal(t, http.StatusOK, a.status, a.body)
		return object(t, a.body)["status"]
	}
	refused := func(a answer, message string) {
		require.Equal(t, http.StatusBadRequest, a.status, a.body)
		require.Equal(t, "invalid_request_error", failure(t, a).Type)
		require.Contains(t, failure(t, a).Message, message)
	}
	refused(command("pause"), "Only a fine-tuning job that is queued or running can be paused")
	h.records.end(jobs.Queued)
	require.Equal(t, "queued", status(command("resume")), "it was not paused")
	require.Equal(t, "paused", status(command("pause")))
	require.Equal(t, "paused", status(command("pause")), "twice is no error")
	require.Equal(t, "queued", status(command("resume")))
	require.Equal(t, "cancelled", status(command("cancel")))
	require.Equal(t, "cancelled", status(command("cancel")), "twice is no error")
	h.records.end(jobs.Succeeded)
	refused(command("cancel"), "Job has already completed: "+id)
	refused(command("pause"), id+" is 'succeeded'.")
	refused(command("resume"), "Only a paused fine-tuning job can be resumed")
	refused(h.post("/v1/jobs/"+id+"/cancel", ""), "Job has already completed")
	for _, event := range object(t, h.get("/v1/fine_tuning/jobs/"+id+"/events").body)["data"].([]any) {
		require.Equal(t, "fine_tuning.job.event", event.(map[string]any)["object"])
	}
	other := h.tuning("")
	require.Equal(t, "cancelled", object(t, h.post("/v1/jobs/"+other+"/cancel", "").body)["status"])
}

func TestOnlyFineTuningsAreFound(t *testing.T) {
	t.Parallel()
	h := startTuning(t)
	batch := object(t, h.post("/v1/batches", batchBody).body)["id"].(string)
	for _, id := range []string{"ftjob-x", batch, "%00"} {
		for _, a := range []answer{
			h.get("/v1/fine_tuning/jobs/" + id), h.get("/v1/fine_tuning/jobs/" + id + "/events"),
			h.get("/v1/fine_tuning/jobs/" + id + "/checkpoints"), h.post("/v1/fine_tuning/jobs/"+id+"/cancel", ""),
			h.post("/v1/fine_tuning/jobs/"+id+"/pause", ""), h.post("/v1/fine_tuning/jobs/"+id+"/resume", ""),
		} {
			require.Equal(t, http.StatusNotFound, a.status)
			require.Equal(t, "fine_tune_id", failure(t, a).Param)
			require.Contains(t, failure(t, a).Message, "Could not find fine tune: ")
			require.Equal(t, "fine_tune_not_found", failure(t, a).Code)
		}
	}
}

func TestALogAndCheckpointsInPages(t *testing.T) {
	t.Parallel()
	h := startTuning(t)
	id := h.tuning("")
	h.tuning("")
	for n := range 30 {
		h.records.log = append(h.records.log, jobs.TuningEvent{ID: fmt.Sprintf("ftevent-%d", n), JobID: id, CreatedAt: 5000, Level: "info", Message: "m", Type: "metrics", Data: []byte(`{"step":1}`)})
		h.records.checkpoints = append(h.records.checkpoints, jobs.Checkpoint{ID: fmt.Sprintf("ftckpt_%d", n), JobID: id, CreatedAt: 5000, Model: "ft:m:ckpt-step-1", Step: 1, Metrics: []byte(`{"step":1}`)})
	}
	path := "/v1/fine_tuning/jobs/" + id
	a := h.get(path + "/events")
	require.Len(t, ids(t, a), 20)
	require.Contains(t, a.body, `{"object":"fine_tuning.job.event","id":"ftevent-29","created_at":5,"level":"info","message":"m","type":"metrics","data":{"step":1}}`)
	a = h.get(path + "/events?after=ftevent-1")
	require.Len(t, ids(t, a), 3)
	require.Contains(t, a.body, "Created fine-tuning job: "+id)
	require.Contains(t, a.body, "Validating training file: file-1")
	require.Contains(t, a.body, `"data":null`)
	a = h.get(path + "/checkpoints")
	require.Len(t, ids(t, a), 10)
	require.Contains(t, a.body, `{"id":"ftckpt_0","object":"fine_tuning.job.checkpoint","created_at":5,"fine_tuned_model_checkpoint":"ft:m:ckpt-step-1","fine_tuning_job_id":"`+id+`","step_number":1,"metrics":{"step":1}}`)
	require.Equal(t, "ftckpt_9", object(t, a.body)["last_id"])
	a = h.get(path + "/checkpoints?limit=2&after=ftckpt_29")
	require.Equal(t, `{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}`, a.body)
	for _, part := range []string{"/events", "/checkpoints"} {
		a := h.get(path + part + "?after=x")
		require.Equal(t, http.StatusBadRequest, a.status)
		require.Equal(t, "after", failure(t, a).Param)
	}
}
