package main

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

const testReceiverHelp = `Send a receiver good, repeated, forged, stale, out-of-order and large callbacks,
and say how it did and what to mend. Exit code 1 when it fails something that a
receiver must do.

It sends about 40 requests to the URL, signed with the receiver's secret, for
jobs that do not exist: their IDs begin with batch_test_ and gen_test_. It
follows no redirect. Whether a repeated callback is acted on once cannot be seen
from outside; the last line says what to look for.`

// Bounds of one run: an answer later than slowest fails, later than slow is
// worth a word.
const (
	slowestAnswer   = 10 * time.Second
	slowAnswer      = 5 * time.Second
	longestTrial    = 5 * time.Minute
	atOnceCallbacks = 20
)

func newTestReceiverCommand() *cobra.Command {
	var secrets secretFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "test-receiver URL",
		Short:   "Try a receiver of callbacks: does it verify, is it fast, is it robust?",
		Long:    testReceiverHelp,
		Example: "  ringback test-receiver http://localhost:3000/hook --secret-file secret.txt\n  ringback test-receiver https://example.com/hook --json | jq .passed",
		Args:    cobra.ExactArgs(1),
	}
	connect := clientFlags(cmd)
	secrets.add(cmd, "of the receiver (default: the project's, read from the server)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object instead of a table")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := receiverURL(args[0]); err != nil {
			return err
		}
		client, err := connect()
		if err != nil {
			return err
		}
		defer client.Close()
		secret, err := secrets.orProject(cmd.Context(), cmd.InOrStdin(), client)
		if err != nil {
			return err
		}
		return newTrial(args[0], secret).report(cmd.Context(), cmd.OutOrStdout(), asJSON)
	}
	return cmd
}

// trial is one receiver put to the test.
type trial struct {
	url     string
	secret  Secret
	slowest time.Duration
	slow    time.Duration
}

func newTrial(url string, secret Secret) *trial {
	return &trial{url: url, secret: secret, slowest: slowestAnswer, slow: slowAnswer}
}

// report runs the trial and prints it; a failed must is an error that has been
// told.
func (t *trial) report(ctx context.Context, out io.Writer, asJSON bool) error {
	found := t.run(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var err error
	if asJSON {
		err = writeJSONLine(out, found)
	} else {
		found.print(newScreen(out))
	}
	if err == nil && !found.Passed {
		err = silentFailure{}
	}
	return err
}

// run tries case after case. Where the first good callback is not taken, the
// others would say nothing: they are left out.
func (t *trial) run(ctx context.Context) trialReport {
	ctx, cancel := context.WithTimeout(ctx, longestTrial)
	defer cancel()
	client := receiverClient(t.slowest)
	defer client.CloseIdleConnections()
	kit := newTrialKit(t.secret)
	report := trialReport{URL: t.url, Passed: true, Repeated: kit.first.id}
	skip := ""
	for _, c := range trialCases() {
		row := trialRow{Case: c.name, Want: c.want.String(), Verdict: verdictSkip, Mend: skip}
		if skip == "" {
			row = t.judge(c, t.try(ctx, client, c, kit))
		}
		report.add(row)
		switch {
		case skip != "":
		case ctx.Err() != nil:
			skip = "not tried: the trial took too long"
		case row.Verdict == verdictFail && c.first:
			skip = "not tried: a good callback must be taken first"
		}
	}
	return report
}

// try sends a case's callbacks, one by one or all at once.
func (t *trial) try(ctx context.Context, client *http.Client, c trialCase, kit *trialKit) []forwarded {
	calls := c.calls(kit)
	results := make([]forwarded, len(calls))
	if !c.atOnce {
		for i, call := range calls {
			results[i] = call.send(ctx, client, t.url)
		}
		return results
	}
	var sending sync.WaitGroup
	for i, call := range calls {
		sending.Go(func() { results[i] = call.send(ctx, client, t.url) })
	}
	sending.Wait()
	return results
}
