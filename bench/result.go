package main

import (
	"errors"
	"fmt"
	"slices"
)

// Report is one run of the bench: a result for each mode. Its JSON is what --json writes.
type Report struct {
	Results []Result `json:"results"`
}

func (r *Report) verdict() error {
	var wrong []error
	for i := range r.Results {
		if err := r.Results[i].verdict(); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", r.Results[i].Mode, err))
		}
	}
	return errors.Join(wrong...)
}

// Result is what one mode came to. Times are
// in the unit that the key names; CPU is in seconds of one core.
type Result struct {
	Mode     string   `json:"mode"` // embedded or fleet
	Machine  Machine  `json:"machine"`
	Plan     plan     `json:"plan"`
	Capacity Capacity `json:"simulator"`
	Pairs    []Pair   `json:"pairs"`
	Usage    Usage    `json:"usage"` // of a fleet, during the last batch
	Scaling  Scaling  `json:"scaling"`
	// Share, Bare and Ringback are medians over the pairs; PeakMemory is the
	// highest.
	Share    float64 `json:"share"`
	Bare     Run     `json:"bare"`
	Ringback Run     `json:"ringback"`
	Large    Memory  `json:"large_file"`
	Idle     Latency `json:"generation_idle"`
	IdleCPU  float64 `json:"idle_cpu_share"` // of one core, 0 to 1
	Loaded   Latency `json:"generation_loaded"`
	Backlog  Backlog `json:"callback_backlog"`
	Crash    Crash   `json:"crash"`

	// Answered is how many lines Ringback's output files have been found to
	// hold, each exactly once and with status 200. Any other line ends the run.
	Answered  int   `json:"lines_answered"`
	Callbacks tally `json:"callbacks"`
}

// summarize takes the medians over the pairs.
func (r *Result) summarize() {
	over := func(pick func(Pair) float64) float64 {
		var values []float64
		for _, pair := range r.Pairs {
			values = append(values, pick(pair))
		}
		return median(values)
	}
	runs := func(pick func(Pair) Run) (run Run) {
		run.LinesPerSecond = over(func(p Pair) float64 { return pick(p).LinesPerSecond })
		run.WithUpload = over(func(p Pair) float64 { return pick(p).WithUpload })
		run.CPUPerLine = over(func(p Pair) float64 { return pick(p).CPUPerLine })
		run.SimulatorCPUPerLine = over(func(p Pair) float64 { return pick(p).SimulatorCPUPerLine })
		for _, pair := range r.Pairs {
			run.Calls = max(run.Calls, pick(pair).Calls)
			run.PeakMemory = max(run.PeakMemory, pick(pair).PeakMemory)
		}
		return run
	}
	r.Share = over(func(p Pair) float64 { return p.Share })
	r.Bare = runs(func(p Pair) Run { return p.Bare })
	r.Ringback = runs(func(p Pair) Run { return p.Ringback })
	r.Capacity.OverRingback = r.Capacity.Alone / r.Ringback.LinesPerSecond
	r.Capacity.OverBare = r.Capacity.Alone / r.Bare.LinesPerSecond
}

// verdict is an error that names all that was wrong. What was not answered or
// not called back has ended the run before; this is what only the end shows.
func (r *Result) verdict() error {
	var wrong []error
	for _, refused := range r.Callbacks.Refused {
		wrong = append(wrong, errors.New(refused))
	}
	if r.Answered != r.lines() {
		wrong = append(wrong, fmt.Errorf("%d lines were submitted, %d answered", r.lines(), r.Answered))
	}
	if r.Callbacks.Verified != r.Callbacks.Expected {
		wrong = append(wrong, fmt.Errorf("%d callbacks were owed, %d came and verified", r.Callbacks.Expected, r.Callbacks.Verified))
	}
	if r.Crash.Repeated > r.Crash.Bound {
		wrong = append(wrong, fmt.Errorf("%d calls were repeated after kill -9, the design allows %d", r.Crash.Repeated, r.Crash.Bound))
	}
	if r.Plan.NeedsHeadroom && r.Capacity.OverRingback < leastHeadroom {
		wrong = append(wrong, fmt.Errorf("the simulator alone serves %.1f times what is measured; below %d the simulator is measured, not Ringback",
			r.Capacity.OverRingback, leastHeadroom))
	}
	return errors.Join(wrong...)
}

// median of an even number of values is the mean of the middle two.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
