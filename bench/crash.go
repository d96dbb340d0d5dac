package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// crashTTFT gives each call a length, so that a kill finds all slots taken.
	crashTTFT = 20 * time.Millisecond
	// flushRows is how many results the design lets wait for the disk at most.
	flushRows = 1000
	// pollEvery is how exactly the first resumed line is seen.
	pollEvery    = 5 * time.Millisecond
	resumeWithin = 30 * time.Second
)

// Crash is what kill -9 of serve in the middle of a batch costs.
type Crash struct {
	Lines int    `json:"lines"`
	Kills []Kill `json:"kills"`
	// Repeated is calls beyond one for each line, of all kills together. The
	// design bounds it by Bound: the calls in flight and one flush, for each.
	Repeated int `json:"repeated_calls"`
	Bound    int `json:"repeated_calls_bound"`
}

// Kill is one kill and restart.
type Kill struct {
	AtLine int `json:"at_line"` // completed lines last seen before it
	// ToReady and ToResumed are milliseconds from the start of the new process:
	// until it listens, and until a poll shows more lines than the first poll
	// did, which is a line resumed at the latest then.
	ToReady   float64 `json:"to_ready_ms"`
	ToResumed float64 `json:"to_resumed_ms"`
}

func measureCrash(ctx context.Context, l *lab, result *Result) (err error) {
	size := result.Plan
	upstream, err := l.simulate(ctx, "--ttft", crashTTFT.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, upstream.stop()) }()
	data, err := l.freshData()
	if err != nil {
		return err
	}
	defer l.clear(data, &err)
	trial := &crashTrial{lab: l, ctx: ctx, size: size, data: data, upstream: upstream}
	defer func() {
		if trial.server != nil {
			trial.server.close(&err)
		}
	}()
	if err := trial.begin(); err != nil {
		return err
	}
	result.Crash = Crash{Lines: size.CrashLines, Bound: size.Kills * (size.Concurrency + flushRows*l.working())}
	for n := range size.Kills {
		kill, err := trial.killAt(size.CrashLines * (n + 1) / (size.Kills + 1))
		if err != nil {
			return err
		}
		l.say("killed at line %d: listening after %.0f ms, resumed after %.0f ms", kill.AtLine, kill.ToReady, kill.ToResumed)
		result.Crash.Kills = append(result.Crash.Kills, kill)
	}
	if result.Crash.Repeated, err = trial.finish(); err != nil {
		return err
	}
	result.Answered += size.CrashLines
	return nil
}

// crashTrial is one batch and the processes that work on it, one after the
// other, on one data folder.
type crashTrial struct {
	*lab
	ctx      context.Context
	size     plan
	data     *place
	upstream *simulatorProcess
	server   *serveProcess
	batchID  string
	arrivals <-chan arrival
}

func (t *crashTrial) begin() error {
	input := t.path("crash.jsonl")
	questions, err := readQuestions()
	if err != nil {
		return err
	}
	if err := writeInput(input, t.size.CrashLines, questions); err != nil {
		return err
	}
	if t.server, err = t.serve(t.ctx, t.data, t.upstream, t.size.Concurrency); err != nil {
		return err
	}
	file, err := t.server.upload(t.server, input)
	if err != nil {
		return err
	}
	hook, arrivals := t.receiver.expect()
	created, err := t.server.createBatch(t.server, file, hook)
	t.batchID, t.arrivals = created.ID, arrivals
	return err
}

// killAt kills serve once so many lines are completed, starts it again and
// waits for the next line.
func (t *crashTrial) killAt(line int) (kill Kill, err error) {
	before, err := t.poll(func(b batch) bool { return b.Counts.Completed >= line })
	if err != nil {
		return kill, err
	}
	kill.AtLine = before.Counts.Completed
	if err := t.server.kill(); err != nil {
		return kill, err
	}
	if t.server, err = t.serve(t.ctx, t.data, t.upstream, t.size.Concurrency); err != nil {
		return kill, fmt.Errorf("restart after kill -9: %w", err)
	}
	kill.ToReady = milliseconds(t.server.readyAfter)
	first, err := t.poll(func(batch) bool { return true })
	if err != nil {
		return kill, err
	}
	if first.Counts.Completed < kill.AtLine {
		return kill, fmt.Errorf("%d lines were completed before kill -9 and %d after the restart: results were lost",
			kill.AtLine, first.Counts.Completed)
	}
	_, err = t.poll(func(b batch) bool { return b.Counts.Completed > first.Counts.Completed })
	kill.ToResumed = milliseconds(time.Since(t.server.started))
	return kill, err
}

// poll asks for the batch until it is as wanted. A batch that has ended is too
// late for a kill.
func (t *crashTrial) poll(wanted func(batch) bool) (found batch, err error) {
	ctx, cancel := within(t.server, resumeWithin, "the next line of "+t.batchID)
	defer cancel()
	for {
		if found, err = t.server.batch(ctx, t.batchID); err != nil {
			return found, err
		}
		switch {
		case found.Status == "completed":
			return found, errors.New("the batch ended before it could be killed: it needs more lines")
		case found.Counts.Total > 0 && wanted(found):
			return found, nil
		}
		if err := sleep(ctx, pollEvery); err != nil {
			return found, err
		}
	}
}

// finish waits for the callback, checks all lines, and gives the repeated
// calls.
func (t *crashTrial) finish() (repeated int, err error) {
	ctx, cancel := within(t.server, batchWithin, "the end of the batch")
	defer cancel()
	if _, err := await(ctx, t.arrivals, "batch.completed", t.batchID); err != nil {
		return 0, err
	}
	if err := t.server.checkBatch(t.batchID, t.size.CrashLines); err != nil {
		return 0, err
	}
	calls, err := t.upstream.calls()
	return calls - t.size.CrashLines, err
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
