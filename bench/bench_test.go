package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// buildBench gives the program as `go run ./bench` would run it.
func buildBench(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "bench")
	out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	return program
}

// benchIn runs the bench with its temporary files in a folder of the test's.
func benchIn(t *testing.T, program, folder string, args ...string) (cmd *exec.Cmd, stdout *bytes.Buffer) {
	t.Helper()
	stdout = new(bytes.Buffer)
	cmd = exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+folder)
	cmd.Stdout = stdout
	return cmd, stdout
}

// openFolder is one that a server which runs as somebody else may enter too.
func openFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, dir := range []string{filepath.Dir(folder), folder} {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
	return folder
}

// requireNothingLeft checks that no file and no process of a run is left. What
// a run starts has a path in its folder on its command line.
func requireNothingLeft(t *testing.T, folder string) {
	t.Helper()
	left, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Empty(t, left)
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	require.NotEmpty(t, commands)
	for _, path := range commands {
		if text, err := os.ReadFile(path); err == nil { // the process may have ended meanwhile
			require.NotContains(t, string(text), folder)
		}
	}
}

func TestShortRunMeasuresEverything(t *testing.T) {
	t.Parallel()
	program, folder := buildBench(t), openFolder(t)
	path := filepath.Join(t.TempDir(), "result.json")
	cmd, stdout := benchIn(t, program, folder, "--short", "--json", path)
	var progress bytes.Buffer
	cmd.Stderr = &progress
	require.NoError(t, cmd.Run(), "%s%s", &progress, stdout)

	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var report Report
	require.NoError(t, json.Unmarshal(text, &report))
	require.Len(t, report.Results, 2)
	for i, size := range []plan{shortPlan(), shortPlan().inFleet()} {
		requireMeasured(t, report.Results[i], size)
	}
	require.Positive(t, report.Results[1].Usage.Alone)
	require.Positive(t, report.Results[1].Usage.Shares["PostgreSQL"])
	for _, workers := range []int{1, 2, 4} {
		require.Positive(t, report.Results[1].Scaling.Seconds[workers])
	}
	table := stdout.String()
	require.True(t, strings.HasPrefix(table, "| measured "), table)
	require.Contains(t, table, "go run ./bench --short --json")
	require.Contains(t, table, "| 1,000 callbacks due at once, Ringback [5] ")
	require.Contains(t, table, "| bounded by ")
	requireNothingLeft(t, folder)
}

func requireMeasured(t *testing.T, result Result, size plan) {
	t.Helper()
	require.Equal(t, size, result.Plan)
	require.Len(t, result.Pairs, size.Pairs)
	require.Equal(t, result.lines(), result.Answered)
	many := size.Callbacks * (size.Pairs + spreadOver)
	require.Equal(t, size.Pairs+2+size.IdleJobs+result.Loaded.Count+many+len(result.Scaling.Seconds)*size.ScaleRounds, result.Callbacks.Verified)
	require.Equal(t, result.Callbacks.Expected, result.Callbacks.Verified)
	require.Len(t, result.Crash.Kills, size.Kills)
	require.Greater(t, result.Crash.Kills[0].AtLine, 0)
	require.GreaterOrEqual(t, result.Pairs[0].Bare.Calls, size.Lines)
	require.Equal(t, size.Callbacks, result.Backlog.Events)
	require.Len(t, result.Backlog.Pairs, size.Pairs)
	for name, value := range map[string]float64{
		"share": result.Share, "capacity": result.Capacity.Alone, "headroom": result.Capacity.OverRingback,
		"CPU": result.Ringback.CPUPerLine, "bare CPU": result.Bare.CPUPerLine, "idle": result.Idle.P50, "loaded": result.Loaded.P99,
		"memory": float64(result.Ringback.PeakMemory), "large memory": float64(result.Large.Peak),
		"callbacks": result.Backlog.Ringback.PerSecond, "callback CPU": result.Backlog.Ringback.CPUPerCallback,
		"bare callbacks": result.Backlog.Bare.PerSecond, "bare callback CPU": result.Backlog.Bare.CPUPerCallback,
		"callback share": result.Backlog.Share, "spread": result.Backlog.Spread.PerSecond, "body": float64(result.Backlog.BodyBytes),
		"resumed": result.Crash.Kills[0].ToResumed,
	} {
		require.Positive(t, value, name)
	}
}

func TestInterruptStopsWhatWasStarted(t *testing.T) {
	t.Parallel()
	program, folder := buildBench(t), openFolder(t)
	cmd, stdout := benchIn(t, program, folder)
	progress, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	words := make(chan string, 1)
	go func() {
		var all []byte
		interrupted := false
		buffer := make([]byte, 4096)
		for {
			n, err := progress.Read(buffer)
			all = append(all, buffer[:n]...)
			if !interrupted && bytes.Contains(all, []byte("the simulator alone")) {
				interrupted = true
				_ = cmd.Process.Signal(syscall.SIGINT)
			}
			if err != nil {
				words <- string(all)
				return
			}
		}
	}()
	var said string
	select {
	case said = <-words:
	case <-time.After(2 * time.Minute):
		t.Fatal("the bench did not end after SIGINT")
	}
	require.Error(t, cmd.Wait())
	require.Equal(t, 1, cmd.ProcessState.ExitCode(), said)
	require.Contains(t, said, "bench: embedded: the simulator alone: interrupt")
	require.Empty(t, stdout.String())
	requireNothingLeft(t, folder)
}
