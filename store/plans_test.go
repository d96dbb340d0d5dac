package store

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// TestTablesChangeUnderARunningProcess: a later version adds columns while this one reads, claims and writes on many
// connections; none of its calls fails.
func TestTablesChangeUnderARunningProcess(t *testing.T) {
	t.Parallel()
	w := worldOver(t, openWith(t, func(o *Options) { o.DSN = ownDatabase(t) }))
	later := w.another()
	d := depotOver(t, w)
	stream := d.response("resp_1", 2)
	e := w.endpoint(wants("file.created"))
	w.fire("file.created")
	owed := w.all(callbacks.DeliveryFilter{ProjectID: "default"})[0].Ref()
	refs := make([]jobs.Ref, 8)
	for i := range refs {
		refs[i] = w.planned()
	}
	use := func() {
		require.Empty(t, together([]*world{w}, len(refs), func(w *world, owner string) error {
			var n int
			if _, err := fmt.Sscanf(owner, "own_%d", &n); err != nil {
				return err
			}
			return w.touch(refs[n], stream, e, owed, owner)
		}))
	}
	for range 3 {
		use()
	}
	for i := range 2 {
		for _, table := range []string{"jobs", "events", "deliveries", "attempts", "endpoints", "responses", "response_events", "gates"} {
			later.exec(fmt.Sprintf("ALTER TABLE %s ADD COLUMN later_%d BIGINT NOT NULL DEFAULT 0", table, i))
			use()
		}
	}
}

// touch uses a job, a stream, an endpoint and a delivery in the ways that return whole rows.
func (w *world) touch(job, stream, endpoint, owed jobs.Ref, owner string) error {
	ctx := w.t.Context()
	if _, err := w.Job(ctx, job); err != nil {
		return fmt.Errorf("Job: %w", err)
	}
	if _, _, err := w.Jobs(ctx, jobs.JobQuery{ProjectID: "default", Limit: 3}); err != nil {
		return fmt.Errorf("Jobs: %w", err)
	}
	if _, err := w.ClaimJobs(ctx, owner, []jobs.Ref{job}, w.now()); err != nil {
		return fmt.Errorf("ClaimJobs: %w", err)
	}
	_, _, err := w.Move(ctx, job, func(j *jobs.Job) (jobs.Effects, error) {
		j.Due(w.now())
		return jobs.Effects{}, nil
	})
	if err != nil {
		return fmt.Errorf("Move: %w", err)
	}
	if _, _, err := w.Events(ctx, "default", "", 3); err != nil {
		return fmt.Errorf("Events: %w", err)
	}
	if _, err := w.LookAtStream(ctx, stream, jobs.StreamQuery{Events: 10, Bytes: 1000}); err != nil {
		return fmt.Errorf("LookAtStream: %w", err)
	}
	if _, err := w.Endpoint(ctx, endpoint); err != nil {
		return fmt.Errorf("Endpoint: %w", err)
	}
	if _, _, err := w.Delivery(ctx, owed); err != nil {
		return fmt.Errorf("Delivery: %w", err)
	}
	return nil
}
