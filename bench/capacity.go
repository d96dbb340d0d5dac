package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// leastHeadroom is how many times faster than what is measured the simulator
// has to be, so that the measurement is not one of the simulator.
const leastHeadroom = 3

// Capacity is what the simulator serves when nothing but a raw client calls it.
//
// The client has to run somewhere: on a machine of few cores it takes time
// from the simulator that a machine of its own would not. So two numbers are
// given. Seen is calls by the clock, client and simulator side by side: the
// lower one. PerCore is calls by the simulator's own CPU time, and Alone is
// that times the cores: what it serves with the machine to itself. Headroom
// is judged by Alone, which is what "alone" says; it leaves out what the
// kernel charges to neither process.
type Capacity struct {
	Calls   int     `json:"calls"`
	Seen    float64 `json:"seen_per_second"`
	PerCore float64 `json:"per_core_second"`
	Alone   float64 `json:"alone_per_second"`
	// Against what the batch measurement found, both clients.
	OverRingback float64 `json:"over_ringback"`
	OverBare     float64 `json:"over_bare"`
}

func measureCapacity(ctx context.Context, l *lab, result *Result) error {
	size := result.Plan
	questions, err := readQuestions()
	if err != nil {
		return err
	}
	if err := writeInput(l.path("input.jsonl"), size.Lines, questions); err != nil {
		return err
	}
	before, err := l.simulator.cpu()
	if err != nil {
		return err
	}
	printed, _, err := l.runClient(ctx, "load", "--address", strings.TrimPrefix(l.simulator.url, "http://"),
		"--in", l.path("input.jsonl"), "--calls", strconv.Itoa(size.Lines), "--concurrency", strconv.Itoa(size.Concurrency))
	if err != nil {
		return err
	}
	after, err := l.simulator.cpu()
	if err != nil {
		return err
	}
	var report loadReport
	if err := json.Unmarshal(printed, &report); err != nil {
		return fmt.Errorf("the load client printed %q: %w", printed, err)
	}
	used := max(after-before, clockTick)
	result.Capacity = Capacity{
		Calls:   report.Calls,
		Seen:    perSecond(report.Calls, report.Elapsed),
		PerCore: perSecond(report.Calls, used),
		Alone:   perSecond(report.Calls, used) * float64(runtime.NumCPU()),
	}
	return nil
}

func perSecond(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }
