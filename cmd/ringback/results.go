package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
)

const resultsHelp = `Print what a job has brought.

Of a batch: one line of JSON for each request that has its outcome, as in the
output file, also while the batch runs; --follow waits for the rest and ends with
the batch. --failed keeps to the requests that failed; of an ended batch, to its
error file, which also has the requests that were never started.

Of a single call: the provider's answer. Of a fine-tuning: the new model's name.

With -o the lines go to FILE, which is there once all of them are; until then
they are in FILE.part.`

// resultsCommand is one `results`.
type resultsCommand struct {
	follow bool
	failed bool
	file   string
}

func newResultsCommand() *cobra.Command {
	r := &resultsCommand{}
	cmd := clientCommand(&cobra.Command{
		Use:   "results ID",
		Short: "Print a batch's answers, a call's answer, a fine-tuning's model",
		Long:  resultsHelp + exitHelp(exitNotFound, exitEnded, exitAway),
		Example: `  ringback results batch_01J9Z3NDEKTSV4RRFFQ69G5FAV -o answers.jsonl
  ringback results batch_01J9Z3NDEKTSV4RRFFQ69G5FAV --follow | jq -r '.response.body.choices[0].message.content'
  ringback results batch_01J9Z3NDEKTSV4RRFFQ69G5FAV --failed | jq .error
  ringback results gen_01J9Z3NDEKTSV4RRFFQ69G5FAV --follow`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: oneOf(jobIDs),
	}, r.run)
	flags := cmd.Flags()
	flags.BoolVar(&r.follow, "follow", false, "wait for what is still to come")
	flags.BoolVar(&r.failed, "failed", false, "only the requests that failed")
	flags.StringVarP(&r.file, "output", "o", "", "write to `FILE` instead of standard output")
	return cmd
}

func (r *resultsCommand) run(ctx context.Context, s *session) error {
	id := s.args[0]
	if err := wantJobs(s.args); err != nil {
		return err
	}
	kind, _ := kindOf(id)
	if r.failed && kind.what != "batch" {
		return usagef("--failed is for batches")
	}
	return writeTo(r.file, s.print.out, func(out io.Writer) error {
		switch kind.what {
		case "batch":
			return r.lines(ctx, s.client, id, out)
		case "fine-tuning":
			return r.model(ctx, s, kind, out)
		}
		return r.answer(ctx, s, kind, out)
	})
}

// lines copies a batch's lines. Once they have begun to come, a lost connection
// is made again, and they go on behind the last whole one.
func (r *resultsCommand) lines(ctx context.Context, client *Client, id string, out io.Writer) error {
	if r.failed {
		batch, err := client.Batch(ctx, id)
		if err != nil {
			return err
		}
		if batch.ErrorFileID != "" {
			return copyContent(ctx, client, batch.ErrorFileID, out)
		}
	}
	l := &resultLines{out: out, failed: r.failed}
	for lost := 0; ; lost++ {
		before := l.read
		err := client.results(ctx, id, l.read, r.follow, l)
		if err == nil || l.err != nil || !l.begun || !passing(ctx, err) || lost == lostPolls {
			return err
		}
		if l.read > before {
			lost = 0
		}
		if !interruptible(ctx, time.Second) {
			return context.Cause(ctx)
		}
	}
}

// answer prints a single call's answer, once it is there.
func (r *resultsCommand) answer(ctx context.Context, s *session, kind idKind, out io.Writer) error {
	object, err := r.ended(ctx, s, kind)
	if err != nil {
		return err
	}
	answer := object.Get("result").Raw
	if kind.what == "response" {
		answer = object.Raw
	}
	if s.print.json {
		return printLine(out, []byte(answer))
	}
	_, err = fmt.Fprintln(out, answer)
	return err
}

// model prints the name of the model that a fine-tuning has made.
func (r *resultsCommand) model(ctx context.Context, s *session, kind idKind, out io.Writer) error {
	object, err := r.ended(ctx, s, kind)
	if err != nil {
		return err
	}
	if s.print.json {
		return printLine(out, []byte(object.Raw))
	}
	_, err = fmt.Fprintln(out, object.Get("fine_tuned_model"))
	return err
}

// ended reads a job that has completed; with --follow it waits for that.
func (r *resultsCommand) ended(ctx context.Context, s *session, kind idKind) (gjson.Result, error) {
	id := s.args[0]
	if r.follow {
		if err := follow(ctx, s.client, newJobView(s.notes, false), id); err != nil {
			return gjson.Result{}, err
		}
	}
	job, err := s.client.WaitJob(ctx, id, 0)
	if err == nil && !job.Ended() {
		err = fmt.Errorf("%s is %s and has no result yet; wait for it with --follow", id, job.Status)
	}
	if err == nil && !job.Completed() {
		err = (jobUpdate{ID: id, Job: job}).failure()
	}
	if err != nil {
		return gjson.Result{}, err
	}
	object, err := s.client.Object(ctx, kind.pathOf(id))
	return gjson.ParseBytes(object), err
}
