package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"
)

// batchWithin bounds one run of the whole batch, far beyond what is measured.
const batchWithin = 5 * time.Minute

// Run is one way through the whole batch input.
type Run struct {
	LinesPerSecond float64 `json:"lines_per_second"`
	// WithUpload counts from the begin of the upload. 0 for the bare loop.
	WithUpload float64 `json:"lines_per_second_with_upload,omitempty"`
	// CPUPerLine is seconds of CPU a line: the bare loop's process, or serve's
	// from the submission to the callback. SimulatorCPUPerLine is the
	// simulator's beside it.
	CPUPerLine          float64 `json:"cpu_seconds_per_line"`
	SimulatorCPUPerLine float64 `json:"simulator_cpu_seconds_per_line"`
	// Calls is how many the simulator got for the lines.
	Calls int `json:"calls"`
	// PeakMemory is serve's, in bytes, at the end of the run. 0 for the bare loop.
	PeakMemory int64 `json:"peak_memory_bytes,omitempty"`
	// Usage is a fleet's.
	Usage Usage `json:"usage"`
}

// Pair is a bare run and the Ringback run right after it.
type Pair struct {
	Bare     Run     `json:"bare"`
	Ringback Run     `json:"ringback"`
	Share    float64 `json:"share"` // Ringback's lines a second as a share of the bare loop's
}

// measureBatch runs bare and Ringback in turn, so that what else the machine
// does falls on both. Each Ringback run is by a fresh process.
func measureBatch(ctx context.Context, l *lab, result *Result) error {
	for n := range result.Plan.Pairs {
		var pair Pair
		var err error
		if pair.Bare, err = l.bareRun(ctx, result.Plan); err != nil {
			return fmt.Errorf("the bare loop: %w", err)
		}
		if pair.Ringback, err = l.ringbackRun(ctx, result.Plan); err != nil {
			return err
		}
		result.Answered += result.Plan.Lines
		pair.Share = pair.Ringback.LinesPerSecond / pair.Bare.LinesPerSecond
		l.say("pair %d of %d: bare %.0f lines/s, Ringback %.0f, share %.2f",
			n+1, result.Plan.Pairs, pair.Bare.LinesPerSecond, pair.Ringback.LinesPerSecond, pair.Share)
		result.Pairs = append(result.Pairs, pair)
	}
	result.Usage = result.Pairs[len(result.Pairs)-1].Ringback.Usage
	result.summarize()
	return nil
}

func (l *lab) bareRun(ctx context.Context, size plan) (run Run, err error) {
	watch, err := l.watchSimulator()
	if err != nil {
		return run, err
	}
	printed, cpu, err := l.runClient(ctx, "bare", "--base", l.simulator.url, "--in", l.path("input.jsonl"),
		"--out", l.path("bare.jsonl"), "--concurrency", strconv.Itoa(size.Concurrency))
	if err != nil {
		return run, err
	}
	var report bareReport
	if err := json.Unmarshal(printed, &report); err != nil {
		return run, fmt.Errorf("it printed %q: %w", printed, err)
	}
	run.LinesPerSecond = perSecond(size.Lines, report.Elapsed)
	run.CPUPerLine = cpu.Seconds() / float64(size.Lines)
	if err := watch.into(&run, size.Lines); err != nil {
		return run, err
	}
	output, err := os.Open(l.path("bare.jsonl"))
	if err != nil {
		return run, err
	}
	defer output.Close()
	return run, checkOutput(output, size.Lines)
}

func (l *lab) ringbackRun(ctx context.Context, size plan) (run Run, err error) {
	data, err := l.freshData()
	if err != nil {
		return run, err
	}
	defer l.clear(data, &err)
	server, err := l.serve(ctx, data, l.simulator, size.Concurrency)
	if err != nil {
		return run, err
	}
	defer server.close(&err)
	uploading := time.Now()
	file, err := server.upload(server, l.path("input.jsonl"))
	if err != nil {
		return run, err
	}
	watch, err := l.watchSimulator()
	if err != nil {
		return run, err
	}
	before, err := server.cpu()
	if err != nil {
		return run, err
	}
	usage, err := l.watchUsage(ctx, server)
	if err != nil {
		return run, err
	}
	submitting := time.Now()
	id, came, err := l.submit(server, file, size.Lines)
	if err != nil {
		return run, err
	}
	after, err := server.cpu()
	if err != nil {
		return run, err
	}
	if run.Usage, err = usage.end(ctx); err != nil {
		return run, err
	}
	run.LinesPerSecond = perSecond(size.Lines, came.Sub(submitting))
	run.WithUpload = perSecond(size.Lines, came.Sub(uploading))
	run.CPUPerLine = (after - before).Seconds() / float64(size.Lines)
	if err := watch.into(&run, size.Lines); err != nil {
		return run, err
	}
	if err := server.checkBatch(id, size.Lines); err != nil {
		return run, err
	}
	run.PeakMemory, err = server.peakMemory()
	return run, err
}

// submit creates a batch of an uploaded file and waits for its callback. The
// clock of the caller runs from before the submission is sent to the time at
// which the callback arrived.
func (l *lab) submit(server *serveProcess, file string, lines int) (id string, came time.Time, err error) {
	ctx, cancel := within(server, batchWithin, fmt.Sprintf("the end of a batch of %d lines", lines))
	defer cancel()
	hook, arrivals := l.receiver.expect()
	created, err := server.createBatch(ctx, file, hook)
	if err != nil {
		return "", time.Time{}, err
	}
	if came, err = await(ctx, arrivals, "batch.completed", created.ID); err != nil {
		return "", came, fmt.Errorf("%w; %s", err, server.explain(created.ID))
	}
	return created.ID, came, nil
}

// simulatorWatch is the simulator's state before a run.
type simulatorWatch struct {
	*simulatorProcess
	cpuBefore   time.Duration
	callsBefore int
}

func (l *lab) watchSimulator() (w simulatorWatch, err error) {
	w.simulatorProcess = l.simulator
	if w.callsBefore, err = w.calls(); err != nil {
		return w, err
	}
	w.cpuBefore, err = w.cpu()
	return w, err
}

// into records what the simulator did for the run. Fewer calls than lines
// would mean that answers were made up.
func (w simulatorWatch) into(run *Run, lines int) error {
	cpu, err := w.cpu()
	if err != nil {
		return err
	}
	calls, err := w.calls()
	if err != nil {
		return err
	}
	run.Calls = calls - w.callsBefore
	run.SimulatorCPUPerLine = (cpu - w.cpuBefore).Seconds() / float64(lines)
	if run.Calls < lines {
		return fmt.Errorf("the simulator got %d calls for %d lines", run.Calls, lines)
	}
	return nil
}
