package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// canaries are secrets that must come out nowhere.
var canaries = map[string]string{
	"webhook header":       "canary-header-5e1f",
	"webhook secret":       "whsec_Y2FuYXJ5LXNlY3JldC1jYW5hcnktc2VjcmV0LTAwMQ==",
	"webhook secret's key": "canary-secret-canary-secret-001",
	"webhook URL query":    "canary-query-77ab",
	"provider api_key":     "canary-provider-key-9c2d",
	"provider header":      "canary-provider-header-13d0",
	"auth key":             "canary-auth-key-4f8e",
	"wrong auth key":       "canary-wrong-key-a0b1",
	"project's own secret": "whsec_Y2FuYXJ5LXByb2plY3QtY2FuYXJ5LXByb2plY3QtMg==",
	"project's own key":    "canary-project-canary-project-2",
}

// S9: no secret in any output, answer or file, after success, failure and a stop.
func TestSecretsComeOutNowhere(t *testing.T) {
	t.Parallel()
	up := startUpstream(t, func(body string) reply {
		if prompt(body) == "bad" { // a provider that repeats the key it was given
			return reply{status: 401, body: fmt.Sprintf(`{"error":{"message":"Incorrect API key provided: %s","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`, canaries["provider api_key"])}
		}
		return reply{body: completion("fine")}
	})
	hook, dead := startReceiver(t), startReceiver(t, 500, 500, 500)
	provider := up.provider(fmt.Sprintf(", api_key: %s, headers: {X-More: %s}", canaries["provider api_key"], canaries["provider header"]))
	s := startServerWithKey(t, canaries["auth key"], append(openCallbacks(), provider, "log.level=debug",
		"callbacks.schedule=[0s,50ms]", "callbacks.signing_secret="+canaries["project's own secret"],
		fmt.Sprintf("auth.keys=[%s]", canaries["auth key"]))...)
	with := func(url, secret string) string {
		return fmt.Sprintf(`,"webhook":{"url":"%s/in?token=%s","headers":{"X-Token":%q}%s}`, url, canaries["webhook URL query"], canaries["webhook header"], secret)
	}
	own := fmt.Sprintf(`,"secret":%q`, canaries["webhook secret"])
	unreachable := "http://127.0.0.1:1"
	good := s.generate("hello", with(hook.server.URL, own))
	jobs := []string{
		good, s.generate("bad", with(hook.server.URL, "")), s.batch(s.input(numbered(3, 0)), with(hook.server.URL, own)),
		s.generate("hello", with(dead.server.URL, own)), s.generate("hello", with(unreachable, own)),
		s.batch("file-none", with(dead.server.URL, "")),
	}
	for _, job := range jobs {
		s.ended(job)
		s.settled(job)
	}
	require.Equal(t, canaries["webhook header"], hook.all()[0].header.Get("X-Token"), "it does reach its receiver")
	require.NoError(t, hook.wait(good, "generation.completed").verify(canaries["webhook secret"]))
	refused(t, s.call(http.StatusUnauthorized, "GET", "/v1/jobs", "", "Authorization", "Bearer "+canaries["wrong auth key"]))
	refused(t, s.call(http.StatusBadRequest, "POST", "/v1/generate",
		fmt.Sprintf(`{"model":"m","input":"x","webhook":{"url":"https://u:%s@example.com","headers":{"Host":%[1]q}}}`, canaries["webhook header"])))
	s.searchAnswers(t, jobs)
	s.searchFiles(t) // while it runs: the database's write-ahead log too
	code, _ := s.stop()
	require.Zero(t, code)
	s.searchFiles(t)
}

// startServerWithKey is startServer for a server that asks for a key.
func startServerWithKey(t *testing.T, key string, set ...string) *server {
	t.Helper()
	s := startServer(t, set...)
	s.key = key
	return s
}

// searchAnswers reads every GET that the jobs can be seen by.
func (s *server) searchAnswers(t *testing.T, jobs []string) {
	t.Helper()
	paths := []string{"/v1/jobs", "/v1/batches", "/v1/files", "/v1/events", "/healthz", "/readyz", "/metrics"}
	for _, job := range jobs {
		paths = append(paths, "/v1/jobs/"+job, "/v1/jobs/"+job+"/deliveries", "/v1/generate/"+job, "/v1/batches/"+job, "/v1/events?after="+job)
	}
	for _, path := range paths {
		a, err := s.do("GET", path, nil)
		require.NoError(t, err)
		absent(t, "GET "+path, a.body)
		for name, values := range a.header {
			absent(t, "header "+name+" of GET "+path, []byte(fmt.Sprint(values)))
		}
	}
}

// searchFiles looks at the server's output and at every file in data_dir.
func (s *server) searchFiles(t *testing.T) {
	t.Helper()
	absent(t, "the output", s.log())
	n := 0
	err := filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		absent(t, path, text)
		n++
		return err
	})
	require.NoError(t, err)
	require.GreaterOrEqual(t, n, 3, "the database, the key and the files are there")
}

func absent(t *testing.T, where string, text []byte) {
	t.Helper()
	for name, canary := range canaries {
		if bytes.Contains(text, []byte(canary)) {
			t.Errorf("%s holds the %s", where, name)
		}
	}
}
