package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
)

const watchHelp = `Follow jobs until all have ended: on a terminal with a live bar for each,
elsewhere with a line for each change. Without an ID it follows all unfinished
jobs, but for paused fine-tunings, which do not end by themselves. With --json
each change is the job's object.

Ctrl-C ends the watching; the jobs go on.`

func newWatchCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:   "watch [ID...]",
		Short: "Follow jobs to their end, with live bars",
		Long:  watchHelp + exitHelp(exitNotFound, exitEnded, exitAway),
		Example: `  ringback watch
  ringback watch batch_01J9Z3NDEKTSV4RRFFQ69G5FAV ftjob-01J9Z3PQ3M4XGJ2V7T0C6ZK8WB
  ringback watch "$id" > /dev/null && ringback results "$id"`,
		ValidArgsFunction: unfinishedIDs,
	}, watchThese)
}

func watchThese(ctx context.Context, s *session) error {
	ids := s.args
	if err := wantJobs(ids); err != nil {
		return err
	}
	if len(ids) == 0 {
		var err error
		if ids, err = s.client.unfinished(ctx); err != nil {
			return err
		}
	}
	if len(ids) == 0 {
		s.note("nothing to watch: no job is unfinished")
		return nil
	}
	return watchAll(ctx, s, ids)
}

// unfinishedStates are those that a job leaves by itself.
var unfinishedStates = []string{
	"queued", "validating", "in_progress", "finalizing", "cancelling", "validating_files", "running",
}

// unfinished finds the jobs in these states, the newest of each state first.
func (c *Client) unfinished(ctx context.Context) (ids []string, err error) {
	seen := map[string]bool{} // one may move on between two lists
	for _, state := range unfinishedStates {
		l := listing{path: "/v1/jobs"}
		l.query = map[string][]string{"status": {state}}
		_, err := c.pages(ctx, l, func(job json.RawMessage) error {
			if id := gjson.GetBytes(job, "id").String(); !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// watchAll reports jobs that did not complete as one error.
func watchAll(ctx context.Context, s *session, ids []string) error {
	ends, err := watch(ctx, s.client, newJobView(s.print.out, s.print.json, ids...), ids...)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("stopped watching; the jobs go on")
	case err != nil:
		return err
	}
	var bad []error
	for _, end := range ends {
		if err := end.failure(); err != nil {
			bad = append(bad, err)
		}
	}
	if len(bad) == 0 || len(ids) == 1 {
		return firstError(bad)
	}
	for _, err := range bad {
		fmt.Fprintf(s.notes, "ringback: %s\n", err)
	}
	s.note("%d of %d jobs completed", len(ids)-len(bad), len(ids))
	return silentFailure{exitCode(bad[0])}
}

func firstError(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return errs[0]
}
