package clients

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"
	goopenai "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"
)

// paused is a state that OpenAI's own example answers, and that its clients' constants and its document leave out.
const paused openai.FineTuningJobStatus = "paused"

// examples are lines to learn from; what they teach is how to begin an answer.
func examples(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"messages":[{"role":"user","content":"Number %d, please."},{"role":"assistant","content":"My number is %d."}]}`+"\n", i, i)
	}
	return b.String()
}

func teach(t *testing.T, client openai.Client, content string) *openai.FileObject {
	t.Helper()
	file, err := client.Files.New(t.Context(), openai.FileNewParams{
		File: openai.File(strings.NewReader(content), "examples.jsonl", "application/jsonl"), Purpose: openai.FilePurposeFineTune,
	})
	require.NoError(t, err)
	require.Equal(t, openai.FileObjectPurposeFineTune, file.Purpose)
	return file
}

// fineTune creates a job whose files are being validated when the call returns.
func fineTune(t *testing.T, client openai.Client, opts ...option.RequestOption) *openai.FineTuningJob {
	t.Helper()
	training := teach(t, client, examples(12)).ID
	job, err := client.FineTuning.Jobs.New(t.Context(), openai.FineTuningJobNewParams{
		Model: "sim-small", TrainingFile: training, ValidationFile: openai.String(teach(t, client, examples(3)).ID),
		Suffix: openai.String("numbers"), Seed: openai.Int(7), Metadata: shared.Metadata{"owner": t.Name()},
		Method: openai.FineTuningJobNewParamsMethod{
			Type:       "supervised",
			Supervised: openai.SupervisedMethodParam{Hyperparameters: openai.SupervisedHyperparameters{NEpochs: openai.SupervisedHyperparametersNEpochsUnion{OfInt: openai.Int(2)}}},
		},
	}, opts...)
	require.NoError(t, err)
	require.Equal(t, openai.FineTuningJobStatusValidatingFiles, job.Status)
	require.Equal(t, training, job.TrainingFile)
	return job
}

// trained polls a job until it is as wanted.
func trained(t *testing.T, client openai.Client, id string, wanted func(*openai.FineTuningJob) bool) *openai.FineTuningJob {
	t.Helper()
	var last string
	for deadline := time.Now().Add(waitTime); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		job, err := client.FineTuning.Jobs.Get(t.Context(), id)
		require.NoError(t, err)
		if wanted(job) {
			return job
		}
		last = job.RawJSON()
	}
	require.Fail(t, "the job never was as wanted", "last: %s", last)
	return nil
}

func inState(states ...openai.FineTuningJobStatus) func(*openai.FineTuningJob) bool {
	return func(j *openai.FineTuningJob) bool { return slices.Contains(states, j.Status) }
}

var over = inState(openai.FineTuningJobStatusSucceeded, openai.FineTuningJobStatusFailed, openai.FineTuningJobStatusCancelled)

func TestOpenAIFineTunesAModel(t *testing.T) {
	t.Parallel()
	client := signing(t)
	created := fineTune(t, client, toReceiver(t))
	require.Equal(t, shared.Metadata{"owner": t.Name()}, created.Metadata)
	require.EqualValues(t, 7, created.Seed)
	require.Equal(t, "supervised", created.Method.Type)

	running := trained(t, client, created.ID, inState(openai.FineTuningJobStatusRunning))
	require.Positive(t, running.EstimatedFinish)
	job := trained(t, client, created.ID, over)
	require.Equal(t, openai.FineTuningJobStatusSucceeded, job.Status, "%s", job.RawJSON())
	require.Contains(t, job.FineTunedModel, "numbers")
	require.Positive(t, job.TrainedTokens)
	require.GreaterOrEqual(t, job.FinishedAt, job.CreatedAt)
	requireSteps(t, client, job)
	require.Len(t, job.ResultFiles, 1)
	require.Contains(t, string(download(t, client, job.ResultFiles[0])), "step,train_loss,train_mean_token_accuracy,valid_loss,valid_mean_token_accuracy\n")

	call := ring.receiver.await(t)
	event, err := client.Webhooks.Unwrap(call.body, call.header)
	require.NoError(t, err)
	require.Equal(t, job.ID, event.AsFineTuningJobSucceeded().Data.ID)
	requireByDocument(t, "fine_tuning.job.succeeded", call.body)
	require.Contains(t, string(call.body), `"scope":"NAMESPACE"`)
	requireTunedModel(t, client, job.FineTunedModel)
}

// requireSteps reads the log and the checkpoints of a job in pages.
func requireSteps(t *testing.T, client openai.Client, job *openai.FineTuningJob) {
	t.Helper()
	log := client.FineTuning.Jobs.ListEventsAutoPaging(t.Context(), job.ID, openai.FineTuningJobListEventsParams{Limit: openai.Int(7)})
	var said []string
	metrics := 0
	for log.Next() {
		said = append(said, log.Current().Message)
		if log.Current().Type == openai.FineTuningJobEventTypeMetrics {
			metrics++
		}
	}
	require.NoError(t, log.Err())
	require.Equal(t, 20, metrics)
	require.Equal(t, "The job has successfully completed", said[0], "newest first")
	require.Equal(t, "New fine-tuned model created: "+job.FineTunedModel, said[1])
	require.Equal(t, "Created fine-tuning job: "+job.ID, said[len(said)-1])

	checkpoints := client.FineTuning.Jobs.Checkpoints.ListAutoPaging(t.Context(), job.ID, openai.FineTuningJobCheckpointListParams{Limit: openai.Int(2)})
	var steps []int64
	for checkpoints.Next() {
		c := checkpoints.Current()
		steps = append(steps, c.StepNumber)
		require.Equal(t, job.ID, c.FineTuningJobID)
		require.Contains(t, c.FineTunedModelCheckpoint, job.FineTunedModel)
		require.Positive(t, c.Metrics.TrainLoss)
		require.Positive(t, c.Metrics.FullValidLoss)
	}
	require.NoError(t, checkpoints.Err())
	require.Len(t, steps, 3)
	slices.Reverse(steps)
	require.True(t, slices.IsSorted(steps))
}

// requireTunedModel finds the new model, lets it answer a batch, and deletes it.
func requireTunedModel(t *testing.T, client openai.Client, name string) {
	t.Helper()
	model, err := client.Models.Get(t.Context(), name)
	require.NoError(t, err)
	require.Equal(t, name, model.ID)
	require.Positive(t, model.Created)
	all, err := client.Models.List(t.Context())
	require.NoError(t, err)
	for _, id := range []string{name, "sim-small", "sim-embed"} {
		require.True(t, slices.ContainsFunc(all.Data, func(m openai.Model) bool { return m.ID == id }), id)
	}
	lines := strings.ReplaceAll(input(t, "Number 5, please.", quick), "sim-small", name)
	batch := ended(t, client, submit(t, client, lines).ID)
	require.EqualValues(t, 2, batch.RequestCounts.Completed, "%s", batch.RawJSON())
	require.Contains(t, string(download(t, client, batch.OutputFileID)), "My number is ")

	deleted, err := client.Models.Delete(t.Context(), name)
	require.NoError(t, err)
	require.True(t, deleted.Deleted)
	require.Equal(t, name, deleted.ID)
	_, err = client.Models.Get(t.Context(), name)
	require.Equal(t, "model_not_found", requireAPIError(t, err, http.StatusNotFound).Code)
	_, err = client.Models.Delete(t.Context(), name)
	requireAPIError(t, err, http.StatusNotFound)
	_, err = client.Models.Get(t.Context(), "org/no such:model")
	require.Equal(t, "The model 'org/no such:model' does not exist.", requireAPIError(t, err, http.StatusNotFound).Message)
}

func TestOpenAIPausesAndCancelsAFineTuning(t *testing.T) {
	t.Parallel()
	client := openai.NewClient(option.WithBaseURL(ring.url+"/v1"), option.WithAPIKey("any")) // the document has no state paused
	id := fineTune(t, client).ID
	trained(t, client, id, inState(openai.FineTuningJobStatusRunning))
	job, err := client.FineTuning.Jobs.Pause(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, paused, job.Status)
	job, err = client.FineTuning.Jobs.Resume(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, openai.FineTuningJobStatusQueued, job.Status)
	trained(t, client, id, inState(openai.FineTuningJobStatusRunning))
	job, err = client.FineTuning.Jobs.Cancel(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, openai.FineTuningJobStatusCancelled, job.Status)
	require.Positive(t, job.FinishedAt)
	for _, again := range []func(context.Context, string, ...option.RequestOption) (*openai.FineTuningJob, error){
		client.FineTuning.Jobs.Pause, client.FineTuning.Jobs.Resume,
	} {
		_, err = again(t.Context(), id)
		requireAPIError(t, err, http.StatusBadRequest)
	}
}

func TestOpenAIListsFineTunings(t *testing.T) {
	t.Parallel()
	client := official(t)
	var created []string
	for range 3 {
		created = append(created, fineTune(t, client).ID)
	}
	mine := openai.FineTuningJobListParams{Limit: openai.Int(2), Metadata: map[string]string{"owner": t.Name()}}
	pager := client.FineTuning.Jobs.ListAutoPaging(t.Context(), mine)
	var listed []string
	for pager.Next() {
		listed = append(listed, pager.Current().ID)
	}
	require.NoError(t, pager.Err())
	slices.Reverse(listed)
	require.Equal(t, created, listed, "each once, newest first, and none of others")
	for _, id := range created {
		_, err := client.FineTuning.Jobs.Cancel(t.Context(), id)
		require.NoError(t, err)
	}
}

func TestOpenAIIsToldWhyAFineTuningFailed(t *testing.T) {
	t.Parallel()
	client := official(t)
	job, err := client.FineTuning.Jobs.New(t.Context(), openai.FineTuningJobNewParams{Model: "sim-small", TrainingFile: teach(t, client, examples(3)).ID})
	require.NoError(t, err)
	job = trained(t, client, job.ID, over)
	require.Equal(t, openai.FineTuningJobStatusFailed, job.Status)
	require.Equal(t, "invalid_n_examples", job.Error.Code)
	require.Equal(t, "Training file has 3 example(s), but must have at least 10 examples", job.Error.Message)
	require.Equal(t, "training_file", job.Error.Param)

	for _, c := range []struct {
		params openai.FineTuningJobNewParams
		param  string
		status int
	}{
		{openai.FineTuningJobNewParams{Model: "sim-small", TrainingFile: "file-x"}, "training_file", 400},
		{openai.FineTuningJobNewParams{Model: "no-such", TrainingFile: job.TrainingFile}, "model", 404},
		{openai.FineTuningJobNewParams{Model: "sim-small", TrainingFile: job.TrainingFile, Seed: openai.Int(-1)}, "seed", 400},
	} {
		_, err := client.FineTuning.Jobs.New(t.Context(), c.params)
		require.Equal(t, c.param, requireAPIError(t, err, c.status).Param)
	}
	_, err = client.FineTuning.Jobs.Get(t.Context(), "ftjob-x")
	require.Equal(t, "Could not find fine tune: ftjob-x", requireAPIError(t, err, http.StatusNotFound).Message)
}

func TestGoOpenAIFineTunesAModel(t *testing.T) {
	t.Parallel()
	client := goOpenAI(t)
	file, err := client.CreateFileBytes(t.Context(), goopenai.FileBytesRequest{Name: "examples.jsonl", Bytes: []byte(examples(10)), Purpose: goopenai.PurposeFineTune})
	require.NoError(t, err)
	created, err := client.CreateFineTuningJob(t.Context(), goopenai.FineTuningJobRequest{
		Model: "sim-small", TrainingFile: file.ID, Suffix: "go", Hyperparameters: &goopenai.Hyperparameters{Epochs: 1},
	})
	require.NoError(t, err)
	require.Equal(t, "validating_files", created.Status)
	job := created
	for deadline := time.Now().Add(waitTime); job.Status != "succeeded" && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		job, err = client.RetrieveFineTuningJob(t.Context(), created.ID)
		require.NoError(t, err)
	}
	require.Equal(t, "succeeded", job.Status)
	require.Positive(t, job.TrainedTokens)
	require.EqualValues(t, 1, job.Hyperparameters.Epochs)

	log, err := client.ListFineTuningJobEvents(t.Context(), job.ID, goopenai.ListFineTuningJobEventsWithLimit(2))
	require.NoError(t, err)
	require.Len(t, log.Data, 2)
	require.True(t, log.HasMore)
	_, err = client.CancelFineTuningJob(t.Context(), job.ID)
	var e *goopenai.APIError
	require.ErrorAs(t, err, &e)
	require.Equal(t, http.StatusBadRequest, e.HTTPStatusCode)
	require.Equal(t, "Job has already completed: "+job.ID, e.Message)

	model, err := client.GetModel(t.Context(), job.FineTunedModel)
	require.NoError(t, err)
	require.Equal(t, job.FineTunedModel, model.ID)
	_, err = client.DeleteFineTuneModel(t.Context(), job.FineTunedModel)
	require.NoError(t, err)
}
