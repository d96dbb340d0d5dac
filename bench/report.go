package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// write prints the table, and writes the JSON where it is asked for.
func write(result Report, jsonPath string, stdout io.Writer) error {
	if jsonPath == "-" {
		return writeJSON(result, stdout)
	}
	if err := writeTable(result, stdout); err != nil || jsonPath == "" {
		return err
	}
	file, err := os.Create(jsonPath)
	if err != nil {
		return err
	}
	return errors.Join(writeJSON(result, file), file.Close())
}

func writeJSON(result Report, w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(result)
}

// writeTable gives each mode a column; the goals stand in the last one, and with a fleet what bounds it there.
func writeTable(report Report, w io.Writer) error {
	head := []string{"measured"}
	var rows [][]string
	for i, r := range report.Results {
		name := "value"
		if len(report.Results) > 1 || r.Mode == modeFleet {
			name = r.Mode
		}
		head = append(head, name)
		for j, row := range slices.Concat(batchRows(r), callbackRows(r), otherRows(r)) {
			if i == 0 {
				rows = append(rows, []string{row[0]})
			}
			rows[j] = append(rows[j], row[1])
			if i == len(report.Results)-1 {
				rows[j] = append(rows[j], row[2])
			}
		}
	}
	last := report.Results[len(report.Results)-1]
	text := formatTable(append(head, "goal"), rows) + footnotes(report.Results[0])
	if last.Mode == modeFleet {
		text = formatTable(append(head, "goal"), rows) + "\n" + formatTable([]string{"fleet", "value", "goal", "bounded by"}, fleetRows(last)) + footnotes(report.Results[0]) + fleetNotes(last)
	}
	_, err := io.WriteString(w, text)
	return err
}

func fleetRows(r Result) [][]string {
	s := r.Scaling
	rows := [][]string{{
		fmt.Sprintf("batch of %s lines, %d workers [9]", thousands(r.Plan.Lines), fleetWorkers), fmt.Sprintf("%.0f lines/s", r.Ringback.LinesPerSecond),
		"", r.Usage.cap(),
	}}
	for _, workers := range []int{1, 2, 4} {
		goal, bound := map[int]string{1: "", 2: "at most 0.55", 4: "at most 0.3"}[workers], ""
		if workers == 4 {
			bound = s.Usage.cap()
		}
		rows = append(rows, []string{
			fmt.Sprintf("%s lines, upstream of %s, %d calls a worker, workers: %d [10]", thousands(s.Lines), scalingTTFT, scalingEach, workers),
			fmt.Sprintf("%.2f s, %.2f of one worker's", s.Seconds[workers], s.share(workers)), goal, bound,
		})
	}
	return rows
}

func fleetNotes(r Result) string {
	return fmt.Sprintf(`
9. An API and workers, PostgreSQL (fsync on), Redis and an S3 server on the same machine. Of all cores meanwhile: %s. PostgreSQL committed %.0f times a second; with the machine to itself and %d clients that write a row each, %.0f. One pair, one kill; after the kill of all processes their claims must lapse first (15 s).
10. Best of %d rounds in turns; %d slots in all. Of all cores with four workers: %s.
`, r.Usage, r.Usage.Commits, commitClients, r.Usage.Alone, r.Plan.ScaleRounds, scalingSlots, r.Scaling.Usage)
}

func batchRows(r Result) [][]string {
	lines := thousands(r.Plan.Lines)
	return [][]string{
		{"batch of " + lines + " lines, Ringback [1]", fmt.Sprintf("%.0f lines/s (%.0f with the upload)", r.Ringback.LinesPerSecond, r.Ringback.WithUpload), ""},
		{"the same file, bare Go client loop [2]", fmt.Sprintf("%.0f lines/s", r.Bare.LinesPerSecond), ""},
		{"Ringback's share of the bare loop [3]", fmt.Sprintf("%.2f %s", r.Share, shares(r.Pairs)), "0.7"},
		{"CPU seconds a line, Ringback", fmt.Sprintf("%.6f", r.Ringback.CPUPerLine), ""},
		{"CPU seconds a line, bare loop", fmt.Sprintf("%.6f", r.Bare.CPUPerLine), ""},
		{"simulator alone [4]", fmt.Sprintf("%.0f calls/s", r.Capacity.Alone), ""},
		{"simulator alone / Ringback", fmt.Sprintf("%.1f", r.Capacity.OverRingback), "at least 3"},
		{"simulator alone / bare loop", fmt.Sprintf("%.1f", r.Capacity.OverBare), ""},
		{"memory high-water, " + lines + " lines", megabytes(r.Ringback.PeakMemory), "below 150 MB"},
	}
}

func callbackRows(r Result) [][]string {
	b := r.Backlog
	return [][]string{
		{fmt.Sprintf("%s callbacks due at once, Ringback [5]", thousands(b.Events)), fmt.Sprintf("%.0f callbacks/s", b.Ringback.PerSecond), ""},
		{"the same, bare loop that signs and posts [6]", fmt.Sprintf("%.0f callbacks/s", b.Bare.PerSecond), ""},
		{"Ringback's share of that bare loop [3]", fmt.Sprintf("%.2f %s", b.Share, callbackShares(b.Pairs)), "at least 0.2"},
		{"CPU seconds a callback, Ringback", fmt.Sprintf("%.6f", b.Ringback.CPUPerCallback), ""},
		{"CPU seconds a callback, bare loop", fmt.Sprintf("%.6f", b.Bare.CPUPerCallback), ""},
		{fmt.Sprintf("each to %d endpoints, Ringback", spreadOver), fmt.Sprintf("%.0f callbacks/s", b.Spread.PerSecond), ""},
	}
}

func otherRows(r Result) [][]string {
	slowest := 0.0
	for _, kill := range r.Crash.Kills {
		slowest = max(slowest, kill.ToResumed)
	}
	return [][]string{
		{fmt.Sprintf("memory high-water, file of %s", megabytes(r.Large.FileBytes)), megabytes(r.Large.Peak), ""},
		{"generation to callback, idle", latencyText(r.Idle), "p50 10 ms"},
		{fmt.Sprintf("generation to callback, %d a second [7]", r.Plan.Rate), latencyText(r.Loaded), ""},
		{fmt.Sprintf("CPU while idle, %s", r.Plan.IdleFor), fmt.Sprintf("%.2f %% of a core", 100*r.IdleCPU), "1 %"},
		{"kill -9, restart to first resumed line [8]", fmt.Sprintf("%.0f ms, slowest of %d", slowest, len(r.Crash.Kills)), "5,000 ms"},
		{"calls repeated after kill -9 [8]", fmt.Sprintf("%d of %s lines", r.Crash.Repeated, thousands(r.Crash.Lines)), fmt.Sprintf("at most %s", thousands(r.Crash.Bound))},
		{"lines answered exactly once, status 200", fmt.Sprintf("%s of %s", thousands(r.Answered), thousands(r.lines())), "all"},
		{"callbacks verified", fmt.Sprintf("%s of %s", thousands(r.Callbacks.Verified), thousands(r.Callbacks.Expected)), "all"},
	}
}

// lines is all that Ringback was given.
func (r *Result) lines() int {
	return r.Plan.Lines*r.Plan.Pairs + r.Large.Lines + r.Crash.Lines + len(r.Scaling.Seconds)*r.Scaling.Lines*r.Plan.ScaleRounds
}

func footnotes(r Result) string {
	return fmt.Sprintf(`
1. From the submission to the callback at the receiver; serve, simulator and receiver share the machine. Concurrency %d.
2. net/http with kept connections: posts each body, reads the whole answer, writes a line, one fsync at the end. Same concurrency, a process of its own. It keeps no state and cannot resume.
3. Median of %d interleaved pairs (each in brackets).
4. Calls by the simulator's own CPU time (%.0f for each second of a core) times %d cores, under a raw client with %d connections: what it serves with the machine to itself. By the clock, with that client beside it on the same cores, it served %.0f calls/s.
5. Replayed to a registered endpoint: from the request to the last attempt on record. Default settings, one endpoint. Bodies of %d bytes.
6. net/http with kept connections, %d at once: an HMAC and an ed25519 signature, a POST. Same bodies, same receiver, a process of its own. It keeps no record and tries once.
7. Open loop for %s; counted from the time at which each was due.
8. %s lines, upstream with %s to the first token; killed %d times. Bound: calls in flight and one flush for each kill. The first resumed line is seen by polling each %s.

%s
`, r.Plan.Concurrency, len(r.Pairs), r.Capacity.PerCore, r.Machine.Cores, r.Plan.Concurrency, r.Capacity.Seen,
		r.Backlog.BodyBytes, r.Plan.Concurrency, r.Plan.LoadFor, thousands(r.Crash.Lines), crashTTFT, len(r.Crash.Kills), pollEvery, r.machineLine())
}

func (r *Result) machineLine() string {
	return r.Machine.String() + "; `" + r.Machine.Command + "`"
}
