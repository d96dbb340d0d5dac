package main

import (
	"context"

	"github.com/spf13/cobra"
)

const retryHelp = `Run again what an ended batch has not answered: a new batch takes its answers over
and runs the other lines only, so that its output holds both. It has the model,
metadata and priority of the old one, unless they are named here; it calls back
only whom the retry names, and the endpoints that subscribe.`

// batchRetry is one `retry`.
type batchRetry struct {
	submission
	model  string
	window string
}

func newRetryCommand() *cobra.Command {
	r := &batchRetry{}
	cmd := clientCommand(&cobra.Command{
		Use:   "retry BATCH_ID",
		Short: "Run the failed lines of an ended batch again",
		Long:  retryHelp + exitHelp(exitFailure, exitNotFound, exitEnded, exitAway),
		Example: `  ringback retry batch_01J9Z3NDEKTSV4RRFFQ69G5FAV --watch
  ringback retry batch_01J9Z3NDEKTSV4RRFFQ69G5FAV --model sim-large --webhook https://example.com/hook`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: oneOf(jobsIn("kind=batch")),
	}, r.run)
	r.addFlags(cmd)
	cmd.Flags().StringVar(&r.model, "model", "", "`MODEL` for the lines that run again (default: as it was)")
	cmd.Flags().StringVar(&r.window, "window", "", "`TIME` in which it must end, as 24h (default: as it was)")
	completeFlag(cmd, "model", models)
	return cmd
}

func (r *batchRetry) run(ctx context.Context, on *session) error {
	id := on.args[0]
	if kind, err := kindOf(id); err == nil && kind.what == "delivery" {
		return usagef("%s is a delivery: ringback deliveries retry %s", id, id)
	}
	if err := wantKind("batch", on.args); err != nil {
		return err
	}
	shared, err := r.body()
	if err != nil {
		return err
	}
	body := struct {
		Submission
		Model  string `json:"model,omitempty"`
		Window string `json:"completion_window,omitempty"`
	}{shared, r.model, r.window}
	var batch Batch
	if err := on.client.create(ctx, "/v1/batches/"+id+"/retry", body, &batch); err != nil {
		return err
	}
	return r.submitted(ctx, on, batch)
}
