package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// wholeRows are calls whose statements return all columns of a table, each for one of several jobs.
type wholeRows struct {
	*world
	jobs                    []jobs.Ref
	stream, endpoint, owing jobs.Ref
}

func (r *wholeRows) calls() map[string]func(n int) error {
	ctx := r.t.Context()
	return map[string]func(int) error{
		"Job":  func(n int) error { _, err := r.Job(ctx, r.jobs[n]); return err },
		"Jobs": func(int) error { _, _, err := r.Jobs(ctx, jobs.JobQuery{ProjectID: "default", Limit: 3}); return err },
		"ClaimJobs": func(n int) error {
			_, err := r.ClaimJobs(ctx, fmt.Sprint("own_", n), r.jobs[n:n+1], r.now())
			return err
		},
		"Move": func(n int) error {
			_, _, err := r.Move(ctx, r.jobs[n], func(j *jobs.Job) (jobs.Effects, error) {
				j.Due(r.now())
				return jobs.Effects{}, nil
			})
			return err
		},
		"Events": func(int) error { _, _, err := r.Events(ctx, "default", "", 3); return err },
		"LookAtStream": func(int) error {
			_, err := r.LookAtStream(ctx, r.stream, jobs.StreamQuery{Events: 10, Bytes: 1000})
			return err
		},
		"Endpoint": func(int) error { _, err := r.Endpoint(ctx, r.endpoint); return err },
		"Delivery": func(int) error { _, _, err := r.Delivery(ctx, r.owing); return err },
	}
}

// TestTablesChangeUnderARunningProcess: a later version adds columns while this one reads, claims and writes on many
// connections; none of its calls fails.
func TestTablesChangeUnderARunningProcess(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]string{"prepared": "", "described": "&default_query_exec_mode=cache_describe"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tablesChange(t, mode)
		})
	}
}

func tablesChange(t *testing.T, mode string) {
	w := worldOver(t, openWith(t, func(o *Options) { o.DSN = ownDatabase(t) + mode }))
	later := w.another()
	r := &wholeRows{world: w, stream: depotOver(t, w).response("resp_1", 2), endpoint: w.endpoint(wants("file.created"))}
	w.fire("file.created")
	r.owing = w.all(callbacks.DeliveryFilter{ProjectID: "default"})[0].Ref()
	for range 8 {
		r.jobs = append(r.jobs, w.planned())
	}
	use := func(name string, call func(int) error) {
		require.Empty(t, together([]*world{w}, len(r.jobs), func(_ *world, owner string) error {
			var n int
			_, err := fmt.Sscanf(owner, "own_%d", &n)
			require.NoError(t, err)
			return call(n)
		}), name)
	}
	for name, call := range r.calls() {
		for range 3 {
			use(name, call)
		}
		columns := ""
		for _, table := range []string{"jobs", "events", "deliveries", "attempts", "endpoints", "responses", "response_events"} {
			columns += fmt.Sprintf("ALTER TABLE %s ADD COLUMN for_%s BIGINT NOT NULL DEFAULT 0;", table, strings.ToLower(name))
		}
		later.exec(columns)
		use(name, call)
	}
}

// TestOneRefusalRenewsAllConnections: what each of them has prepared is forgotten before it is used again.
func TestOneRefusalRenewsAllConnections(t *testing.T) {
	t.Parallel()
	w := worldOver(t, openWith(t, func(o *Options) { o.DSN = ownDatabase(t) }))
	onEach := func(n int, do func(*sql.Conn)) {
		var conns []*sql.Conn
		for range n {
			conns = append(conns, must(w.Store.reading.Conn(t.Context()))(t))
		}
		for _, c := range conns {
			do(c)
			require.NoError(t, c.Close())
		}
	}
	read := func(c *sql.Conn) error {
		rows, err := c.QueryContext(context.Background(), "SELECT * FROM gates WHERE id = $1", "none")
		if err == nil {
			err = rows.Close()
		}
		return err
	}
	onEach(5, func(c *sql.Conn) { require.NoError(t, read(c)) })
	w.exec("ALTER TABLE gates ADD COLUMN later BIGINT NOT NULL DEFAULT 0")
	onEach(1, func(c *sql.Conn) { require.True(t, w.plans.outdated(read(c))) })
	onEach(5, func(c *sql.Conn) { require.NoError(t, read(c)) })
}
