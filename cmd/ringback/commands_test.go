package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSubmitBatch(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	code, out, errs := runCommand(t, "", "submit", "batch", batchFile(t, 9), "--server", server.URL, "--key", "k",
		"--webhook", "http://127.0.0.1:1/x", "--method", "put", "--header", "X-Token: a: b", "--metadata", "team=one",
		"--name", "nightly", "--endpoint-id", "e1,e2", "--run-at", "2027-01-25T06:00:00Z", "--priority", "low", "--watch")
	require.Equal(t, exitOK, code, errs)
	require.Contains(t, out, "accepted   batch_1")
	require.Contains(t, out, "in_progress  3/9")
	require.Contains(t, out, "completed  9/9")
	require.Contains(t, out, "output     file-out")
	require.JSONEq(t, `{"input_file_id":"file-in","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"team":"one","name":"nightly"},
		"webhook_ids":["e1","e2"],"run_at":"2027-01-25T06:00:00Z","priority":"low",
		"webhook":{"url":"http://127.0.0.1:1/x","method":"PUT","headers":{"X-Token":"a: b"}}}`,
		string(server.sent("POST", "/v1/batches")[0].Body))
}

func TestSubmitBatchAsJSON(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	code, out, _ := runCommand(t, "", "submit", "batch", batchFile(t, 9), "--server", server.URL, "--watch", "--json")
	require.Equal(t, exitOK, code)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.GreaterOrEqual(t, len(lines), 4)
	for _, line := range lines {
		require.True(t, json.Valid([]byte(line)), line)
	}
	require.Contains(t, lines[len(lines)-1], `"output_file_id":"file-out"`)
}

func TestWatchTellsHowItEnded(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	server.status = "failed"
	code, _, errs := runCommand(t, "", "submit", "batch", batchFile(t, 9), "--server", server.URL, "--watch")
	require.Equal(t, exitEnded, code)
	require.Equal(t, "ringback: batch_1 ended as failed: line 7: This line is not parseable as valid JSON. (and 1 more)\n", errs)

	code, out, _ := runCommand(t, "", "get", "batch_1", "--watch", "--server", server.URL)
	require.Equal(t, exitEnded, code)
	require.Regexp(t, `status +failed`, out)
}

func TestSubmitGenerate(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	code, out, errs := runCommand(t, "How fast?\n", "submit", "generate", "--server", server.URL,
		"--model", "sim-small", "--param", "max_tokens=12345678901234567890", "--watch")
	require.Equal(t, exitOK, code, errs)
	require.Equal(t, "40 mph\n", out, "stdout holds the answer alone")
	require.Contains(t, errs, "completed")
	require.JSONEq(t, `{"model":"sim-small","input":"How fast?\n","max_tokens":12345678901234567890}`, string(server.sent("POST", "/v1/generate")[0].Body))
}

func TestGet(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	_, _, _ = runCommand(t, "", "submit", "generate", "--server", server.URL, "--model", "m", "--prompt", "p")
	code, out, _ := runCommand(t, "", "get", "gen_1", "--server", server.URL+"/v1")
	require.Equal(t, exitOK, code)
	require.Regexp(t, `model_output +40 mph`, out)

	code, out, _ = runCommand(t, "", "get", "file-out", "--content", "--server", server.URL)
	require.Equal(t, exitOK, code)
	require.Equal(t, 3, strings.Count(out, "\n"))

	code, _, errs := runCommand(t, "", "get", "batch_none", "--server", server.URL)
	require.Equal(t, exitNotFound, code)
	require.Equal(t, "ringback: the server refused (404 not_found, id): No batch found with id 'batch_none'.\n", errs)
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	file := batchFile(t, 1)
	for _, args := range []string{
		"nonsense", "version extra", "--nonsense", "submit", "submit batch", "submit nonsense", "get", "get thing_1",
		"submit batch " + file + " --header X:1", "submit batch " + file + " --webhook http://x --header nonsense",
		"submit batch " + file + " --webhook http://x --method GET", "submit batch " + file + " --metadata nonsense",
		"submit batch " + file + " --server nonsense", "submit generate --prompt x", "submit generate --model m",
		"submit generate --model m --prompt x --param a=b", "get gen_1 --content", "get file-1 --watch", "simulate --fail 2",
		"submit fine-tune " + file, "submit fine-tune " + file + " --model m --epochs many", "submit generate --model m --prompt x --run-at soon",
		"watch file-1", "watch nonsense", "cancel", "cancel dlv_1", "retry gen_1", "retry dlv_1", "pause batch_1", "results file-1",
		"results gen_1 --failed", "list --limit -1", "list extra", "endpoints", "endpoints nonsense", "endpoints get gen_1",
		"endpoints update " + anEndpoint, "endpoints replay " + anEndpoint, "endpoints replay " + anEndpoint + " --event evt_1 --all",
		"endpoints add https://a.example --header nonsense", "deliveries", "deliveries retry-all", "deliveries get gen_1",
		"deliveries list --since nonsense", "events --types batch.nonsense", "events --limit -1", "files", "files delete gen_1",
		"files upload file-none", "files upload " + file + " --expires-after soon", "files download file-1 --json",
	} {
		code, out, errs := runCommand(t, "", strings.Fields(args)...)
		require.Equal(t, exitUsage, code, "%s: %s", args, errs)
		require.Empty(t, out, args)
		require.True(t, strings.HasPrefix(errs, "ringback: "), errs)
	}
}

func TestFailuresBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	code, _, errs := runCommand(t, "", "submit", "batch", "/nowhere/x.jsonl", "--server", "http://127.0.0.1:1")
	require.Equal(t, exitFailure, code)
	require.Contains(t, errs, "/nowhere/x.jsonl")

	code, _, errs = runCommand(t, "", "submit", "batch", written(t, "not JSON\n"), "--server", "http://127.0.0.1:1")
	require.Equal(t, exitFailure, code)
	require.Contains(t, errs, "name the path with --endpoint")
}

func TestConfigAndVersion(t *testing.T) {
	t.Parallel()
	code, out, errs := runCommand(t, "", "config", "--set", "auth.keys=[canary]")
	require.Equal(t, exitOK, code)
	require.Contains(t, out, `- "***"`)
	require.NotContains(t, out+errs, "canary")
	require.Contains(t, errs, "warning: auth.keys[0]: ")

	code, _, errs = runCommand(t, "", "config", "--set", "log.levle=info")
	require.Equal(t, exitFailure, code)
	require.Equal(t, "ringback: configuration: log.levle: unknown key in --set; log.level is meant?\n", errs)

	code, out, _ = runCommand(t, "", "version")
	require.Equal(t, exitOK, code)
	require.Regexp(t, `^ringback .*go1\.`, out)
}
