package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
)

const getHelp = `Show one object: a job with its callbacks, a file, an event, a delivery with its
attempts, or an endpoint. What it is, its ID says. With --json it is the object
as the server has it.`

func newGetCommand() *cobra.Command {
	var watched, content bool
	cmd := clientCommand(&cobra.Command{
		Use:   "get ID",
		Short: "Show a job, file, event, delivery or endpoint",
		Long:  getHelp + exitHelp(exitNotFound, exitEnded, exitAway),
		Example: `  ringback get batch_01J9Z3NDEKTSV4RRFFQ69G5FAV
  ringback get gen_01J9Z3NDEKTSV4RRFFQ69G5FAV --watch --json | jq .model_output
  ringback get file-01J9Z3NDEKTSV4RRFFQ69G5FAV --content > answers.jsonl`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: oneOf(anyIDs),
	}, func(ctx context.Context, s *session) error {
		kind, err := kindOf(s.args[0])
		if err != nil {
			return err
		}
		switch {
		case content && (kind.what != "file" || watched):
			return usagef("--content is for files (file-…)")
		case content:
			return copyContent(ctx, s.client, s.args[0], s.print.out)
		case watched && !kind.job:
			return usagef("--watch is for jobs (batch_…, gen_…, resp_…, ftjob-…)")
		case watched:
			return s.watchThenShow(ctx, kind)
		}
		return s.show(ctx, kind, s.args[0])
	})
	cmd.Flags().BoolVar(&watched, "watch", false, "follow a job to its end first; exit 0 only if it completed")
	cmd.Flags().BoolVar(&content, "content", false, "print the bytes of a file instead")
	return cmd
}

// watchThenShow shows the object whatever the end was. Progress goes to stderr,
// so that stdout holds the object alone.
func (s *session) watchThenShow(ctx context.Context, kind idKind) error {
	id := s.args[0]
	followed := follow(ctx, s.client, newJobView(s.notes, false), id)
	if ctx.Err() != nil || exitCode(followed) == exitNotFound {
		return followed
	}
	if err := s.show(ctx, kind, id); err != nil {
		return err
	}
	return followed
}

// show prints an object of any kind.
func (s *session) show(ctx context.Context, kind idKind, id string) error {
	object, err := s.client.Object(ctx, kind.pathOf(id))
	if err != nil {
		return err
	}
	return s.print.object(object, func(o gjson.Result) error {
		switch {
		case kind.job:
			return s.showJob(ctx, o)
		case kind.what == "delivery":
			return s.showDelivery(ctx, o)
		case kind.what == "event":
			return s.showEvent(o)
		}
		return s.print.fields(o)
	})
}

// showJob shows a job and what has become of its callbacks.
func (s *session) showJob(ctx context.Context, job gjson.Result) error {
	if err := s.print.fields(job, "result", "output"); err != nil {
		return err
	}
	id := job.Get("id").String()
	deliveries, _, err := s.client.page(ctx, listing{path: jobPath(id) + "/deliveries"}, longestPage)
	if err != nil || len(deliveries) == 0 {
		return err
	}
	if err := s.print.printf("\n"); err != nil {
		return err
	}
	if err := s.print.table(deliveryColumns(s.print), deliveries); err != nil {
		return err
	}
	for _, delivery := range deliveries {
		if d := gjson.ParseBytes(delivery); d.Get("status").String() != "delivered" && d.Get("attempts.#").Int() > 0 {
			s.note("why a callback did not arrive: ringback deliveries get %s", d.Get("id"))
			return nil
		}
	}
	return nil
}

func copyContent(ctx context.Context, client *Client, fileID string, out io.Writer) error {
	content, err := client.Content(ctx, fileID)
	if err != nil {
		return err
	}
	defer content.Close()
	if _, err := io.Copy(out, content); err != nil {
		return fmt.Errorf("read the content of %s: %w", fileID, err)
	}
	return nil
}
