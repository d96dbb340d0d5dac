package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		err  error
		want int
	}{
		{"done", nil, exitOK},
		{"anything else", errors.New("no"), exitFailure},
		{"told already", silentFailure{}, exitFailure},
		{"told already, and why", silentFailure{exitKey}, exitKey},
		{"a wrong command line", usagef("no"), exitUsage},
		{"an unknown command", errors.New(`unknown command "x" for "ringback"`), exitUsage},
		{"no such object", &APIError{Status: 404, Code: "not_found"}, exitNotFound},
		{"kept no longer", &APIError{Status: 410, Code: "expired"}, exitNotFound},
		{"no such path", &APIError{Status: 404, Code: "unknown_url"}, exitFailure},
		{"another server's 404", &APIError{Status: 404}, exitFailure},
		{"a bad end", fmt.Errorf("x: %w", endedf("failed")), exitEnded},
		{"nobody there", awayError{errors.New("refused")}, exitAway},
		{"a failing server", &APIError{Status: 503}, exitAway},
		{"a busy server", &APIError{Status: 429}, exitAway},
		{"no key", &APIError{Status: 401}, exitKey},
		{"a key that may not", &APIError{Status: 403}, exitKey},
		{"a refusal", &APIError{Status: 400, Code: "invalid_value"}, exitFailure},
		{"a conflict", &APIError{Status: 409}, exitFailure},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, exitCode(test.err))
		})
	}
}

func TestExitCodesAreDocumented(t *testing.T) {
	t.Parallel()
	code, out, _ := runCommand(t, "", "help", "exit-codes")
	require.Equal(t, exitOK, code)
	for i, e := range exits {
		require.Equal(t, i, e.code, "the table is in order and has no gap")
		require.Contains(t, out, fmt.Sprintf("\n  %d  %s", e.code, strings.Fields(e.means)[0]))
	}
	_, out, _ = runCommand(t, "", "watch", "--help")
	require.Contains(t, out, "\n  4  What was waited for ended badly")
	require.Contains(t, out, "ringback help exit-codes")
}

// TestCommandsExitAsDocumented: what a server answers decides, whatever the command.
func TestCommandsExitAsDocumented(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status int
		code   string
		want   int
	}{
		{400, "invalid_value", exitFailure},
		{401, "invalid_api_key", exitKey},
		{404, "not_found", exitNotFound},
		{409, "conflict", exitFailure},
		{503, "unavailable", exitAway},
	} {
		t.Run(fmt.Sprint(test.status), func(t *testing.T) {
			t.Parallel()
			server := newFakeServer(t)
			server.before = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("x-should-retry", "false")
				refuse(w, test.status, test.code, "no")
				return true
			}
			for _, line := range []string{
				"list", "get batch_1", "results batch_1", "watch gen_1", "cancel gen_1", "retry batch_1", "pause ftjob-1",
				"endpoints list", "endpoints test " + anEndpoint, "endpoints delete " + anEndpoint, "deliveries get dlv_1",
				"deliveries retry dlv_1", "events", "files list", "files delete file-1", "submit generate --model m --prompt p",
			} {
				code, out, errs := runCommand(t, "", append(strings.Fields(line), "--server", server.URL)...)
				require.Equal(t, test.want, code, "%s: %s", line, errs)
				require.Contains(t, errs, "ringback: the server", line)
				if line != "watch gen_1" {
					require.Empty(t, out, line)
				}
			}
		})
	}
}

func TestSeveralIDsGoOn(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	server.before = func(w http.ResponseWriter, r *http.Request) bool {
		switch r.URL.Path {
		case "/v1/jobs/gen_2/cancel":
			refuse(w, 404, "not_found", "No job found with id 'gen_2'.")
		case "/v1/jobs/gen_3/cancel":
			refuse(w, 409, "conflict", "Cannot cancel it.")
		default:
			writeJSON(w, 200, map[string]string{"id": "gen_1", "status": "cancelled"})
		}
		return true
	}
	code, out, errs := runCommand(t, "", "cancel", "gen_2", "gen_3", "gen_1", "--server", server.URL)
	require.Equal(t, exitNotFound, code, "the first failure's")
	require.Equal(t, "gen_1  cancelled\n", out)
	require.Equal(t, 2, strings.Count(errs, "ringback: gen_"), errs)
}
