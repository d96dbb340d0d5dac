package store

import (
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/providers"
)

// TestTextsThatCannotBeKept are the client's mistake, and are told so.
func TestTextsThatCannotBeKept(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a\x00b", "a\xffb"} {
		w := worldOver(t, openPostgresStore(t))
		for name, do := range map[string]func() error{
			"a file's name": func() error {
				return w.CreateFile(t.Context(), jobs.File{ProjectID: "default", ID: "file-1", Filename: text, Purpose: "batch", CreatedAt: w.now()}, nil)
			},
			"a model": func() error {
				j := newBatch(w.now())
				j.Model = text
				_, err := w.CreateJob(t.Context(), jobs.NewJob{Job: j})
				return err
			},
			"an Idempotency-Key": func() error {
				_, err := w.CreateJob(t.Context(), jobs.NewJob{Job: newBatch(w.now()), Idempotency: &jobs.Idempotency{Key: text, Hash: []byte("h")}})
				return err
			},
			"a filter": func() error {
				_, _, err := w.Jobs(t.Context(), jobs.JobQuery{ProjectID: "default", Status: jobs.Status(text), Limit: 1})
				return err
			},
			"an event's ID": func() error { _, _, err := w.Events(t.Context(), "default", text, 1); return err },
			"a reference":   func() error { _, err := w.Job(t.Context(), host(text)); return err },
			"a key asked for": func() error {
				return w.Replayed(t.Context(), "default", &jobs.Idempotency{Key: text, Hash: []byte("h")})
			},
			"metadata asked for": func() error {
				_, _, err := w.Jobs(t.Context(), jobs.JobQuery{ProjectID: "default", Metadata: map[string]string{"k": text}, Limit: 1})
				return err
			},
		} {
			require.True(t, jobs.IsCode(do(), jobs.CodeValue), "%s: %v", name, do())
		}
		require.Zero(t, w.count("files")+w.count("jobs")+w.count("events"))
	}
}

// TestABatchWithAModelThatCannotBeKept fails with its line, as any other bad input.
func TestABatchWithAModelThatCannotBeKept(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		service, runner := w.atWork()
		for _, model := range []string{`m\u0000`, `ft:\u0000`} {
			made := must(service.CreateBatch(t.Context(), jobs.NewBatch{
				Submission: jobs.Submission{ProjectID: "default"}, Path: "/v1/chat/completions", CompletionWindow: "1h",
				Requests: []jobs.BatchRequest{{Body: []byte(`{"model":"` + model + `","messages":[]}`)}},
			}))(t)
			w.pass(time.Second)
			runner.WorkJobs(t.Context(), []string{made.Ref().String()})
			failed := must(w.Job(t.Context(), made.Ref()))(t)
			require.Equal(t, jobs.Failed, failed.Status)
			require.JSONEq(t, `[{"code":"invalid_value","message":"Invalid value for 'model': it must be UTF-8 without NUL.","param":"body.model","line":1}]`, string(failed.Errors))
			_, err := service.CreateGeneration(t.Context(), jobs.NewGeneration{
				Submission: jobs.Submission{ProjectID: "default"}, Path: "/v1/chat/completions", Model: "m\x00", Body: []byte(`{}`),
			})
			require.True(t, jobs.IsCode(err, jobs.CodeValue), "%v", err)
		}
	})
}

// unserved is a router of no provider at all: who asks it for a model looks for one that a fine-tuning has made.
type unserved struct{}

func (unserved) Route(string) (*providers.Provider, error) {
	return nil, &providers.Error{Kind: providers.NoProvider, Message: "There is none."}
}
func (unserved) Provider(string) (*providers.Provider, bool) { return nil, false }
func (unserved) Providers() []*providers.Provider            { return nil }

// atWork gives what accepts and carries out the jobs of a world, without a provider.
func (w *world) atWork() (*jobs.Service, *jobs.Runner) {
	files := openFolder(w.t)
	limits := jobs.Limits{BatchLines: 100, ShardLines: 10, BatchBytes: 1 << 20, FileBytes: 1 << 20, UploadBytes: 1 << 20, UploadPartBytes: 1 << 20}
	service := jobs.NewService(jobs.ServiceOptions{
		Records: w.Store, Blobs: files, Router: unserved{}, Waker: w.woken, Watchers: jobs.NewWatchers(), Limits: limits, Now: w.options.Now,
	})
	return service, jobs.NewRunner(jobs.RunnerOptions{
		Store: w.Store, Blobs: files, Router: unserved{}, Waker: w.woken, Watchers: jobs.NewWatchers(), Limits: limits, Owner: "own",
		Now: w.options.Now, Log: slog.New(slog.NewTextHandler(w.t.Output(), nil)),
	})
}

// TestMetadataIsFound whatever it says, and what cannot be compared hides nothing else.
func TestMetadataIsFound(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		keep := func(metadata string) string {
			j := newBatch(w.now())
			j.Metadata = []byte(metadata)
			must(w.CreateJob(t.Context(), jobs.NewJob{Job: j}))(t)
			return j.ID
		}
		pairs := map[string]string{
			"plain": "v", `quote"d`: `"; DROP TABLE jobs; --`, "slash\\": `\u0041`, "": "empty key", "empty value": "", "é": "日本 😀", "$1": "?", "%": "_",
			"line\nbreak": "tab\tand \u2028", "null": "null", "true": "true", "1": "1e3",
			`\u0000`: `\ud800 in letters`,
		}
		text, err := json.Marshal(pairs)
		require.NoError(t, err)
		id := keep(string(text))
		none := []string{keep(""), keep("{}"), keep("null")}
		nul := keep(`{"plain":"a\u0000b","other":"v"}`)
		for _, odd := range []string{`{"unlike":"v"}`, `{"plain":"a\ud800b"}`, `{"plain":"\udc00\ud83d"}`, `{"\ud83d":"v"}`} {
			keep(odd)
		}
		pair := keep(`{"plain":"\ud83d\ude00","slash":"\\"}`)
		escaped, _, err := w.Jobs(t.Context(), jobs.JobQuery{ProjectID: "default", Metadata: map[string]string{"plain": "😀", "slash": `\`}, Limit: 10})
		require.NoError(t, err)
		require.Len(t, escaped, 1)
		require.Equal(t, pair, escaped[0].ID)
		for key, value := range pairs {
			page, _, err := w.Jobs(t.Context(), jobs.JobQuery{ProjectID: "default", Metadata: map[string]string{key: value}, Limit: 10})
			require.NoError(t, err, key)
			require.Len(t, page, 1, key)
			require.Equal(t, id, page[0].ID, key)
			require.JSONEq(t, string(text), string(page[0].Metadata))
		}
		page, _, err := w.Jobs(t.Context(), jobs.JobQuery{ProjectID: "default", NoMetadata: true, Limit: 10})
		require.NoError(t, err)
		var ids []string
		for _, j := range page {
			ids = append(ids, j.ID)
		}
		require.ElementsMatch(t, none, ids)
		require.Equal(t, `{"plain":"a\u0000b","other":"v"}`, string(must(w.Job(t.Context(), host(nul)))(t).Metadata), "kept as it came")
	})
}
