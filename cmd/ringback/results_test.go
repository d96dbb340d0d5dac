package main

import (
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// resultsOf answers a batch's results in pieces: each connection but the last
// breaks off in the middle of a line.
func resultsOf(server *fakeServer, lines ...string) {
	var connections atomic.Int32
	server.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v1/batches/batch_1/results" {
			return false
		}
		at := int(connections.Add(1)) - 1
		if r.URL.Query().Get("after") != fmt.Sprint(at) {
			refuse(w, 400, "invalid_value", "wrong place: "+r.URL.RawQuery)
			return true
		}
		fmt.Fprintln(w, lines[at])
		if at == len(lines)-1 {
			return true
		}
		fmt.Fprint(w, `{"custom_id":"cut o`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

func TestResultsGoOnAfterALostConnection(t *testing.T) {
	t.Parallel()
	good, bad := `{"custom_id":"a","response":{"status_code":200},"error":null}`, `{"custom_id":"b","response":{"status_code":400},"error":null}`
	server := newFakeServer(t)
	resultsOf(server, good, bad)
	code, out, errs := runCommand(t, "", "results", "batch_1", "--follow", "--server", server.URL)
	require.Equal(t, exitOK, code, errs)
	require.Equal(t, good+"\n"+bad+"\n", out)
}

func TestFailedLines(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		`{"response":{"status_code":200},"error":null}`:        false,
		`{"response":{"status_code":429},"error":null}`:        true,
		`{"response":null,"error":{"code":"batch_expired"}}`:   true,
		`{"response":{"status_code":200},"error":{"code":""}}`: true,
	} {
		require.Equal(t, want, failedLine([]byte(line+"\n")), line)
	}
}

func TestOutputAppearsWhole(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/out.jsonl"
	server := newFakeServer(t)
	server.before = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "half")
		return true
	}
	code, _, errs := runCommand(t, "", "files", "download", "file-1", "-o", file, "--server", server.URL)
	require.Equal(t, exitFailure, code)
	require.Contains(t, errs, "what came until then is in "+file+".part")
	require.NoFileExists(t, file)
	half, err := os.ReadFile(file + ".part")
	require.NoError(t, err)
	require.Equal(t, "half", string(half))

	code, _, _ = runCommand(t, "", "results", "batch_none", "-o", file, "--server", newFakeServer(t).URL)
	require.NotEqual(t, exitOK, code)
	require.NoFileExists(t, file)
}
