package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is one command line. Three subcommands are for the bench itself: bare,
// post and load are its clients, each in a process of its own so that its CPU time is
// its own.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var err error
	switch {
	case len(args) > 0 && args[0] == "bare":
		err = bareCommand(ctx, args[1:], stdout)
	case len(args) > 0 && args[0] == "post":
		err = postCommand(ctx, args[1:], stdout)
	case len(args) > 0 && args[0] == "load":
		err = loadCommand(ctx, args[1:], stdout)
	default:
		err = benchCommand(ctx, args, stdout, stderr)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		return 2
	}
	fmt.Fprintf(stderr, "bench: %s\n", err)
	return 1
}

func benchCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	short := flags.Bool("short", false, "run everything small, in seconds: a check of the bench, not a measurement")
	jsonPath := flags.String("json", "", "write the result as JSON to this `FILE`; - prints it instead of the table")
	modes := flags.String("modes", modeEmbedded+","+modeFleet, "`MODES` to measure: embedded is one process alone, fleet an API and workers over PostgreSQL, Redis and S3")
	pairs := flags.Int("pairs", 0, "`N` pairs of a bare run and a Ringback run (3)")
	if err := flags.Parse(args); err != nil {
		return errors.Join(flag.ErrHelp, err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is not understood: see --help", flags.Arg(0))
	}
	size := fullPlan()
	if *short {
		size = shortPlan()
	}
	if *pairs > 0 {
		size.Pairs = *pairs
	}
	command := strings.Join(append([]string{"go run ./bench"}, args...), " ")
	report, err := measureAll(ctx, strings.Split(*modes, ","), size, command, stderr)
	if err != nil {
		return err
	}
	if err := write(report, *jsonPath, stdout); err != nil {
		return err
	}
	return report.verdict()
}

// The modes that --modes names.
const (
	modeEmbedded = "embedded"
	modeFleet    = "fleet"
)

// measureAll measures the modes one after the other with one build, and stops whatever was started when it returns.
func measureAll(ctx context.Context, modes []string, size plan, command string, progress io.Writer) (report Report, err error) {
	l, err := newLab(ctx, progress)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	for _, mode := range modes {
		if err := l.enter(ctx, mode); err != nil {
			return report, fmt.Errorf("%s: %w", mode, because(ctx, err))
		}
		if mode == modeFleet {
			size = size.inFleet()
		}
		result, err := measure(ctx, l, mode, size, command)
		if err != nil {
			return report, fmt.Errorf("%s: %w", mode, err)
		}
		report.Results = append(report.Results, result)
	}
	return report, nil
}

// measure runs all parts in order within the plan's time.
func measure(ctx context.Context, l *lab, mode string, size plan, command string) (result Result, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, size.Deadline,
		fmt.Errorf("the bench did not end within %s: something hangs, or the machine is busy", size.Deadline))
	defer cancel()
	result = Result{Mode: mode, Plan: size, Machine: describeMachine(command, time.Now())}
	for _, part := range []struct {
		name string
		run  func(context.Context, *lab, *Result) error
	}{
		{"the simulator alone", measureCapacity},
		{"batch throughput", measureBatch},
		{"memory for a large file", measureMemory},
		{"generations and idling", measureLatency},
		{"many callbacks at once", measureBacklog},
		{"kill -9 and restart", measureCrash},
		{"one, two and four workers", measureScaling},
	} {
		l.say("%s", part.name)
		if err := part.run(ctx, l, &result); err != nil {
			return result, fmt.Errorf("%s: %w", part.name, because(ctx, err))
		}
	}
	result.Callbacks = l.receiver.tally()
	return result, nil
}

// because puts the reason of an end before its consequences.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w (%w)", cause, err)
	}
	return err
}
