package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/providers/simulator"
	"github.com/ringback/ringback/store"
)

// school is an exchange whose provider is the simulator, over HTTP. Its process can be killed before any commit.
type school struct {
	*exchange
	simulator *simulator.Simulator

	mu     sync.Mutex
	step   func(w http.ResponseWriter, r *http.Request) bool // true: the request is answered; may be nil
	asked  []string                                          // "POST /v1/files", …
	killed func(before, after *jobs.Job) bool                // asked before each commit of the runner; may be nil
	ctx    context.Context                                   // of the present process
	kill   context.CancelFunc
	work   *jobs.Runner
}

// tuneTime is how long the simulator trains, by the test's clock.
const tuneTime = 20 * time.Second

func newSchool(t *testing.T) *school {
	t.Helper()
	s := &school{exchange: newExchange(t)}
	s.simulator = simulator.New(simulator.Options{TuneTime: tuneTime, Dir: t.TempDir(), Now: func() time.Time { return s.now() }})
	t.Cleanup(func() { require.NoError(t, s.simulator.Close()) })
	s.answer = s.provide
	s.live()
	return s
}

func (s *school) provide(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.Method+" "+r.URL.Path)
	step := s.step
	s.mu.Unlock()
	if step == nil || !step(w, r) {
		s.simulator.ServeHTTP(w, r)
	}
}

// meddle changes what the provider answers.
func (s *school) meddle(step func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.step = step
}

// once does something while the provider has such a request in hand, the first time.
func (s *school) once(method, path string, do func()) {
	var first sync.Once
	s.meddle(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == method && r.URL.Path == path {
			first.Do(do)
		}
		return false
	})
}

// count is how often the provider was asked this.
func (s *school) count(request string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, asked := range s.asked {
		if asked == request {
			n++
		}
	}
	return n
}

// mortal is a store that kills its process in place of a commit.
type mortal struct {
	*store.Store
	school *school
}

var errKilled = errors.New("killed")

func (m mortal) Move(ctx context.Context, ref jobs.Ref, move func(*jobs.Job) (jobs.Effects, error)) (jobs.Snapshot, jobs.Woken, error) {
	if m.school.ctx.Err() != nil {
		return jobs.Snapshot{}, jobs.Woken{}, errKilled
	}
	return m.Store.Move(ctx, ref, func(j *jobs.Job) (jobs.Effects, error) {
		before := *j
		fx, err := move(j)
		if err == nil && m.school.killed != nil && m.school.killed(&before, j) {
			m.school.kill()
			return fx, errKilled
		}
		return fx, err
	})
}

// live begins a process: what the one before had in hand is free.
func (s *school) live() {
	s.t.Helper()
	s.owner = jobs.NewID("own_")
	s.ctx, s.kill = context.WithCancel(context.Background())
	s.t.Cleanup(s.kill)
	s.work = jobs.NewRunner(jobs.RunnerOptions{
		Store: mortal{s.store, s}, Blobs: s.files, Router: s.registry, Waker: nobody{}, Watchers: jobs.NewWatchers(),
		Limits: s.limits, Owner: s.owner, Stopping: make(chan struct{}), Now: func() time.Time { return s.now() },
		Log: slog.New(slog.NewTextHandler(s.t.Output(), nil)),
	})
	require.NoError(s.t, s.store.FreeOthers(s.t.Context(), s.owner))
}

// turn moves the clock by a second and takes what is due one step on; a process that was killed is followed by another.
func (s *school) turn() {
	s.t.Helper()
	s.later(time.Second)
	for _, due := range []func(context.Context, int) ([]string, error){s.store.DueBatches, s.store.DueCalls} {
		refs, err := due(s.t.Context(), 100)
		require.NoError(s.t, err)
		s.work.WorkJobs(s.ctx, refs)
	}
	if s.ctx.Err() != nil {
		s.live()
	}
}

// until takes turns until the job is as wanted.
func (s *school) until(ref jobs.Ref, wanted func(jobs.Snapshot) bool) jobs.Snapshot {
	s.t.Helper()
	for range 200 {
		if j := s.job(ref); wanted(j) {
			return j
		}
		s.turn()
	}
	j := s.job(ref)
	s.t.Fatalf("the job has never been as wanted: %s", j.Wrapped())
	return j
}

func is(status jobs.Status) func(jobs.Snapshot) bool {
	return func(s jobs.Snapshot) bool { return s.Status == status }
}

func handed(s jobs.Snapshot) bool { return s.Remote.Job != "" }

func (s *school) end(ref jobs.Ref) jobs.Snapshot {
	s.t.Helper()
	return s.until(ref, func(s jobs.Snapshot) bool { return s.Status.Terminal() })
}

const lesson = `{"messages":[{"role":"user","content":"What is %d times 2?"},{"role":"assistant","content":"It is %d."}]}` + "\n"

func lessons(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, lesson, i, 2*i)
	}
	return b.String()
}

func (s *school) examples(text string) string {
	s.t.Helper()
	spooled, err := s.service.Spool(s.t.Context(), strings.NewReader(text))
	require.NoError(s.t, err)
	f, err := s.service.KeepFile(s.t.Context(), spooled, jobs.NewFile{ProjectID: "default", Filename: "examples.jsonl", Purpose: "fine-tune"})
	require.NoError(s.t, err)
	return f.ID
}

// tuning creates a fine-tuning over 12 examples; members are further ones of its body.
func (s *school) tuning(members string, tweaks ...func(*jobs.NewTuning)) jobs.Ref {
	s.t.Helper()
	n := jobs.NewTuning{Model: "sim-small", TrainingFileID: s.examples(lessons(12))}
	n.ProjectID, n.Webhook = "default", &jobs.Webhook{URL: "https://example.com/hook", Method: "POST"}
	n.Body = []byte(fmt.Sprintf(`{"model":"sim-small","training_file":%q%s}`, n.TrainingFileID, members))
	for _, tweak := range tweaks {
		tweak(&n)
	}
	created, err := s.service.CreateTuning(s.t.Context(), n)
	require.NoError(s.t, err)
	require.Equal(s.t, jobs.ValidatingFiles, created.Status)
	return created.Ref()
}

// upstream reads from the provider itself.
func (s *school) upstream(path string) gjson.Result {
	s.t.Helper()
	w := httptest.NewRecorder()
	s.simulator.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	require.Equal(s.t, http.StatusOK, w.Code, "%s", w.Body)
	return gjson.ParseBytes(w.Body.Bytes())
}

func (s *school) upstreamJobs() []gjson.Result {
	return s.upstream("/v1/fine_tuning/jobs").Get("data").Array()
}

// log is a fine-tuning's, oldest first.
func (s *school) log(ref jobs.Ref) (log []string) {
	s.t.Helper()
	entries, more, err := s.store.TuningEvents(s.t.Context(), jobs.PartQuery{Job: ref, Limit: 100})
	require.NoError(s.t, err)
	require.False(s.t, more)
	for _, e := range entries {
		log = append([]string{e.Level + " " + e.Message}, log...)
	}
	return log
}

// fired are the types of a job's events, without progress.
func (s *school) fired(ref jobs.Ref) (types []string) {
	s.t.Helper()
	for _, typ := range s.events(ref) {
		if typ != string(jobs.TuningProgress) {
			types = append(types, typ)
		}
	}
	return types
}

func (s *school) content(file string) string {
	s.t.Helper()
	_, r, err := s.service.FileContent(s.t.Context(), jobs.Ref{ProjectID: "default", ID: file})
	require.NoError(s.t, err)
	defer r.Close()
	text, err := io.ReadAll(r)
	require.NoError(s.t, err)
	return string(text)
}
