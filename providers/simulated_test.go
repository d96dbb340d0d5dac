package providers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers/simulator"
)

// TestTheWholeWayAgainstTheSimulator uploads, trains, follows, fetches, asks and deletes.
func TestTheWholeWayAgainstTheSimulator(t *testing.T) {
	t.Parallel()
	sim := simulator.New(simulator.Options{TuneTime: 300 * time.Millisecond, Dir: t.TempDir(), APIKey: "sk-test-0123456789"})
	t.Cleanup(func() { require.NoError(t, sim.Close()) })
	p := upstream(t, sim.ServeHTTP)
	ctx := t.Context()
	started := time.Now().Unix()

	text := trainingFile(40)
	_, found, err := p.FindFile(ctx, "ringback.jsonl", "fine-tune")
	require.NoError(t, err)
	require.False(t, found)
	fileID, err := p.UploadFile(ctx, Upload{Name: "ringback.jsonl", Purpose: "fine-tune", Size: int64(len(text)), Content: strings.NewReader(text)})
	require.NoError(t, err)
	again, found, err := p.FindFile(ctx, "ringback.jsonl", "fine-tune")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, fileID, again)
	require.Equal(t, text, contentOf(t, p, fileID))

	_, found, err = p.FindTuning(ctx, "ours", fileID, started)
	require.NoError(t, err)
	require.False(t, found)
	job, err := p.CreateTuning(ctx, fmt.Appendf(nil, `{"model":"sim-small","training_file":%q,"seed":0,"suffix":"ours","metadata":{"ringback_job":"ours"}}`, fileID))
	require.NoError(t, err)
	for _, by := range [][2]string{{"ours", ""}, {"", fileID}} {
		same, found, err := p.FindTuning(ctx, by[0], by[1], started)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, job.ID, same.ID)
	}

	done, events := follow(ctx, t, p, job.ID)
	require.Equal(t, "succeeded", done.Status)
	require.Zero(t, done.Seed)
	require.Positive(t, done.TrainedTokens)
	require.NotEmpty(t, done.Hyperparameters)
	all, err := p.TuningEvents(ctx, job.ID, "")
	require.NoError(t, err)
	require.Equal(t, all, events, "what was followed bit by bit is the whole log")
	require.Contains(t, all[len(all)-1].Message, "successfully completed")
	checkpoints, err := p.TuningCheckpoints(ctx, job.ID)
	require.NoError(t, err)
	require.NotEmpty(t, checkpoints)
	require.NotEmpty(t, done.ResultFiles)
	require.Contains(t, contentOf(t, p, done.ResultFiles[0]), "train_loss")

	models, err := p.ListModels(ctx)
	require.NoError(t, err)
	require.Contains(t, modelIDs(models), done.FineTunedModel)
	request := chat(fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"2+2?"}]}`, done.FineTunedModel))
	_, err = p.Do(ctx, request)
	require.NoError(t, err)
	_, err = p.CancelTuning(ctx, job.ID)
	require.Equal(t, Rejected, AsError(err).Kind)
	for range 2 { // the second finds nothing
		require.NoError(t, p.DeleteModel(ctx, done.FineTunedModel))
	}
	_, err = p.Do(ctx, request)
	require.Equal(t, 404, AsError(err).Status)
}

func TestPauseResumeAndCancelAgainstTheSimulator(t *testing.T) {
	t.Parallel()
	sim := simulator.New(simulator.Options{TuneTime: time.Hour, Dir: t.TempDir()})
	t.Cleanup(func() { require.NoError(t, sim.Close()) })
	p := upstream(t, sim.ServeHTTP)
	ctx := t.Context()
	text := trainingFile(10)
	fileID, err := p.UploadFile(ctx, Upload{Name: "a.jsonl", Purpose: "fine-tune", Size: int64(len(text)), Content: strings.NewReader(text)})
	require.NoError(t, err)
	job, err := p.CreateTuning(ctx, fmt.Appendf(nil, `{"model":"sim-small","training_file":%q}`, fileID))
	require.NoError(t, err)
	for _, move := range []struct {
		call func(context.Context, string) (Tuning, error)
		want []string
	}{
		{p.Tuning, []string{"validating_files"}},
		{p.PauseTuning, []string{"paused"}},
		{p.ResumeTuning, []string{"queued", "validating_files", "running"}},
		{p.CancelTuning, []string{"cancelled"}},
		{p.Tuning, []string{"cancelled"}},
	} {
		got, err := move.call(ctx, job.ID)
		require.NoError(t, err)
		require.Contains(t, move.want, got.Status)
	}
}

func trainingFile(lines int) string {
	var b strings.Builder
	for i := range lines {
		fmt.Fprintf(&b, `{"messages":[{"role":"user","content":"%d+%d?"},{"role":"assistant","content":"%d"}]}`+"\n", i, i, 2*i)
	}
	return b.String()
}

func contentOf(t *testing.T, p *Provider, id string) string {
	t.Helper()
	r, err := p.FileContent(t.Context(), id, 1<<20)
	require.NoError(t, err)
	var b bytes.Buffer
	_, err = io.Copy(&b, r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return b.String()
}

// follow polls until the job has ended, and then once more for the last events.
func follow(ctx context.Context, t *testing.T, p *Provider, id string) (Tuning, []TuningEvent) {
	t.Helper()
	var events []TuningEvent
	var job Tuning
	require.Eventually(t, func() bool {
		var err error
		job, err = p.Tuning(ctx, id)
		if err != nil {
			return false
		}
		last := ""
		if len(events) > 0 {
			last = events[len(events)-1].ID
		}
		fresh, err := p.TuningEvents(ctx, id, last)
		events = append(events, fresh...)
		return err == nil && (job.Status == "succeeded" || job.Status == "failed")
	}, 20*time.Second, 20*time.Millisecond)
	return job, events
}

func modelIDs(models []Model) []string {
	var ids []string
	for _, m := range models {
		ids = append(ids, m.ID)
	}
	return ids
}
