package main

import (
	"context"
	"runtime"
	"time"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/metrics"
	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/store"
)

// openMetrics makes the numbers before the parts that are counted. What is read at a scrape is there by then: the HTTP server
// starts last.
func (a *app) openMetrics(context.Context) error {
	a.metrics = metrics.New(metrics.Options{
		Version: version(), GoVersion: runtime.Version(), Now: time.Now,
		Sources: metrics.Sources{
			Jobs: a.unfinished, OldestDue: a.oldestDue, ShutGates: a.shutGates, Waiting: a.waiting,
			Lanes: a.lanes, Providers: a.traffic, Callbacks: a.sending, Heartbeat: func() time.Duration { return a.presence.Age() },
		},
	})
	return nil
}

// storeMeter joins what the store commits with its numbers, and with the history.
func (a *app) storeMeter() store.Meter {
	return store.Meter{
		Committed: a.metrics.Committed,
		Ended: func(j *jobs.Job, took time.Duration) {
			a.metrics.JobEnded(string(j.Kind), string(j.Status))
			a.history.JobEnded(j, took)
		},
		Lines:      func(set int, fresh jobs.Tally) { a.metrics.LinesKept(set, fresh.Completed, fresh.Failed) },
		Deliveries: a.metrics.DeliveriesEnded,
		Answered:   a.history.Lines, Attempted: a.attempted, GaveUp: a.gaveUp,
	}
}

func (a *app) called(provider string) func(string, providers.Kind, time.Duration) {
	count := a.metrics.Calls(provider)
	return func(project string, outcome providers.Kind, took time.Duration) {
		count(string(outcome), took)
		if series := callSeries(outcome); series != "" {
			a.history.Call(project, series, provider, took)
		}
	}
}

func (a *app) unfinished(ctx context.Context) ([]metrics.Jobs, error) {
	counts, err := a.store.Unfinished(ctx)
	all := make([]metrics.Jobs, len(counts))
	for i, c := range counts {
		all[i] = metrics.Jobs{Kind: string(c.Kind), Status: string(c.Status), N: c.N}
	}
	return all, err
}

func (a *app) oldestDue(ctx context.Context) (map[string]time.Duration, error) {
	return a.store.OldestDue(ctx)
}

func (a *app) shutGates(ctx context.Context) (int64, error) { return a.store.ShutGates(ctx) }

func (a *app) waiting(ctx context.Context) (map[string]int64, error) { return a.queue.Waiting(ctx) }

func (a *app) lanes() []metrics.Lane {
	names := []string{jobs.LaneBatches, jobs.LaneCalls, jobs.LaneShards, jobs.LaneDeliveries}
	all := make([]metrics.Lane, len(names))
	for i, name := range names {
		s := a.queue.Stats(name)
		all[i] = metrics.Lane{
			Name: name, Busy: s.Busy, Workers: s.Workers, Window: s.Window,
			Dropped: s.Dropped, Malformed: s.Malformed, Panics: s.Panics,
		}
	}
	return all
}

func (a *app) traffic() []metrics.Provider {
	var all []metrics.Provider
	for _, t := range a.runner.Traffic() {
		all = append(all, metrics.Provider{Name: t.Provider, Calls: t.Calls, Waiting: t.Waiting, Down: t.Down})
	}
	return all
}

func (a *app) sending() metrics.Callbacks {
	s := a.sender.Stats()
	return metrics.Callbacks{InHand: s.InHand, Room: s.Room, Gates: s.Gates}
}
