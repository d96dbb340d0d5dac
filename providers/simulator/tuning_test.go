package simulator_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	openai "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers/simulator"
)

const tuningsPath = "/v1/fine_tuning/jobs"

// worked is n chat examples whose answers show their working, as GSM8K's do.
func worked(n int) string {
	var b strings.Builder
	for i := range n {
		answer, _ := json.Marshal(fmt.Sprintf("She had %d eggs.\nShe sold half: %d/2.\nThat is what is left.\n#### %d", 2*i, 2*i, i))
		fmt.Fprintf(&b, `{"messages":[{"role":"user","content":"How many of %d?"},{"role":"assistant","content":%s}]}`+"\n", i, answer)
	}
	return b.String()
}

func (u *upstream) createTuning(file, more string) answer {
	u.t.Helper()
	return u.post(tuningsPath, `{"model":"sim-small","training_file":"`+file+`"`+more+`}`)
}

func (u *upstream) tune(file, more string) string {
	u.t.Helper()
	got := u.createTuning(file, more)
	require.Equal(u.t, http.StatusOK, got.status, got.raw)
	requireWhole(u.t, got)
	return got.Get("id").Str
}

func (u *upstream) tuning(id string) answer {
	u.t.Helper()
	got := u.fetch(tuningsPath + "/" + id)
	for _, key := range []string{
		"id", "object", "created_at", "error", "finished_at", "fine_tuned_model", "hyperparameters", "model", "organization_id",
		"result_files", "status", "trained_tokens", "training_file", "validation_file", "seed",
	} {
		require.True(u.t, got.Get(key).Exists(), "%s in %s", key, got.raw)
	}
	return got
}

func (u *upstream) events(id string) []answer {
	u.t.Helper()
	var list []answer
	for _, e := range u.fetch(tuningsPath + "/" + id + "/events?limit=100").Get("data").Array() {
		list = append(list, answer{Result: e})
	}
	slices.Reverse(list)
	return list
}

func TestATuningTakesItsCourse(t *testing.T) {
	t.Parallel()
	clock := newTicker()
	u := account(t, simulator.Options{Now: clock.now, TuneTime: time.Minute})
	file, valid := u.upload("train.jsonl", "fine-tune", worked(20)), u.upload("valid.jsonl", "fine-tune", worked(12))
	created := u.createTuning(file, `,"validation_file":"`+valid+`","suffix":"My Model!","seed":42,`+
		`"method":{"type":"supervised","supervised":{"hyperparameters":{"n_epochs":2,"batch_size":"auto"}}},`+
		`"integrations":[{"type":"wandb","wandb":{"project":"p"}}],"metadata":{"ringback_job":"ftjob-<1>"}`)
	require.Equal(t, 200, created.status, created.raw)
	id := created.Get("id").Str
	require.Regexp(t, `^ftjob-[0-9a-f]{24}$`, id)
	require.Equal(t, "fine_tuning.job", created.Get("object").Str)
	require.Equal(t, "sim-small", created.Get("model").Str)
	require.EqualValues(t, 42, created.Get("seed").Int())
	require.Equal(t, "My Model!", created.Get("user_provided_suffix").Str)
	require.JSONEq(t, `{"n_epochs":2,"batch_size":"auto"}`, created.Get("hyperparameters").Raw)
	require.Equal(t, "supervised", created.Get("method.type").Str)
	require.JSONEq(t, `[{"type":"wandb","wandb":{"project":"p"}}]`, created.Get("integrations").Raw)
	require.JSONEq(t, `{"ringback_job":"ftjob-<1>"}`, created.Get("metadata").Raw)
	require.Equal(t, valid, created.Get("validation_file").Str)
	born := clock.now()

	for _, stage := range []struct {
		at     time.Duration
		status string
		events int
	}{
		{0, "validating_files", 2},
		{6*time.Second - 1, "validating_files", 2},
		{6 * time.Second, "queued", 3},
		{10*time.Second - 1, "queued", 3},
		{10 * time.Second, "running", 4},
		{10*time.Second + time.Minute/2, "running", 4 + 10 + 1},
		{70*time.Second - 1, "running", 4 + 20 + 3},
		{70 * time.Second, "succeeded", 4 + 20 + 3 + 2},
		{48 * time.Hour, "succeeded", 4 + 20 + 3 + 2},
	} {
		clock.nanos.Store(born.Add(stage.at).UnixNano())
		got := u.tuning(id)
		require.Equal(t, stage.status, got.Get("status").Str, stage.at)
		require.Len(t, u.events(id), stage.events, stage.at)
		known := stage.status == "queued" || stage.status == "running"
		require.Equal(t, known, got.Get("estimated_finish").Type.String() == "Number", stage.at)
		if known {
			require.EqualValues(t, born.Unix()+70, got.Get("estimated_finish").Int())
		}
		if done := stage.status == "succeeded"; !done {
			require.Empty(t, got.Get("fine_tuned_model").Str)
			require.Empty(t, got.Get("result_files").Array())
			require.Zero(t, got.Get("finished_at").Int())
		}
	}
	done := u.tuning(id)
	require.Regexp(t, `^ft:sim-small:ringback:my-model:[0-9a-f]{8}$`, done.Get("fine_tuned_model").Str)
	require.EqualValues(t, born.Unix()+70, done.Get("finished_at").Int())
	tokens := 0
	for i := range 20 {
		tokens += simulator.CountTokens(fmt.Sprintf("How many of %d?", i))
		tokens += simulator.CountTokens(fmt.Sprintf("She had %d eggs.\nShe sold half: %d/2.\nThat is what is left.\n#### %d", 2*i, 2*i, i))
	}
	require.EqualValues(t, 2*tokens, done.Get("trained_tokens").Int())
	requireHistory(t, u.events(id), id, file, valid, done.Get("fine_tuned_model").Str)
	requireResults(t, u, done)
}

func requireHistory(t *testing.T, events []answer, id, file, valid, model string) {
	t.Helper()
	message := func(i int) string { return events[i].Get("message").Str }
	require.Equal(t, "Created fine-tuning job: "+id, message(0))
	require.Equal(t, "Validating training file: "+file+" and validation file: "+valid, message(1))
	require.Equal(t, "Files validated, moving job to queued state", message(2))
	require.Equal(t, "Fine-tuning job started", message(3))
	require.Equal(t, "New fine-tuned model created: "+model, message(len(events)-2))
	require.Equal(t, "The job has successfully completed", message(len(events)-1))
	seen, last, step := map[string]bool{}, int64(0), int64(0)
	for _, e := range events {
		require.Equal(t, "fine_tuning.job.event", e.Get("object").Str)
		require.Regexp(t, `^ftevent-`, e.Get("id").Str)
		require.False(t, seen[e.Get("id").Str])
		require.GreaterOrEqual(t, e.Get("created_at").Int(), last)
		seen[e.Get("id").Str], last = true, e.Get("created_at").Int()
		if e.Get("type").Str == "metrics" {
			step++
			require.Equal(t, step, e.Get("data.step").Int())
			require.Regexp(t, fmt.Sprintf(`^Step %d/20: training loss=\d\.\d\d, validation loss=\d\.\d\d$`, step), e.Get("message").Str)
		}
	}
	require.EqualValues(t, 20, step)
}

func requireResults(t *testing.T, u *upstream, done answer) {
	t.Helper()
	require.Len(t, done.Get("result_files").Array(), 1)
	result := done.Get("result_files.0").Str
	require.Equal(t, "fine-tune-results", u.fetch("/v1/files/"+result).Get("purpose").Str)
	require.Equal(t, result, ids(u.fetch("/v1/files"))[0])
	rows, err := csv.NewReader(strings.NewReader(u.fetch("/v1/files/" + result + "/content").raw)).ReadAll()
	require.NoError(t, err)
	require.Equal(t, []string{"step", "train_loss", "train_mean_token_accuracy", "valid_loss", "valid_mean_token_accuracy"}, rows[0])
	require.Len(t, rows, 21)
	number := func(row, column int) float64 {
		x, err := strconv.ParseFloat(rows[row][column], 64)
		require.NoError(t, err)
		return x
	}
	for _, column := range []int{1, 3} {
		require.Greater(t, number(1, column), 2*number(20, column), "the loss falls")
		require.Less(t, number(1, column+1), number(20, column+1)-0.2, "the accuracy rises")
	}
	u.do("DELETE", "/v1/files/"+result, "")
	u.tuning(done.Get("id").Str)
	u.refused("GET", "/v1/files/"+result, "", 404)
}

func TestCheckpoints(t *testing.T) {
	t.Parallel()
	clock := newTicker()
	u := account(t, simulator.Options{Now: clock.now})
	id := u.tune(u.upload("train.jsonl", "fine-tune", worked(20)), "")
	require.Equal(t, "[]", u.fetch(tuningsPath+"/"+id+"/checkpoints").Get("data").Raw)
	clock.pass(3 * time.Second)
	got := u.fetch(tuningsPath + "/" + id + "/checkpoints")
	require.Len(t, ids(got), 3)
	for i, step := range []int{20, 14, 7} {
		c := got.Get("data").Array()[i]
		require.EqualValues(t, step, c.Get("step_number").Int())
		require.Regexp(t, `^ftckpt_`, c.Get("id").Str)
		require.Equal(t, fmt.Sprintf("%s:ckpt-step-%d", u.tuning(id).Get("fine_tuned_model").Str, step), c.Get("fine_tuned_model_checkpoint").Str)
		require.Equal(t, id, c.Get("fine_tuning_job_id").Str)
		require.True(t, c.Get("metrics.train_loss").Exists())
		require.False(t, c.Get("metrics.valid_loss").Exists(), "there is no validation file")
	}
	page := u.fetch(tuningsPath + "/" + id + "/checkpoints?limit=1&after=" + got.Get("data.0.id").Str)
	require.Equal(t, got.Get("data.1.id").Str, page.Get("data.0.id").Str)
	require.True(t, page.Get("has_more").Bool())
}

func TestATuningCanStandStill(t *testing.T) {
	t.Parallel()
	clock := newTicker()
	u := account(t, simulator.Options{Now: clock.now, TuneTime: time.Minute})
	file := u.upload("train.jsonl", "fine-tune", worked(20))
	id := u.tune(file, "")
	move := func(verb string) answer { return u.post(tuningsPath+"/"+id+"/"+verb, "") }
	require.Equal(t, 400, move("resume").status)
	clock.pass(40 * time.Second) // half of it runs
	require.Equal(t, "paused", move("pause").Get("status").Str)
	require.Equal(t, 400, move("pause").status)
	before := u.events(id)
	clock.pass(time.Hour)
	paused := u.tuning(id)
	require.Equal(t, "paused", paused.Get("status").Str)
	require.Equal(t, "null", paused.Get("estimated_finish").Raw)
	require.Len(t, u.events(id), len(before))
	require.Equal(t, "queued", move("resume").Get("status").Str)
	clock.pass(4*time.Second - 1)
	require.Equal(t, "queued", u.tuning(id).Get("status").Str)
	require.Equal(t, "paused", move("pause").Get("status").Str, "also while it is queued again")
	clock.pass(time.Hour)
	move("resume")
	clock.pass(4 * time.Second)
	require.Equal(t, "running", u.tuning(id).Get("status").Str)
	clock.pass(30*time.Second - 1)
	require.Equal(t, "running", u.tuning(id).Get("status").Str)
	clock.pass(1)
	require.Equal(t, "succeeded", u.tuning(id).Get("status").Str)
	after := u.events(id)
	require.Equal(t, before[0].Raw, after[0].Raw)
	for i := range before {
		require.Equal(t, before[i].Raw, after[i].Raw, "what has happened stays as it was")
	}
	require.Len(t, after, 4+20+3+2+4)
	for _, verb := range []string{"pause", "resume", "cancel"} {
		require.Contains(t, u.refused("POST", tuningsPath+"/"+id+"/"+verb, "", 400).Get("error.message").Str, "Job has already completed: "+id)
	}
}

func TestCancelledTuningsStayAsTheyWere(t *testing.T) {
	t.Parallel()
	clock := newTicker()
	u := account(t, simulator.Options{Now: clock.now, TuneTime: time.Minute})
	file := u.upload("train.jsonl", "fine-tune", worked(20))
	for name, at := range map[string]time.Duration{"validating": 0, "queued": 7 * time.Second, "running": 40 * time.Second} {
		id := u.tune(file, "")
		clock.pass(at)
		got := u.post(tuningsPath+"/"+id+"/cancel", "")
		require.Equal(t, "cancelled", got.Get("status").Str, name)
		require.Equal(t, clock.now().Unix(), got.Get("finished_at").Int())
		events := len(u.events(id))
		clock.pass(time.Hour)
		require.Len(t, u.events(id), events)
		require.Equal(t, got.raw, u.tuning(id).raw)
		require.Equal(t, "The job has been cancelled", u.events(id)[events-1].Get("message").Str)
	}
	id := u.tune(file, "")
	u.post(tuningsPath+"/"+id+"/pause", "")
	require.Equal(t, "cancelled", u.post(tuningsPath+"/"+id+"/cancel", "").Get("status").Str)
}

func TestTuningsThatFail(t *testing.T) {
	t.Parallel()
	clock := newTicker()
	u := account(t, simulator.Options{Now: clock.now})
	good := u.upload("good.jsonl", "fine-tune", worked(20))
	bad := u.upload("bad.jsonl", "fine-tune", worked(11)+"[1]\n"+worked(3))
	tests := []struct {
		name, file, more           string
		code, param, message, last string
	}{
		{
			"too few", u.upload("few.jsonl", "fine-tune", worked(9)), "", "invalid_n_examples", "training_file",
			"Training file has 9 example(s), but must have at least 10 examples", "",
		},
		{
			"empty", u.upload("none.jsonl", "fine-tune", ""), "", "invalid_n_examples", "training_file",
			"Training file has 0 example(s), but must have at least 10 examples", "",
		},
		{
			"no object", bad, "", "invalid_training_file", "training_file",
			"Invalid file format. Line 12 of " + bad + " is not a JSON object.", "",
		},
		{
			"bad validation", good, `,"validation_file":"` + bad + `"`, "invalid_validation_file", "validation_file",
			"Invalid file format. Line 12 of " + bad + " is not a JSON object.", "",
		},
		{
			"by the metadata", good, `,"metadata":{"sim":"fail_at=5"}`, "training_failed", "",
			"Training failed at step 5.", "Step 4/20",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id := u.tune(tt.file, tt.more)
			require.Equal(t, "validating_files", u.tuning(id).Get("status").Str)
			clock.pass(3 * time.Second)
			got := u.tuning(id)
			require.Equal(t, "failed", got.Get("status").Str)
			require.Equal(t, tt.code, got.Get("error.code").Str)
			require.Equal(t, tt.param, got.Get("error.param").Str)
			require.Equal(t, tt.message, got.Get("error.message").Str)
			require.NotZero(t, got.Get("finished_at").Int())
			require.Equal(t, "null", got.Get("fine_tuned_model").Raw)
			events := u.events(id)
			require.Equal(t, "error", events[len(events)-1].Get("level").Str)
			require.Equal(t, tt.message, events[len(events)-1].Get("message").Str)
			require.True(t, strings.HasPrefix(events[len(events)-2].Get("message").Str, tt.last))
		})
	}
	require.Len(t, u.fetch("/v1/models").Get("data").Array(), 3)
}

func TestAResetCreationIsKept(t *testing.T) {
	t.Parallel()
	u := account(t, simulator.Options{})
	file := u.upload("train.jsonl", "fine-tune", worked(20))
	body := `{"model":"sim-small","training_file":"` + file + `","metadata":{"sim":"hang_create=1","ringback_job":"j1"}}`
	_, err := u.try("POST", tuningsPath, body)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	found := u.fetch(tuningsPath + "?metadata[ringback_job]=j1")
	require.Len(t, ids(found), 1)
	require.Equal(t, 200, u.post(tuningsPath, body).status, "only the first is reset")
	require.Len(t, ids(u.fetch(tuningsPath+"?metadata%5Bringback_job%5D=j1&metadata[sim]=hang_create%3D1")), 2)
	require.Empty(t, ids(u.fetch(tuningsPath+"?metadata[ringback_job]=j2")))
	require.Empty(t, ids(u.fetch(tuningsPath+"?metadata=null")))
	require.Len(t, ids(u.fetch(tuningsPath+"?limit=1")), 1)
}

func TestBadTuningsAreRefused(t *testing.T) {
	t.Parallel()
	u := account(t, simulator.Options{})
	file := u.upload("train.jsonl", "fine-tune", worked(20))
	other := u.upload("in.jsonl", "batch", "{}")
	tests := []struct{ name, body, param, code string }{
		{"bad JSON", `{"model"`, "", ""},
		{"no object", `[]`, "", ""},
		{"no model", `{"training_file":"F"}`, "model", "missing_required_parameter"},
		{"unknown model", `{"model":"gpt-9","training_file":"F"}`, "model", "model_not_available"},
		{"model that cannot learn", `{"model":"sim-embed","training_file":"F"}`, "model", "model_not_available"},
		{"no file", `{"model":"sim-small"}`, "training_file", "missing_required_parameter"},
		{"file of a wrong type", `{"model":"sim-small","training_file":1}`, "training_file", "invalid_type"},
		{"unknown file", `{"model":"sim-small","training_file":"file-x"}`, "training_file", "file_not_found"},
		{"file of another purpose", `{"model":"sim-small","training_file":"O"}`, "training_file", "invalid_file_purpose"},
		{"unknown validation file", `{"model":"sim-small","training_file":"F","validation_file":"x"}`, "validation_file", "file_not_found"},
		{"long suffix", `{"model":"sim-small","training_file":"F","suffix":"` + strings.Repeat("a", 65) + `"}`, "suffix", "string_above_max_length"},
		{"negative seed", `{"model":"sim-small","training_file":"F","seed":-1}`, "seed", "integer_below_min_value"},
		{"unknown method", `{"model":"sim-small","training_file":"F","method":{"type":"x"}}`, "method.type", "invalid_value"},
		{"bad epochs", `{"model":"sim-small","training_file":"F","hyperparameters":{"n_epochs":51}}`, "hyperparameters.n_epochs", "integer_above_max_value"},
		{"bad epochs in the method", `{"model":"sim-small","training_file":"F","method":{"type":"dpo","dpo":{"hyperparameters":{"n_epochs":"x"}}}}`, "method.dpo.hyperparameters.n_epochs", "invalid_type"},
		{"bad metadata", `{"model":"sim-small","training_file":"F","metadata":{"a":1}}`, "metadata.a", "invalid_type"},
		{"bad integrations", `{"model":"sim-small","training_file":"F","integrations":{}}`, "integrations", "invalid_type"},
		{"unknown parameter", `{"model":"sim-small","training_file":"F","webhook":{}}`, "webhook", "unknown_parameter"},
		{"unknown fault", `{"model":"sim-small","training_file":"F","metadata":{"sim":"dance"}}`, "metadata.sim", "invalid_directive"},
		{"step out of range", `{"model":"sim-small","training_file":"F","metadata":{"sim":"fail_at=21"}}`, "metadata.sim", "invalid_directive"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := strings.NewReplacer(`"F"`, `"`+file+`"`, `"O"`, `"`+other+`"`).Replace(tt.body)
			got := u.refused("POST", tuningsPath, body, 400)
			require.Equal(t, tt.param, got.Get("error.param").Str, got.raw)
			require.Equal(t, tt.code, got.Get("error.code").Str, got.raw)
		})
	}
	require.Empty(t, ids(u.fetch(tuningsPath)))
	for _, path := range []string{"", "/events", "/checkpoints"} {
		u.refused("GET", tuningsPath+"/ftjob-x"+path, "", 404)
	}
	for _, verb := range []string{"/cancel", "/pause", "/resume"} {
		u.refused("POST", tuningsPath+"/ftjob-x"+verb, "", 404)
	}
}

func TestTuningThroughAnSDK(t *testing.T) {
	t.Parallel()
	u := account(t, simulator.Options{TuneTime: 100 * time.Millisecond})
	client := u.sdk()
	file, err := client.CreateFileBytes(t.Context(), openai.FileBytesRequest{Name: "a.jsonl", Bytes: []byte(worked(10)), Purpose: openai.PurposeFineTune})
	require.NoError(t, err)
	job, err := client.CreateFineTuningJob(t.Context(), openai.FineTuningJobRequest{TrainingFile: file.ID, Model: "sim-large"})
	require.NoError(t, err)
	u.eventually(func() bool {
		job, err = client.RetrieveFineTuningJob(t.Context(), job.ID)
		require.NoError(t, err)
		return job.Status == "succeeded"
	})
	require.Regexp(t, `^ft:sim-large:ringback::[0-9a-f]{8}$`, job.FineTunedModel)
	events, err := client.ListFineTuningJobEvents(t.Context(), job.ID, openai.ListFineTuningJobEventsWithLimit(3))
	require.NoError(t, err)
	require.True(t, events.HasMore)
	require.Equal(t, "The job has successfully completed", events.Data[0].Message)
	third := u.fetch(tuningsPath + "/" + job.ID + "/events").Get("data.2.id").Str
	more, err := client.ListFineTuningJobEvents(t.Context(), job.ID, openai.ListFineTuningJobEventsWithAfter(third))
	require.NoError(t, err)
	require.Len(t, more.Data, 20)
	_, err = client.CancelFineTuningJob(t.Context(), job.ID)
	require.ErrorContains(t, err, "already completed")
	answer, err := client.CreateChatCompletion(t.Context(), openai.ChatCompletionRequest{
		Model: job.FineTunedModel, Messages: []openai.ChatCompletionMessage{{Role: "user", Content: "How many eggs?"}},
	})
	require.NoError(t, err)
	require.Equal(t, job.FineTunedModel, answer.Model)
	require.Regexp(t, `\n#### \d+$`, answer.Choices[0].Message.Content)
}

func (u *upstream) eventually(done func() bool) {
	u.t.Helper()
	require.Eventually(u.t, done, 10*time.Second, 5*time.Millisecond)
}
