package pages

import (
	"encoding/json"
	"fmt"
	"go/format"
	goparser "go/parser"
	gotoken "go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// filled are forms as people fill them in, by what they put to the test.
func filled() map[string]*composerPage {
	const odd = "It's \"quoted\" $HOME `id` \\ \\n\n\t!! 🎉 \u2028 ${x} %s </script> \x00"
	forms := map[string]*composerPage{}
	for _, kind := range []string{"batch", "fine_tuning", "generation"} {
		for text, value := range map[string]string{"plain": "Why?", "odd": odd, "empty": ""} {
			for _, key := range []bool{true, false} {
				for _, hook := range []bool{true, false} {
					if text != "odd" && key != hook {
						continue // programs are slow to start
					}
					c := &composerPage{Kind: kind, Model: "sim-small", Prompt: value, Name: value, Suffix: value, Window: "24h", NeedsKey: key, Priority: priorities("normal")}
					if hook {
						c.WebhookURL, c.Priority = "https://example.com/hook?a=1&b='2'", priorities("high")
						c.Headers = []headerRow{{"X-Custom-Token", secretValue}, {"1st", secretValue}, {"content-language", secretValue}, {}}
					}
					if value == odd {
						c.File = &fileRow{Name: `my 'odd" fi\le;type=x, $HOME.jsonl`}
					}
					forms[fmt.Sprintf("%s, %s texts, key %t, webhook %t", kind, text, key, hook)] = c
				}
			}
		}
	}
	return forms
}

const secretValue = "hunter2-secret"

// taken is a server that takes what samples send.
type taken struct {
	mu      sync.Mutex
	body    string
	path    string
	auth    []string
	name    string // of the file
	purpose string
}

func (s *taken) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.auth = append(s.auth, r.Header.Get("Authorization"))
	if r.URL.Path == "/v1/files" {
		file, header, err := r.FormFile("file")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_ = file.Close()
		s.name, s.purpose = header.Filename, r.FormValue("purpose")
		fmt.Fprint(w, `{"id":"file-1"}`)
		return
	}
	b, _ := io.ReadAll(r.Body)
	s.body, s.path = string(b), r.URL.Path
	fmt.Fprint(w, `{"id":"job-1"}`)
}

// TestSamplesDoWhatTheFormDoes runs each as somebody would who copies it.
func TestSamplesDoWhatTheFormDoes(t *testing.T) {
	t.Parallel()
	for name, c := range filled() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := &taken{}
			server := httptest.NewServer(got)
			defer server.Close()
			p := &Pages{Options: Options{PublicURL: server.URL}}
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, c.fileName()), []byte("{}\n"), 0o600))
			for _, tab := range p.samples(c) {
				require.NotContains(t, tab.Text, secretValue, "a header's value is in the %s sample", tab.Lang)
				switch tab.Lang {
				case "curl":
					file := write(t, dir, "sample.sh", tab.Text)
					run(t, dir, "sh", "-n", file)
					run(t, dir, "sh", file)
					got.is(t, c, "sh")
				case "Python":
					file := write(t, dir, "sample.py", tab.Text)
					run(t, dir, "python3", "-m", "py_compile", file)
					if c.Kind == "generation" {
						run(t, dir, "python3", file)
						got.is(t, c, "python3")
					}
				case "JavaScript":
					file := write(t, dir, "sample.mjs", tab.Text)
					run(t, dir, "node", "--check", file)
					if c.Kind == "generation" {
						run(t, dir, "node", file)
						got.is(t, c, "node")
					}
				case "Go":
					source := "package p\n\nfunc f(ctx context.Context) error {\n" + tab.Text + "\n}\n"
					_, err := goparser.ParseFile(gotoken.NewFileSet(), "sample.go", source, goparser.AllErrors)
					require.NoError(t, err, source)
					tidy, err := format.Source([]byte(tab.Text))
					require.NoError(t, err)
					require.Equal(t, string(tidy), tab.Text)
				}
			}
		})
	}
}

// is holds what came to what the form would send: with the headers' values of the environment, and the file that went up.
func (s *taken) is(t *testing.T, c *composerPage, by string) {
	t.Helper()
	form := *c
	form.FileID, form.Headers = "file-1", nil
	for _, h := range c.Headers {
		if h.Name != "" {
			form.Headers = append(form.Headers, headerRow{h.Name, "from the environment"})
		}
	}
	path, body := form.request()
	want, err := json.Marshal(body)
	require.NoError(t, err)
	require.NotEmpty(t, s.body, "%s sent nothing", by)
	require.JSONEq(t, string(want), s.body, by)
	require.Equal(t, path, s.path, by)
	for _, auth := range s.auth {
		require.Equal(t, map[bool]string{true: "Bearer k3y"}[c.NeedsKey], auth, by)
	}
	if c.Kind != "generation" {
		require.Equal(t, c.fileName(), strings.ReplaceAll(s.name, "%22", `"`), "curl writes a quote as HTML's forms do")
		require.Equal(t, map[string]string{"batch": "batch", "fine_tuning": "fine-tune"}[c.Kind], s.purpose)
	}
	s.body, s.path, s.auth, s.name = "", "", nil, ""
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// run runs a program, or skips where there is none.
func run(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	for _, needed := range map[string][]string{"sh": {"sh", "curl"}}[program] {
		if _, err := exec.LookPath(needed); err != nil {
			t.Skip(err)
		}
	}
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = dir
	bin := filepath.Join(dir, "bin")
	require.NoError(t, os.MkdirAll(bin, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(bin, "jq"), []byte("#!/bin/sh\nsed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/'\n"), 0o700)) //nolint:gosec // it is run
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "RINGBACK_KEY=k3y", "X_CUSTOM_TOKEN=from the environment", "_1ST=from the environment", "CONTENT_LANGUAGE=from the environment")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %v: %s", program, args, out)
}

func TestFirstCall(t *testing.T) {
	t.Parallel()
	got := &taken{}
	server := httptest.NewServer(got)
	defer server.Close()
	dir := t.TempDir()
	run(t, dir, "sh", write(t, dir, "sample.sh", firstCall(server.URL)))
	require.JSONEq(t, `{"model":"sim-small","input":"Why is the sky blue?","webhook":"https://example.com/hook"}`, got.body)
	require.Equal(t, "/v1/generate", got.path)
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{"X-Custom-Token": "X_CUSTOM_TOKEN", "1st": "_1ST", "a.b c": "A_B_C", "ß": "_", "_": "_"} {
		require.Equal(t, want, environment(header))
	}
}
