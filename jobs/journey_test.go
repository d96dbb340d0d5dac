package jobs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/store"
)

// exchange is a whole Ringback without HTTP and without a queue: the test is the sweeper, so that it can stop between
// any two steps.
type exchange struct {
	t       *testing.T
	store   *store.Store
	files   *store.Folder
	service *jobs.Service
	runner  *jobs.Runner
	calls   atomic.Int64
	answer  func(w http.ResponseWriter, r *http.Request)
	now     func() time.Time
	owner   string

	config   providers.Config // of the provider "up"
	registry *providers.Registry
	limits   jobs.Limits
}

// nobody wakes nobody: rows are found by the sweeper alone.
type nobody struct{}

func (nobody) Wake(context.Context, string, ...string) {}

func newExchange(t *testing.T) *exchange {
	t.Helper()
	x := &exchange{t: t, now: time.Now, answer: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"choices":[{"message":{"content":"yes"}}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`)
	}}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x.calls.Add(1)
		x.answer(w, r)
	}))
	t.Cleanup(upstream.Close)
	x.config = providers.Config{
		Name: "up", BaseURL: upstream.URL + "/v1", Models: []string{"m*", "sim-*"}, Concurrency: 8, Timeout: 10 * time.Second, Retries: 1,
		Media: []providers.MediaConfig{{Path: "/v1/videos", Fetch: "/v1/videos/{id}/content", Cancel: "DELETE /v1/videos/{id}"}},
	}
	registry, err := providers.New(providers.Options{Providers: []providers.Config{x.config}})
	require.NoError(t, err)
	t.Cleanup(registry.Close)

	dir := t.TempDir()
	clock := func() time.Time { return x.now() }
	x.store, err = store.Open(t.Context(), store.Options{Dir: dir, ShardsAwake: 2, Now: clock})
	require.NoError(t, err)
	x.files, err = store.OpenFolder(filepath.Join(dir, "files"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, errors.Join(x.store.Close(), x.files.Close())) })

	limits := jobs.Limits{BatchLines: 50, BatchBytes: 1 << 20, FileBytes: 1 << 20, ShardLines: 4}
	x.service = jobs.NewService(jobs.ServiceOptions{
		Records: x.store, Blobs: x.files, Router: registry, Waker: nobody{}, Watchers: jobs.NewWatchers(), Limits: limits, Now: clock,
	})
	x.registry, x.limits = registry, limits
	x.restart(registry, limits, clock)
	return x
}

// restart begins a process of its own: a new owner, and the claims of older ones are freed.
func (x *exchange) restart(registry *providers.Registry, limits jobs.Limits, clock func() time.Time) {
	x.t.Helper()
	x.owner = jobs.NewID("own_")
	x.runner = jobs.NewRunner(jobs.RunnerOptions{
		Store: x.store, Blobs: x.files, Router: registry, Waker: nobody{}, Watchers: jobs.NewWatchers(), Limits: limits,
		Owner: x.owner, Stopping: make(chan struct{}), Now: clock, Log: slog.New(slog.NewTextHandler(x.t.Output(), nil)),
	})
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	runner := x.runner // a later restart puts another in its place
	ended.Go(func() { _ = runner.Run(ctx) })
	x.t.Cleanup(func() { cancel(); ended.Wait() })
}

// sweep offers what is due in every lane once, as the queue does, and tells how much that was.
func (x *exchange) sweep() int {
	x.t.Helper()
	ctx := x.t.Context()
	var wg sync.WaitGroup
	n := 0
	for _, lane := range []struct {
		due  func(context.Context, int) ([]string, error)
		work func(context.Context, []string)
	}{{x.store.DueBatches, x.runner.WorkJobs}, {x.store.DueCalls, x.runner.WorkJobs}, {x.store.DueShards, x.runner.WorkShards}} {
		refs, err := lane.due(ctx, 100)
		require.NoError(x.t, err)
		n += len(refs)
		wg.Go(func() { lane.work(ctx, refs) })
	}
	wg.Wait()
	return n
}

// later moves the clock.
func (x *exchange) later(d time.Duration) {
	before := x.now
	x.now = func() time.Time { return before().Add(d) }
}

// settle sweeps, moving the clock past every slack and delay, until the job has ended.
func (x *exchange) settle(ref jobs.Ref) jobs.Snapshot {
	x.t.Helper()
	// The rows' clock runs as fast as the sweeps; a provider's limiter has the real one, and may keep the job waiting by it.
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		x.later(time.Second)
		x.sweep()
		if s := x.job(ref); s.Status.Terminal() {
			return s
		}
	}
	s := x.job(ref)
	x.t.Fatalf("the job has not ended: %s", s.Wrapped())
	return jobs.Snapshot{}
}

func (x *exchange) job(ref jobs.Ref) jobs.Snapshot {
	x.t.Helper()
	s, err := x.store.Job(x.t.Context(), ref)
	require.NoError(x.t, err)
	return s
}

func (x *exchange) upload(text string) jobs.File {
	x.t.Helper()
	spooled, err := x.service.Spool(x.t.Context(), strings.NewReader(text))
	require.NoError(x.t, err)
	f, err := x.service.KeepFile(x.t.Context(), spooled, jobs.NewFile{ProjectID: "default", Filename: "in.jsonl", Purpose: "batch"})
	require.NoError(x.t, err)
	return f
}

func (x *exchange) batch(text string) jobs.Ref {
	x.t.Helper()
	s, err := x.service.CreateBatch(x.t.Context(), jobs.NewBatch{
		InputFileID: x.upload(text).ID, Path: "/v1/chat/completions", CompletionWindow: "24h",
		Submission: submitted(&jobs.Webhook{URL: "https://example.com/hook", Method: "POST", Headers: map[string]string{"X-Token": "t"}}),
	})
	require.NoError(x.t, err)
	return s.Ref()
}

func (x *exchange) generation() jobs.Ref {
	x.t.Helper()
	s, err := x.service.CreateGeneration(x.t.Context(), jobs.NewGeneration{
		Path: "/v1/chat/completions", Model: "m1", Body: []byte(`{"model":"m1","messages":[]}`),
		Submission: submitted(&jobs.Webhook{URL: "https://example.com/hook", Method: "POST"}),
	})
	require.NoError(x.t, err)
	return s.Ref()
}

// submitted is what every submission of these tests says beside its own.
func submitted(w *jobs.Webhook) jobs.Submission {
	return jobs.Submission{ProjectID: "default", Webhook: w}
}

func request(i int) string {
	return fmt.Sprintf(`{"custom_id":"r%d","method":"POST","url":"/v1/chat/completions","body":{"model":"m1","messages":[{"role":"user","content":"%d"}]}}`, i, i)
}

func requests(n int) string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = request(i + 1)
	}
	return strings.Join(lines, "\n") + "\n"
}

// ids reads the custom_ids of an output or error file, in its order.
func (x *exchange) ids(fileID string) []string {
	x.t.Helper()
	if fileID == "" {
		return nil
	}
	_, r, err := x.service.FileContent(x.t.Context(), jobs.Ref{ProjectID: "default", ID: fileID})
	require.NoError(x.t, err)
	defer r.Close()
	text, err := io.ReadAll(r)
	require.NoError(x.t, err)
	var ids []string
	for line := range bytes.Lines(text) {
		require.True(x.t, json.Valid(line), "%s", line)
		ids = append(ids, gjson.GetBytes(line, "custom_id").String()+codeOf(line))
	}
	return ids
}

func codeOf(line []byte) string {
	if code := gjson.GetBytes(line, "error.code").String(); code != "" {
		return " " + code
	}
	return ""
}

// events are the types of a job's events, without batch.progress: how often that comes depends on the sets in which
// results are kept. Each end must owe the webhook, which has no filter, exactly one delivery, and nothing else any.
func (x *exchange) events(ref jobs.Ref) []string {
	x.t.Helper()
	all, _, err := x.store.Events(x.t.Context(), "default", "", 100)
	require.NoError(x.t, err)
	deliveries, _, err := x.store.JobDeliveries(x.t.Context(), ref)
	require.NoError(x.t, err)
	owed := map[string]int{}
	for _, d := range deliveries {
		owed[d.EventID]++
	}
	var types []string
	for _, e := range all {
		if e.JobID != ref.ID {
			continue
		}
		if e.Type.Terminal() {
			require.Equal(x.t, 1, owed[e.ID], "one delivery for the webhook")
		} else {
			require.Zero(x.t, owed[e.ID], "%s was not asked for", e.Type)
		}
		if e.Type != jobs.BatchProgress {
			types = append(types, string(e.Type))
		}
	}
	return types
}
