package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

const generationWithin = 30 * time.Second

// Latency is the time from a generation's submission to its callback at the
// receiver, in milliseconds.
type Latency struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// measureLatency uses one fresh serve: first idle, then nothing at all, then
// under load.
func measureLatency(ctx context.Context, l *lab, result *Result) (err error) {
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
	if result.Idle, err = l.oneByOne(server, result.Plan.IdleJobs); err != nil {
		return fmt.Errorf("generations one at a time: %w", err)
	}
	l.say("doing nothing for %s", result.Plan.IdleFor)
	if result.IdleCPU, err = idleCPU(server, result.Plan.IdleFor); err != nil {
		return err
	}
	l.say("%d generations a second for %s", result.Plan.Rate, result.Plan.LoadFor)
	if result.Loaded, err = l.openLoop(server, result.Plan.Rate, result.Plan.LoadFor); err != nil {
		return fmt.Errorf("generations at %d a second: %w", result.Plan.Rate, err)
	}
	return nil
}

// oneByOne leaves a pause between the jobs, so that each finds the server
// with nothing to do.
func (l *lab) oneByOne(server *serveProcess, count int) (Latency, error) {
	const pause = 20 * time.Millisecond
	took := make([]time.Duration, count)
	for n := range took {
		var err error
		if took[n], err = l.generation(server, n, time.Now()); err != nil {
			return Latency{}, err
		}
		if err := sleep(server, pause); err != nil {
			return Latency{}, err
		}
	}
	return latencyOf(took), nil
}

// openLoop submits on a fixed timetable whether or not earlier jobs have
// ended, and counts from the time in the timetable: a server that stalls
// cannot hide it by slowing the client down.
func (l *lab) openLoop(server *serveProcess, rate int, span time.Duration) (Latency, error) {
	count := int(span.Seconds() * float64(rate))
	took, errs := make([]time.Duration, count), make([]error, count)
	var group sync.WaitGroup
	begin := time.Now()
	for n := range count {
		due := begin.Add(time.Duration(n) * time.Second / time.Duration(rate))
		if errs[n] = sleep(server, time.Until(due)); errs[n] != nil {
			break
		}
		group.Go(func() { took[n], errs[n] = l.generation(server, n, due) })
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return Latency{}, err
		}
	}
	return latencyOf(took), nil
}

// generation submits one and gives the time from begin to its callback.
func (l *lab) generation(server *serveProcess, n int, begin time.Time) (time.Duration, error) {
	ctx, cancel := within(server, generationWithin, "the end of a generation")
	defer cancel()
	hook, arrivals := l.receiver.expect()
	id, err := server.generate(ctx, fmt.Sprintf("How many bolts do %d robes take?", n), &hook)
	if err != nil {
		return 0, err
	}
	came, err := await(ctx, arrivals, "generation.completed", id)
	if err != nil {
		return 0, fmt.Errorf("%w; %s", err, server.explain(id))
	}
	return came.Sub(begin), nil
}

// idleCPU is serve's share of one core, from 0 to 1, while nobody asks it for
// anything. It lets the work before it settle for a second.
func idleCPU(server *serveProcess, span time.Duration) (float64, error) {
	if err := sleep(server, time.Second); err != nil {
		return 0, err
	}
	begin := time.Now()
	before, err := server.cpu()
	if err != nil {
		return 0, err
	}
	if err := sleep(server, span); err != nil {
		return 0, err
	}
	after, err := server.cpu()
	return (after - before).Seconds() / time.Since(begin).Seconds(), err
}

func latencyOf(took []time.Duration) Latency {
	slices.Sort(took)
	return Latency{Count: len(took), P50: percentile(took, 50), P99: percentile(took, 99), Max: percentile(took, 100)}
}

// percentile is the least of the sorted times that at least p percent of them
// do not exceed, in milliseconds; 0 of none.
func percentile(sorted []time.Duration, p int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*p + 99) / 100
	return milliseconds(sorted[max(0, rank-1)])
}

// sleep ends early with the context's cause.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(max(0, d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
