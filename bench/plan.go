package main

import "time"

// plan is how much is measured. All load is bounded by it in count and time.
type plan struct {
	Concurrency   int           `json:"concurrency"` // calls open at once, for Ringback's provider and the bare loop alike
	Lines         int           `json:"lines"`       // of the batch
	Pairs         int           `json:"pairs"`       // of a bare run and a Ringback run
	LargeLines    int           `json:"large_lines"` // of the large file
	LargeLine     int           `json:"large_line_bytes"`
	IdleJobs      int           `json:"idle_generations"`
	Rate          int           `json:"rate"`      // generations a second under load
	Callbacks     int           `json:"callbacks"` // due at once
	LoadFor       time.Duration `json:"load_for_ns"`
	IdleFor       time.Duration `json:"idle_for_ns"`
	CrashLines    int           `json:"crash_lines"`
	Kills         int           `json:"kills"`
	ScaleLines    int           `json:"scale_lines"`  // of the batch of one, two and four workers
	ScaleRounds   int           `json:"scale_rounds"` // of these three
	Deadline      time.Duration `json:"deadline_ns"`
	NeedsHeadroom bool          `json:"needs_headroom"` // fail where the simulator is not fast enough
}

// fullPlan is what the README's table is made with. 4,975 lines of 40,000
// bytes are 199 MB: just below the default limits.batch_bytes.
func fullPlan() plan {
	return plan{
		Concurrency: 64, Lines: 50_000, Pairs: 3, LargeLines: 4_975, LargeLine: 40_000,
		IdleJobs: 200, Rate: 200, LoadFor: 10 * time.Second, IdleFor: 10 * time.Second,
		Callbacks: 10_000, CrashLines: 20_000, Kills: 3, ScaleLines: 12_000, ScaleRounds: 2, Deadline: 15 * time.Minute, NeedsHeadroom: true,
	}
}

// shortPlan goes through everything in seconds. Its numbers mean little, so
// it judges correctness alone.
func shortPlan() plan {
	return plan{
		Concurrency: 64, Lines: 1_000, Pairs: 1, LargeLines: 50, LargeLine: 40_000,
		IdleJobs: 20, Rate: 200, LoadFor: 500 * time.Millisecond, IdleFor: 500 * time.Millisecond,
		Callbacks: 1_000, CrashLines: 1_500, Kills: 1, ScaleLines: 1_000, ScaleRounds: 1, Deadline: 5 * time.Minute,
	}
}

// inFleet is a plan for many processes: the same loads, but fewer runs of each, since all take longer there. A kill of all
// waits for their claims to lapse.
func (p plan) inFleet() plan {
	p.Pairs, p.Kills = 1, 1
	return p
}
