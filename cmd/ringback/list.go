package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
)

func newListCommand() *cobra.Command {
	l := &listing{path: "/v1/jobs"}
	var kind, status string
	cmd := clientCommand(&cobra.Command{
		Use:     "list",
		Aliases: []string{"ls", "jobs"},
		Short:   "List jobs, the newest first",
		Example: `  ringback list
  ringback list --status failed --limit 5
  ringback list --kind batch --json --limit 0 | jq -r .id`,
		Args: cobra.NoArgs,
	}, func(ctx context.Context, s *session) error {
		l.filter("kind", kind)
		l.filter("status", status)
		return s.list(ctx, *l, jobColumns(s.print), "no jobs; submit one: ringback submit --help")
	})
	l.addFlags(cmd, "a job")
	cmd.Flags().StringVar(&kind, "kind", "", "only jobs of this `KIND`: batch, generation, response or fine_tuning")
	cmd.Flags().StringVar(&status, "status", "", "only jobs in this `STATE`, as completed, failed or in_progress")
	completeFlag(cmd, "kind", fixed("batch", "generation", "response", "fine_tuning"))
	completeFlag(cmd, "status", fixed(jobStates...))
	completeFlag(cmd, "after", jobIDs)
	return cmd
}

// jobStates are all that a job of any kind can be in.
var jobStates = append([]string{
	"completed", "failed", "expired", "cancelled", "incomplete", "paused", "succeeded",
}, unfinishedStates...)

func jobColumns(p *printer) []column {
	return []column{
		field("ID", "id"), field("KIND", "kind"), statusColumn(),
		{title: "PROGRESS", cell: jobProgress},
		field("MODEL", "model"), p.age("AGE", "created_at"), field("NAME", "metadata.name"),
	}
}

// jobProgress is "118/120, 2 failed"; of a single call there is nothing to
// count.
func jobProgress(job gjson.Result) string {
	counts := job.Get("progress")
	total, failed := counts.Get("total").Int(), counts.Get("failed").Int()
	if kind := job.Get("kind").String(); total == 0 || kind == "generation" || kind == "response" {
		return ""
	}
	text := fmt.Sprintf("%s/%s", grouped(int(counts.Get("completed").Int()+failed)), grouped(int(total)))
	if failed > 0 {
		text += fmt.Sprintf(", %s failed", grouped(int(failed)))
	}
	return text
}
