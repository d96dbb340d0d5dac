package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	scalingTTFT  = 50 * time.Millisecond
	scalingEach  = 32  // calls at once by one worker
	scalingSlots = 256 // by all
)

// Scaling is how long one batch takes with one, two and four workers over an upstream that takes its time: the best of
// each in rounds.
type Scaling struct {
	Lines   int             `json:"lines"`
	Seconds map[int]float64 `json:"seconds"` // by workers
	Usage   Usage           `json:"usage"`   // with four workers, in the last round
}

// share is the time of so many workers as a share of one worker's.
func (s Scaling) share(workers int) float64 { return s.Seconds[workers] / s.Seconds[1] }

func measureScaling(ctx context.Context, l *lab, result *Result) (err error) {
	if l.fleet == nil {
		return nil
	}
	size := result.Plan
	upstream, err := l.simulate(ctx, "--ttft", scalingTTFT.String())
	if err != nil {
		return err
	}
	quick := l.simulator
	l.simulator = upstream // whose CPU time counts
	defer func() { l.simulator = quick; err = errors.Join(err, upstream.stop()) }()
	questions, err := readQuestions()
	if err != nil {
		return err
	}
	if err := writeInput(l.path("scaling.jsonl"), size.ScaleLines, questions); err != nil {
		return err
	}
	result.Scaling = Scaling{Lines: size.ScaleLines, Seconds: map[int]float64{}}
	for range size.ScaleRounds {
		for _, workers := range []int{1, 2, 4} {
			took, usage, err := l.scalingRun(ctx, upstream, workers, size.ScaleLines)
			if err != nil {
				return fmt.Errorf("%d workers: %w", workers, err)
			}
			l.say("%d workers: %d lines in %.2f s (%s)", workers, size.ScaleLines, took.Seconds(), usage)
			if best := result.Scaling.Seconds[workers]; best == 0 || took.Seconds() < best {
				result.Scaling.Seconds[workers] = took.Seconds()
			}
			result.Scaling.Usage = usage
			result.Answered += size.ScaleLines
		}
	}
	return nil
}

func (l *lab) scalingRun(ctx context.Context, upstream *simulatorProcess, workers, lines int) (took time.Duration, usage Usage, err error) {
	data, err := l.freshData()
	if err != nil {
		return 0, usage, err
	}
	defer l.clear(data, &err)
	server, err := l.serveWith(ctx, data, upstream, map[string]any{"concurrency": scalingSlots, "per_process": scalingEach}, workers)
	if err != nil {
		return 0, usage, err
	}
	defer server.close(&err)
	file, err := server.upload(server, l.path("scaling.jsonl"))
	if err != nil {
		return 0, usage, err
	}
	watch, err := l.watchUsage(ctx, server)
	if err != nil {
		return 0, usage, err
	}
	began := time.Now()
	id, came, err := l.submit(server, file, lines)
	if err != nil {
		return 0, usage, err
	}
	if usage, err = watch.end(ctx); err != nil {
		return 0, usage, err
	}
	return came.Sub(began), usage, server.checkBatch(id, lines)
}
