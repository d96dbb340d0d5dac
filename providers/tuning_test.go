package providers

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTuningIsReadAsTheProviderShowsIt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		want       Tuning
	}{
		{"OpenAI's, done", `{"object":"fine_tuning.job","id":"ftjob-1","model":"m","created_at":1721764800,"finished_at":1721764900,
			"fine_tuned_model":"ft:m:org::1","organization_id":"o","result_files":["file-r"],"status":"succeeded","trained_tokens":5768,
			"hyperparameters":{"n_epochs":4,"batch_size":"auto"},"seed":42,"estimated_finish":1721764890,"error":{"code":null,"message":null,"param":null},
			"method":{"type":"supervised","supervised":{}}}`, Tuning{
			ID: "ftjob-1", Status: "succeeded", FineTunedModel: "ft:m:org::1", TrainedTokens: 5768, ResultFiles: []string{"file-r"},
			EstimatedFinish: 1721764890, Seed: 42, Hyperparameters: []byte(`{"n_epochs":4,"batch_size":"auto"}`), Method: []byte(`{"type":"supervised","supervised":{}}`),
		}},
		{"numbers as floats", `{"id":"a","status":"running","trained_tokens":12.0,"seed":4.2e1,"estimated_finish":1.7e9}`, Tuning{
			ID: "a", Status: "running", TrainedTokens: 12, Seed: 42, EstimatedFinish: 1_700_000_000,
		}},
		{"all null", `{"id":"a","status":"queued","fine_tuned_model":null,"trained_tokens":null,"result_files":null,"error":null,"seed":null,"hyperparameters":null,"method":null,"estimated_finish":null}`, Tuning{
			ID: "a", Status: "queued",
		}},
		{"failed", `{"id":"a","status":"failed","error":{"code":"invalid_n_examples","message":"too few","param":"training_file"}}`, Tuning{
			ID: "a", Status: "failed", ErrorCode: "invalid_n_examples", ErrorMessage: "too few", ErrorParam: "training_file",
		}},
		{"failed in words", `{"id":"a","status":"failed","error":"too few"}`, Tuning{ID: "a", Status: "failed", ErrorMessage: "too few"}},
		{"an empty error", `{"id":"a","status":"running","error":{}}`, Tuning{ID: "a", Status: "running"}},
		{"a status of its own", `{"id":"a","status":"DEPLOYING"}`, Tuning{ID: "a", Status: "DEPLOYING"}},
		{"no ID", `{"status":"running"}`, Tuning{ID: "asked/for", Status: "running"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := upstream(t, answer(200, jsonType, tt.body))
			got, err := p.Tuning(t.Context(), "asked/for")
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestTuningOfAWrongType(t *testing.T) {
	t.Parallel()
	for _, field := range []string{
		`"trained_tokens":"12"`, `"trained_tokens":1.5`, `"seed":1e300`, `"seed":"42"`, `"estimated_finish":1795.5`, `"fine_tuned_model":7`,
		`"fine_tuned_model":"../files"`, `"result_files":"file"`, `"result_files":[7]`, `"result_files":[".."]`, `"hyperparameters":[]`, `"method":"dpo"`, `"id":{}`,
	} {
		got, err := upstream(t, answer(200, jsonType, `{`+field+`,"id":"a","status":"running"}`)).Tuning(t.Context(), "a")
		require.NoError(t, err, field)
		require.Equal(t, Tuning{ID: "a", Status: "running"}, got, "%s: what cannot be read hides nothing else", field)
	}
	for _, field := range []string{`"status":["running"]`, `"status":null`, `"status":7`} {
		_, err := upstream(t, answer(200, jsonType, `{`+field+`,"id":"a"}`)).Tuning(t.Context(), "a")
		require.NotNil(t, AsError(err), field)
		require.Equal(t, InvalidAnswer, AsError(err).Kind, field)
	}
}

// The key that the providers of these tests have is "sk-test-0123456789".
func TestNoTextOfAFineTuningRepeatsTheKey(t *testing.T) {
	t.Parallel()
	const key, hiddenKey = "sk-test-0123456789", `sk-test-01\u00323456789`
	for _, k := range []string{key, hiddenKey} {
		object := fmt.Sprintf(`{"id":"a","status":"failed","fine_tuned_model":"ft:%[1]s","hyperparameters":{"%[1]s":1},"method":{"x":["%[1]s"]},
			"error":{"code":"%[1]s","message":"wrong key: %[1]s.","param":"%[1]s"}}`, k)
		p := upstream(t, answer(200, jsonType, object))
		got, err := p.Tuning(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, Tuning{ID: "a", Status: "failed", ErrorMessage: leftOut}, got)
		got, err = p.CreateTuning(t.Context(), []byte(createBody))
		require.NoError(t, err)
		require.Equal(t, leftOut, got.ErrorMessage)

		list := fmt.Sprintf(`{"data":[{"id":"e","level":"%[1]s","message":"with %[1]s","type":"%[1]s","data":{"a":{"b":"%[1]s"}},
			"step_number":1,"fine_tuned_model_checkpoint":"%[1]s","metrics":{"%[1]s":1}}]}`, k)
		p = upstream(t, answer(200, jsonType, list))
		events, err := p.TuningEvents(t.Context(), "a", "")
		require.NoError(t, err)
		require.Equal(t, []TuningEvent{{ID: "e", Message: leftOut}}, events)
		checkpoints, err := p.TuningCheckpoints(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, []TuningCheckpoint{{ID: "e", Step: 1}}, checkpoints)
	}
}

// TestWhatNoDatabaseKeepsIsLeftOut of what a provider says, and hides no key from the look for it.
func TestWhatNoDatabaseKeepsIsLeftOut(t *testing.T) {
	t.Parallel()
	list := `{"data":[{"id":"e","level":"in\u0000fo","message":"\u0000loss\u0000","type":"\u0000","step_number":1,"fine_tuned_model_checkpoint":"m\u0000"},
		{"id":"f\u0000","message":"no ID"},{"id":"g","level":"sk-test-\u00000123456789","message":"sk-test-\u00000123456789"}]}`
	p := upstream(t, answer(200, jsonType, list))
	events, err := p.TuningEvents(t.Context(), "a", "")
	require.NoError(t, err)
	require.Equal(t, []TuningEvent{{ID: "g", Message: leftOut}, {ID: "e", Level: "info", Message: "loss"}}, events)
	checkpoints, err := p.TuningCheckpoints(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, []TuningCheckpoint{{ID: "g"}, {ID: "e", Step: 1}}, checkpoints)
	p = upstream(t, answer(200, jsonType, `{"id":"a","status":"failed","error":{"code":"c\u0000","message":"m\u0000n","param":"\u0000p"}}`))
	got, err := p.Tuning(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, Tuning{ID: "a", Status: "failed", ErrorCode: "c", ErrorMessage: "mn", ErrorParam: "p"}, got)
}

func TestWhatAProviderSaysIsBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 10_000)
	name := strings.Repeat("m", mostModel)
	object := fmt.Sprintf(`{"id":"a","status":"failed","fine_tuned_model":"%[2]sm","hyperparameters":{"a":"%[1]s"},"method":{"a":"%[1]s"},
		"result_files":["f%[3]s"],"error":{"code":"%[1]s","message":"%[1]s","param":"%[1]s"}}`, long, name, strings.Repeat(`","f`, 20))
	got, err := upstream(t, answer(200, jsonType, object)).Tuning(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, Tuning{
		ID: "a", Status: "failed", ErrorCode: long[:mostWord], ErrorMessage: long[:mostProse], ErrorParam: long[:mostWord], ResultFiles: got.ResultFiles,
	}, got)
	require.Len(t, got.ResultFiles, mostResults)
	got, err = upstream(t, answer(200, jsonType, fmt.Sprintf(`{"id":"a","status":"succeeded","fine_tuned_model":%q}`, name))).Tuning(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, name, got.FineTunedModel)

	list := fmt.Sprintf(`{"data":[{"id":"e","level":"%[1]s","message":"%[1]s","type":"%[1]s","data":{"a":"%[1]s"},
		"step_number":1,"fine_tuned_model_checkpoint":"%[2]sm","metrics":{"a":"%[1]s"}}]}`, long, name)
	p := upstream(t, answer(200, jsonType, list))
	events, err := p.TuningEvents(t.Context(), "a", "")
	require.NoError(t, err)
	require.Equal(t, []TuningEvent{{ID: "e", Level: long[:mostWord], Message: long[:mostProse], Type: long[:mostWord]}}, events)
	checkpoints, err := p.TuningCheckpoints(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, []TuningCheckpoint{{ID: "e", Step: 1}}, checkpoints)
}

func TestAProviderWithoutTheLists(t *testing.T) {
	t.Parallel()
	for _, status := range []int{404, 405, 501} {
		p := upstream(t, answer(status, "text/plain", "no"))
		events, err := p.TuningEvents(t.Context(), "a", "")
		require.NoError(t, err)
		require.Empty(t, events)
		checkpoints, err := p.TuningCheckpoints(t.Context(), "a")
		require.NoError(t, err)
		require.Empty(t, checkpoints)
		_, found, err := p.FindFile(t.Context(), "name", "fine-tune")
		require.NoError(t, err)
		require.False(t, found)
	}
}

// A job that was made costs money: only its ID must be right.
func TestCreateKeepsTheJobWhateverElseItSays(t *testing.T) {
	t.Parallel()
	for body, status := range map[string]string{
		`{"id":"a","status":"queued","seed":"x","trained_tokens":{}}`: "queued",
		`{"id":"a"}`: "",
		`{"id":"a","status":"failed","error":{"code":"c"}}`: "failed",
	} {
		job, err := upstream(t, answer(201, jsonType, body)).CreateTuning(t.Context(), []byte(createBody))
		require.NoError(t, err, body)
		require.Equal(t, "a", job.ID)
		require.Equal(t, status, job.Status)
	}
}

func TestAConflictIsTheCallersToJudge(t *testing.T) {
	t.Parallel()
	p := upstream(t, answer(400, jsonType, `{"error":{"message":"Job has already completed","code":"job_completed"}}`))
	for _, call := range []func() error{
		func() error { _, err := p.CancelTuning(t.Context(), "a"); return err },
		func() error { _, err := p.PauseTuning(t.Context(), "a"); return err },
		func() error { _, err := p.ResumeTuning(t.Context(), "a"); return err },
	} {
		e := AsError(call())
		require.Equal(t, Rejected, e.Kind)
		require.Equal(t, 400, e.Status)
		require.Contains(t, string(e.Answer.Body), "already completed")
	}
}

// A server that closes kept connections meets each later call with a dead one.
// With an Idempotency-Key net/http would send again whatever can be rewound.
func TestCreateIsNotSentAgainOverANewConnection(t *testing.T) {
	t.Parallel()
	w := &wire{}
	p := upstream(t, w.over(func(rw http.ResponseWriter, r *http.Request) {
		if len(w.lines()) == 1 {
			answer(200, jsonType, jobBody)(rw, r)
			return
		}
		reset("")(rw, r)
	}), func(_ *Options, c *Config) { c.Headers = map[string]string{"Idempotency-Key": "k"} })
	_, err := p.CreateTuning(t.Context(), []byte(createBody))
	require.NoError(t, err)
	_, err = p.CreateTuning(t.Context(), []byte(createBody))
	require.Equal(t, Connection, AsError(err).Kind)
	require.Len(t, w.lines(), 2)
}
