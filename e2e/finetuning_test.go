package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers/simulator"
)

// examples are n lines to learn from; what they teach is how to begin an answer.
func examples(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"messages":[{"role":"user","content":"Number %d, please."},{"role":"assistant","content":"My number is %d."}]}`+"\n", i, i)
	}
	return b.String()
}

// tuning uploads examples, creates a fine-tuning and gives its ID. more are further members.
func (c *client) tuning(n int, more string) string {
	c.t.Helper()
	file := c.upload(http.StatusOK, part{"purpose", "", "fine-tune"}, part{"file", "examples.jsonl", examples(n)}).get("id").String()
	body := fmt.Sprintf(`{"model":"sim-small","training_file":%q%s}`, file, more)
	a := c.call(http.StatusOK, "POST", "/v1/fine_tuning/jobs", body)
	require.Equal(c.t, "validating_files", a.get("status").String())
	return a.get("id").String()
}

// tuned polls a fine-tuning until it has a status.
func (c *client) tuned(job, status string) (a answer) {
	c.t.Helper()
	eventually(c.t, "the fine-tuning is "+status, func() bool {
		a = c.read("/v1/fine_tuning/jobs/" + job)
		now := a.get("status").String()
		require.False(c.t, now != status && (terminal(now) || now == "succeeded"), "the fine-tuning is %s instead of %s: %s", now, status, a.body)
		return now == status
	})
	return a
}

// A fine-tuning on the built-in simulator: its signed callback says which model there is, and the model answers a batch.
// The end survives a restart of the server with its simulator in mid-training.
func TestFineTuningEndsInACallbackAndAModel(t *testing.T) {
	t.Parallel()
	hook := startReceiver(t)
	s := startServer(t, append(openCallbacks(), "simulator.tuning=4s")...)
	secret := s.secret()
	job := s.tuning(2000, `,"suffix":"numbers","metadata":{"team":"a"}`+hook.field())
	s.tuned(job, "running")
	s.stop()
	s.restart()
	c := hook.wait(job, "fine_tuning.job.succeeded")
	require.NoError(t, c.verify(secret))
	hook.onlyOnce(job, secret)
	polled := s.tuned(job, "succeeded")
	require.JSONEq(t, string(polled.body), c.get("data.object").Raw)
	model := c.get("data.object.fine_tuned_model").String()
	require.Contains(t, model, "numbers")
	require.Equal(t, "NAMESPACE", c.get("cache_scope_to_invalidate.scope").String())
	require.Contains(t, c.get("cache_scope_to_invalidate.keys").Raw, model)
	var types []string
	for _, e := range s.events(job) {
		if typ := e.Get("type").String(); typ != "fine_tuning.job.progress" {
			types = append(types, typ)
		}
	}
	require.Equal(t, []string{"fine_tuning.job.created", "fine_tuning.job.running", "fine_tuning.job.succeeded"}, types)
	require.Equal(t, "succeeded", s.read("/v1/jobs/"+job).get("status").String())
	require.Equal(t, job, s.read("/v1/fine_tuning/jobs?metadata[team]=a").get("data.0.id").String())

	input := strings.ReplaceAll(numbered(20, 0), `"model":"m"`, fmt.Sprintf(`"model":%q`, model))
	done := s.ended(s.batch(s.input(input), ""))
	require.EqualValues(t, 20, done.get("request_counts.completed").Int(), "%s", done.body)
	for _, answered := range s.lines(done.get("output_file_id")) {
		require.Contains(t, answered, "My number is ")
	}
}

// academy is a provider in a process that outlives the server: the simulator, and what passes on the way to it.
type academy struct {
	server    *httptest.Server
	simulator *simulator.Simulator

	mu      sync.Mutex
	reached func(r *http.Request) // a request's effect stands, its answer is not out yet; may be nil
	posts   map[string]int
}

func startAcademy(t *testing.T) *academy {
	t.Helper()
	a := &academy{posts: map[string]int{}, simulator: simulator.New(simulator.Options{TuneTime: 3 * time.Second, Dir: t.TempDir()})}
	a.server = httptest.NewServer(a)
	t.Cleanup(func() {
		a.server.CloseClientConnections()
		a.server.Close()
		require.NoError(t, a.simulator.Close())
	})
	return a
}

func (a *academy) provider() string {
	_, port, _ := net.SplitHostPort(a.server.Listener.Addr().String())
	return fmt.Sprintf(`providers=[{name: up, type: openai, base_url: "http://127.0.0.1:%s/v1", models: ["*"]}]`, port)
}

// ServeHTTP lets the simulator do its work before anybody hears of it.
func (a *academy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := httptest.NewRecorder()
	a.simulator.ServeHTTP(answer, r)
	a.mu.Lock()
	reached := a.reached
	if r.Method == http.MethodPost {
		a.posts[r.URL.Path]++
	}
	a.mu.Unlock()
	if reached != nil {
		reached(r)
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()) // a caller that was killed reads no more
}

func (a *academy) posted(path string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.posts[path]
}

func (a *academy) list(t *testing.T, path string) []gjson.Result {
	t.Helper()
	answer := httptest.NewRecorder()
	a.simulator.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	require.Equal(t, http.StatusOK, answer.Code)
	return gjson.GetBytes(answer.Body.Bytes(), "data").Array()
}

// The server is killed when something has been made at the provider and its answer is on the way, and again while the
// training runs: after it all the provider has one job over one file, and the receiver hears of one end.
func TestKilledFineTuningIsHandedOverOnce(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/v1/files", "/v1/fine_tuning/jobs"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			up, hook := startAcademy(t), startReceiver(t)
			s := startServer(t, append(openCallbacks(), up.provider(), "simulator.enabled=false")...)
			secret := s.secret()
			killed := make(chan struct{})
			var once sync.Once
			up.mu.Lock()
			up.reached = func(r *http.Request) {
				if r.Method == http.MethodPost && r.URL.Path == path {
					once.Do(func() {
						_ = s.process.Process.Kill()
						<-s.exited
						close(killed)
					})
				}
			}
			up.mu.Unlock()
			job := s.tuning(12, hook.field())
			select {
			case <-killed:
			case <-time.After(patience):
				t.Fatal("the fine-tuning was never handed over")
			}
			s.kill9()
			s.restart()
			for range 2 {
				s.tuned(job, "running")
				s.kill9()
				s.restart()
			}
			done := s.tuned(job, "succeeded")
			require.Len(t, up.list(t, "/v1/fine_tuning/jobs"), 1)
			require.Len(t, up.list(t, "/v1/files?purpose=fine-tune"), 1)
			require.Equal(t, 1, up.posted("/v1/fine_tuning/jobs"))
			require.Equal(t, 1, up.posted("/v1/files"))
			c := hook.wait(job, "fine_tuning.job.succeeded")
			require.Equal(t, done.get("fine_tuned_model").String(), c.get("data.object.fine_tuned_model").String())
			hook.onlyOnce(job, secret)
			var steps int
			for _, e := range s.read("/v1/fine_tuning/jobs/" + job + "/events?limit=100").get("data").Array() {
				if e.Get("type").String() == "metrics" {
					steps++
				}
			}
			require.Equal(t, 20, steps, "each step once")
			require.Len(t, s.read("/v1/fine_tuning/jobs/"+job+"/checkpoints").get("data").Array(), 3)
			s.stop()
			integrity(t, s.dir)
		})
	}
}
