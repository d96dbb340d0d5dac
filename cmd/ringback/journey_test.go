package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// cli is a person at a terminal, with a server of their own.
type cli struct {
	t   *testing.T
	url string
}

// newCLI starts a whole server, with its simulator, that may call one port of
// this machine.
func newCLI(t *testing.T, port int) *cli {
	t.Helper()
	cfg, err := demoConfig(t.TempDir(), port)
	require.NoError(t, err)
	cfg.Simulator.TTFT, cfg.Simulator.TPOT, cfg.Simulator.Tuning = 0, 0, time.Millisecond
	server, err := start(context.WithoutCancel(t.Context()), cfg, slog.New(slog.NewTextHandler(io.Discard, nil)))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	return &cli{t, server.URL()}
}

// run types a command line; it must end with a code. The flag goes to the
// command's end.
func (c *cli) run(want int, args ...string) (stdout, stderr string) {
	c.t.Helper()
	code, out, errs := runCommand(c.t, "", append(args, "--server", c.url)...)
	require.Equal(c.t, want, code, "ringback %s\n%s%s", strings.Join(args, " "), out, errs)
	return out, errs
}

// objects are what a command prints with --json.
func (c *cli) objects(args ...string) (found []gjson.Result) {
	c.t.Helper()
	out, _ := c.run(exitOK, append(args, "--json")...)
	for line := range strings.Lines(out) {
		require.True(c.t, json.Valid([]byte(line)), line)
		found = append(found, gjson.Parse(line))
	}
	return found
}

// failingReceiver answers 500 at /bad and 204 elsewhere.
func failingReceiver(t *testing.T) (url string, port int, calls *atomic.Int32) {
	t.Helper()
	calls = &atomic.Int32{}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/bad") {
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, "the database\x1b[2J is down")
			return
		}
		calls.Add(1)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(receiver.Close)
	return receiver.URL, receiver.Listener.Addr().(*net.TCPAddr).Port, calls
}

// TestACallbackIsMended goes the way of somebody whose callback does not
// arrive: they see why, mend the endpoint, and send it again.
func TestACallbackIsMended(t *testing.T) {
	t.Parallel()
	receiver, port, calls := failingReceiver(t)
	c := newCLI(t, port)

	out, _ := c.run(exitOK, "endpoints", "add", receiver+"/bad", "--name", "billing", "--header", "X-Token: secret-canary")
	require.Regexp(t, `signing_secret +whsec_`, out)
	require.NotContains(t, out, "canary")
	endpoint := c.objects("endpoints", "list")[0].Get("id").String()
	_, errs := c.run(exitEnded, "endpoints", "test", endpoint)
	require.Contains(t, errs, "did not accept the test: the receiver failed (500)")

	out, _ = c.run(exitOK, "submit", "batch", batchOf(t, 6), "--name", "nightly", "--metadata", "team=one", "--watch")
	require.Regexp(t, `accepted   batch_\w+  \(/v1/chat/completions\)`, out)
	require.Contains(t, out, "completed  6/6")
	out, _ = c.run(exitOK, "list")
	require.Regexp(t, `(?m)^batch_\w+ +batch +completed +6/6 +sim-small +\d+s +nightly$`, out)
	batch := regexp.MustCompile(`batch_\w+`).FindString(out)

	delivery := c.failedDelivery(batch)
	out, _ = c.run(exitOK, "deliveries", "get", delivery)
	for _, part := range []string{
		"answer      500 Internal Server Error in ", "said        the database�[2J is down", "rule        retry 2 of 5: 500",
		"why           the receiver failed (500): look in its log", "next          another attempt at ",
		"ringback endpoints update " + endpoint + " --url", "ringback deliveries retry " + delivery,
	} {
		require.Contains(t, strings.Join(strings.Fields(out), " "), strings.Join(strings.Fields(part), " "))
	}
	_, errs = c.run(exitOK, "get", batch)
	require.Contains(t, errs, "why a callback did not arrive: ringback deliveries get "+delivery)
	_, errs = c.run(exitEnded, "deliveries", "retry", delivery, "--watch")
	require.Contains(t, errs, "was not delivered: the receiver failed (500)")

	c.run(exitOK, "endpoints", "update", endpoint, "--url", receiver+"/good", "--header", "X-Other: b")
	out, _ = c.run(exitOK, "deliveries", "retry", delivery, "--watch")
	require.Equal(t, delivery+"  delivered  204\n", out)
	require.EqualValues(t, 1, calls.Load())
	out, _ = c.run(exitOK, "deliveries", "get", delivery)
	require.Contains(t, out, "nothing: it was delivered")
	require.Len(t, c.objects("deliveries", "list", "--status", "delivered", "--job", batch), 1)
	require.Equal(t, "X-Other,X-Token", keysOf(c.objects("endpoints", "get", endpoint)[0].Get("headers")))
}

// failedDelivery waits until the one delivery about a job has been tried.
func (c *cli) failedDelivery(job string) string {
	c.t.Helper()
	for c.t.Context().Err() == nil {
		found := c.objects("deliveries", "list", "--job", job)
		if len(found) == 1 && found[0].Get("attempts.0.status_code").Int() == http.StatusInternalServerError {
			return found[0].Get("id").String()
		}
	}
	return ""
}

func keysOf(object gjson.Result) string {
	var keys []string
	object.ForEach(func(key, _ gjson.Result) bool {
		keys = append(keys, key.String())
		return true
	})
	return strings.Join(keys, ",")
}

// batchOf is a batch file that the simulator answers.
func batchOf(t *testing.T, lines int) string {
	t.Helper()
	var text strings.Builder
	for i := range lines {
		fmt.Fprintf(&text, `{"custom_id":"line-%d","method":"POST","url":"/v1/chat/completions","body":{"model":"sim-small","messages":[{"role":"user","content":"%d?"}]}}`+"\n", i, i)
	}
	path := t.TempDir() + "/in.jsonl"
	require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
	return path
}

// TestTheWholeCommandLine types every command that the other journey leaves
// out against a real server.
func TestTheWholeCommandLine(t *testing.T) {
	t.Parallel()
	receiver, port, _ := failingReceiver(t)
	c := newCLI(t, port)
	folder := t.TempDir()

	examples := filepath.Join(folder, "examples.jsonl")
	line := `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}` + "\n"
	require.NoError(t, os.WriteFile(examples, []byte(strings.Repeat(line, 12)), 0o600))
	tuning := c.objects("submit", "fine-tune", examples, "--model", "sim-small", "--suffix", "mine", "--epochs", "2",
		"--validation", examples, "--webhook", receiver+"/good", "--name", "tuned")[0]
	require.EqualValues(t, 2, tuning.Get("hyperparameters.n_epochs").Int())
	require.NotEmpty(t, tuning.Get("validation_file").String())
	generation := c.objects("submit", "generate", "--model", "sim-small", "--prompt", "Why?", "--priority", "high")[0]
	later := c.objects("submit", "generate", "--model", "sim-small", "--prompt", "Later?", "--run-at", "2h")[0]

	out, _ := c.run(exitOK, "watch", generation.Get("id").String(), tuning.Get("id").String())
	require.Contains(t, out, tuning.Get("id").String()+"  tuned  succeeded")
	out, _ = c.run(exitOK, "results", tuning.Get("id").String())
	require.Regexp(t, `^ft:sim-small:.*mine`, out)
	out, _ = c.run(exitOK, "results", generation.Get("id").String())
	require.Equal(t, "chat.completion", gjson.Get(out, "object").String())

	_, errs := c.run(exitFailure, "results", later.Get("id").String())
	require.Contains(t, errs, "wait for it with --follow")
	out, _ = c.run(exitOK, "cancel", later.Get("id").String())
	require.Equal(t, later.Get("id").String()+"  cancelled\n", out)
	_, errs = c.run(exitEnded, "results", later.Get("id").String())
	require.Contains(t, errs, "ended as cancelled")
	_, errs = c.run(exitEnded, "watch", later.Get("id").String(), generation.Get("id").String())
	require.Contains(t, errs, "1 of 2 jobs completed")
	_, errs = c.run(exitOK, "watch")
	require.Contains(t, errs, "no job is unfinished")
	c.run(exitFailure, "pause", tuning.Get("id").String())

	file := c.objects("files", "upload", batchOf(t, 3), "--expires-after", "12h")[0]
	require.EqualValues(t, 12*3600, file.Get("expires_at").Int()-file.Get("created_at").Int())
	batch := c.objects("submit", "batch", file.Get("id").String())[0].Get("id").String()
	out, _ = c.run(exitOK, "results", batch, "--follow", "-o", filepath.Join(folder, "out.jsonl"))
	require.Empty(t, out)
	written, err := os.ReadFile(filepath.Join(folder, "out.jsonl"))
	require.NoError(t, err)
	require.Equal(t, 3, strings.Count(string(written), "\n"))
	out, _ = c.run(exitOK, "results", batch, "--failed")
	require.Empty(t, out)
	_, errs = c.run(exitFailure, "retry", batch)
	require.Contains(t, errs, "nothing is left to retry")
	require.Len(t, c.objects("list", "--kind", "batch", "--status", "completed"), 1)
	require.Len(t, c.objects("list", "--limit", "2"), 2)

	endpoint := c.objects("endpoints", "add", receiver+"/good", "--types", "batch.*", "--timeout", "20s", "--schedule", "0s,1m")[0]
	id := endpoint.Get("id").String()
	require.JSONEq(t, `["0s","1m"]`, c.schedule(id))
	require.Equal(t, "", c.objects("endpoints", "update", id, "--timeout", "", "--schedule", "")[0].Get("timeout").String())
	c.run(exitUsage, "endpoints", "update", id)
	c.run(exitOK, "endpoints", "test", id, "--type", "batch.completed")
	require.True(t, strings.HasPrefix(c.objects("endpoints", "rotate-secret", id, "--keep-old")[0].Get("signing_secret").String(), "whsec_"))
	out, _ = c.run(exitOK, "endpoints", "disable", id)
	require.Equal(t, id+"  disabled\n", out)
	c.run(exitOK, "endpoints", "enable", id)
	require.Positive(t, c.objects("endpoints", "replay", id, "--since", "1h")[0].Get("replayed").Int())
	c.run(exitOK, "deliveries", "retry-all", "--endpoint", id, "--since", "1h")
	c.run(exitUsage, "deliveries", "retry-all")

	events := c.objects("events", "--types", "batch.completed")
	require.Len(t, events, 1)
	require.Equal(t, batch, events[0].Get("data.id").String())
	require.Len(t, c.objects("events", "--limit", "3"), 3)
	followed := c.objects("events", "--follow", "--after", "0", "--limit", "2")
	require.Equal(t, "file.created", followed[0].Get("type").String())
	require.Equal(t, followed[1].Raw, c.objects("events", "--after", followed[0].Get("id").String(), "--limit", "1")[0].Raw)
	out, _ = c.run(exitOK, "get", events[0].Get("id").String())
	require.Regexp(t, `(?m)^type +batch\.completed$`, out)

	c.run(exitOK, "endpoints", "delete", id)
	c.run(exitNotFound, "endpoints", "get", id)
	out, _ = c.run(exitOK, "files", "download", file.Get("id").String())
	require.Equal(t, 3, strings.Count(out, "\n"))
	c.run(exitOK, "files", "delete", file.Get("id").String())
	c.run(exitNotFound, "files", "get", file.Get("id").String())
	require.NotEmpty(t, c.objects("files", "list", "--purpose", "batch_output"))
}

func (c *cli) schedule(endpoint string) string {
	return c.objects("endpoints", "get", endpoint)[0].Get("schedule").Raw
}
