package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newCancelCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:   "cancel ID...",
		Short: "Cancel jobs; what is done already is kept",
		Long: `Cancel jobs. Calls in flight are broken off; a batch keeps the answers that it
has, and writes them out. Cancelling twice is no error; cancelling what has ended
otherwise is.` + exitHelp(exitFailure, exitNotFound),
		Example: `  ringback cancel batch_01J9Z3NDEKTSV4RRFFQ69G5FAV
  ringback cancel $(ringback list --status queued --limit 0 --json | jq -r .id)`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: unfinishedIDs,
	}, func(ctx context.Context, s *session) error {
		return s.eachJob(ctx, func(id string) string { return jobPath(id) + "/cancel" })
	})
}

// eachJob sends each job a command and tells the state that it has then.
func (s *session) eachJob(ctx context.Context, path func(id string) string) error {
	if err := wantJobs(s.args); err != nil {
		return err
	}
	return eachOf(ctx, s, func(id string) error {
		return s.act(ctx, path(id), nil, s.told("%s  %s", "id", "status"))
	})
}

func newPauseCommand() *cobra.Command {
	return newTuningCommand("pause", "Pause fine-tunings", "running")
}

func newResumeCommand() *cobra.Command {
	return newTuningCommand("resume", "Go on with paused fine-tunings", "paused")
}

// newTuningCommand is a command that only fine-tunings know.
func newTuningCommand(name, short, state string) *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:   name + " ID...",
		Short: short,
		Example: "  ringback " + name + " ftjob-01J9Z3NDEKTSV4RRFFQ69G5FAV\n" +
			"  ringback " + name + " $(ringback list --kind fine_tuning --status " + state + " --json | jq -r .id)",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeArgs(jobsIn("status=" + state)),
	}, func(ctx context.Context, s *session) error {
		if err := wantKind("fine-tuning", s.args); err != nil {
			return err
		}
		return s.eachJob(ctx, func(id string) string { return "/v1/fine_tuning/jobs/" + id + "/" + name })
	})
}
