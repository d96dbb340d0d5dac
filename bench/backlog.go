package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

const (
	backlogWithin = 3 * time.Minute
	backlogEvent  = "generation.completed"
	// spreadOver is over how many endpoints the last run spreads its callbacks.
	spreadOver = 4
)

// Backlog is how fast callbacks go out when many are due at once: past events
// replayed to an endpoint that has had none of them.
type Backlog struct {
	Events    int           `json:"events"`
	BodyBytes int           `json:"body_bytes"` // of an event, on average
	Pairs     []BacklogPair `json:"pairs"`
	// Share, Bare and Ringback are medians over the pairs.
	Share    float64    `json:"share"`
	Bare     BacklogRun `json:"bare"`
	Ringback BacklogRun `json:"ringback"`
	// Spread is one run to several endpoints, each of which gets every event.
	Spread BacklogRun `json:"spread"`
}

// BacklogRun is one way through the callbacks.
type BacklogRun struct {
	Callbacks int     `json:"callbacks"`
	PerSecond float64 `json:"callbacks_per_second"`
	// CPUPerCallback is seconds of CPU a callback: the bare loop's process, or
	// serve's from the replay to the last record.
	CPUPerCallback float64 `json:"cpu_seconds_per_callback"`
}

// BacklogPair is a bare run and the Ringback run right after it.
type BacklogPair struct {
	Bare     BacklogRun `json:"bare"`
	Ringback BacklogRun `json:"ringback"`
	Share    float64    `json:"share"` // Ringback's callbacks a second as a share of the bare loop's
}

// measureBacklog makes the events once, by generations that nobody is called
// back for. The bare loop posts the same bodies.
func measureBacklog(ctx context.Context, l *lab, result *Result) (err error) {
	data, err := l.freshData()
	if err != nil {
		return err
	}
	defer l.clear(data, &err)
	server, err := l.serve(ctx, data, l.simulator, result.Plan.Concurrency)
	if err != nil {
		return err
	}
	defer server.close(&err)
	if result.Backlog, err = l.makeBacklog(server, result.Plan); err != nil {
		return fmt.Errorf("make events: %w", err)
	}
	for range result.Plan.Pairs {
		if err := l.backlogPair(ctx, server, result); err != nil {
			return err
		}
	}
	result.Backlog.summarize()
	if result.Backlog.Spread, err = l.replayRun(server, result.Backlog.Events, spreadOver); err != nil {
		return fmt.Errorf("%d endpoints: %w", spreadOver, err)
	}
	l.say("to %d endpoints: Ringback %.0f callbacks/s", spreadOver, result.Backlog.Spread.PerSecond)
	return nil
}

func (l *lab) backlogPair(ctx context.Context, server *serveProcess, result *Result) (err error) {
	var pair BacklogPair
	if pair.Bare, err = l.bareCallbacks(ctx, result.Backlog.Events, result.Plan.Concurrency); err != nil {
		return fmt.Errorf("the bare loop: %w", err)
	}
	if pair.Ringback, err = l.replayRun(server, result.Backlog.Events, 1); err != nil {
		return err
	}
	pair.Share = pair.Ringback.PerSecond / pair.Bare.PerSecond
	result.Backlog.Pairs = append(result.Backlog.Pairs, pair)
	l.say("pair %d of %d: bare %.0f callbacks/s, Ringback %.0f, share %.2f",
		len(result.Backlog.Pairs), result.Plan.Pairs, pair.Bare.PerSecond, pair.Ringback.PerSecond, pair.Share)
	return nil
}

// bareCallbacks posts what makeBacklog wrote down.
func (l *lab) bareCallbacks(ctx context.Context, events, workers int) (run BacklogRun, err error) {
	s, hook := l.receiver.open(events)
	defer l.receiver.shut(s)
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(rand.Text()))
	s.trust(secret)
	printed, cpu, err := l.runClient(ctx, "post", "--url", hook, "--secret", secret,
		"--in", l.path("events.jsonl"), "--concurrency", strconv.Itoa(workers))
	if err != nil {
		return run, err
	}
	var report bareReport
	if err := json.Unmarshal(printed, &report); err != nil {
		return run, fmt.Errorf("it printed %q: %w", printed, err)
	}
	if counts := s.tally(); counts.Verified != events {
		return run, fmt.Errorf("of its %d callbacks %d came and verified: %s", events, counts.Verified, counts.Refused)
	}
	return backlogRun(events, report.Elapsed, cpu), nil
}

func backlogRun(callbacks int, took, cpu time.Duration) BacklogRun {
	return BacklogRun{Callbacks: callbacks, PerSecond: perSecond(callbacks, took), CPUPerCallback: cpu.Seconds() / float64(callbacks)}
}

func (b *Backlog) summarize() {
	over := func(pick func(BacklogPair) float64) float64 {
		var values []float64
		for _, pair := range b.Pairs {
			values = append(values, pick(pair))
		}
		return median(values)
	}
	runs := func(pick func(BacklogPair) BacklogRun) BacklogRun {
		return BacklogRun{
			Callbacks:      b.Events,
			PerSecond:      over(func(p BacklogPair) float64 { return pick(p).PerSecond }),
			CPUPerCallback: over(func(p BacklogPair) float64 { return pick(p).CPUPerCallback }),
		}
	}
	b.Share = over(func(p BacklogPair) float64 { return p.Share })
	b.Bare = runs(func(p BacklogPair) BacklogRun { return p.Bare })
	b.Ringback = runs(func(p BacklogPair) BacklogRun { return p.Ringback })
}
