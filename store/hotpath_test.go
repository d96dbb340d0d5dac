package store

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// beforePages takes back what the schema of pages has added to the paths that every job goes.
const beforePages = `DROP INDEX events_job; DROP INDEX events_type; DROP INDEX deliveries_type; DROP INDEX lines_failed;
	DROP INDEX deliveries_endpoint; CREATE INDEX deliveries_endpoint ON deliveries (project_id, endpoint_id, created_at, id) WHERE endpoint_id <> '';
	DROP INDEX deliveries_open; CREATE INDEX deliveries_open ON deliveries (project_id, created_at, id) WHERE state IN ('waiting', 'sending');
	DROP INDEX deliveries_ended; CREATE INDEX deliveries_ended ON deliveries (project_id, created_at, id) WHERE state IN ('failed', 'cancelled');
	DROP INDEX jobs_open; CREATE INDEX jobs_open ON jobs (project_id, created_at, id) WHERE ended_at = 0;
	DROP INDEX jobs_unwell; CREATE INDEX jobs_unwell ON jobs (project_id, created_at, id) WHERE ended_at > 0 AND status NOT IN ('completed', 'succeeded')`

// BenchmarkPages compares what jobs cost without and with the indexes that pages read, in the time of this process's processors;
// PostgreSQL's own counts in the time that passes.
func BenchmarkPages(b *testing.B) {
	for _, database := range []string{"sqlite", "postgres"} {
		for _, without := range []bool{true, false} {
			name := database + map[bool]string{true: "/without", false: "/with"}[without]
			for what, do := range map[string]func(*testing.B, *world){"generation": benchGeneration, "lines": benchLines} {
				b.Run(name+"/"+what, func(b *testing.B) {
					o := Options{Dir: b.TempDir(), ShardsAwake: 2, Connections: 5, Events: jobs.EventLimits{Bytes: 1 << 18}, Now: time.Now}
					if database == "postgres" {
						server, err := shared.start()
						require.NoError(b, err)
						o.Key = testKey
						o.DSN, err = server.NewDatabase()
						require.NoError(b, err)
					}
					s, err := Open(b.Context(), o)
					require.NoError(b, err)
					defer s.Close()
					if without {
						require.NoError(b, s.write(b.Context(), func(tx *gorm.DB) error { return tx.Exec(beforePages).Error }))
					}
					b.ResetTimer()
					before := processors(b)
					do(b, &world{Store: s})
					b.ReportMetric(float64((processors(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
				})
			}
		}
	}
}

func processors(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchGeneration is a generation's life in SQL, with two events, and its callback's; many at once, as they share transactions.
func benchGeneration(b *testing.B, w *world) {
	ctx := b.Context()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			generate(ctx, b, w)
		}
	})
}

func generate(ctx context.Context, b *testing.B, w *world) {
	hook := &jobs.Webhook{URL: "https://example.com/hook", Method: "POST", Events: []string{"generation.completed"}}
	j := jobs.Job{
		ProjectID: "default", ID: jobs.NewID("gen_"), Kind: jobs.KindGeneration, Status: jobs.Queued, Path: "/v1/x", Model: "m",
		Priority: jobs.PriorityNormal, CreatedAt: w.now(), ChangedAt: w.now(), Webhook: callbacks.Shown(hook),
	}
	j.Due(w.now())
	_, err := w.CreateJob(ctx, jobs.NewJob{Job: j, Webhook: hook, Body: []byte(`{"model":"m"}`)})
	require.NoError(b, err)
	claimed, err := w.ClaimJobs(ctx, "own", []jobs.Ref{j.Ref()}, w.now())
	require.NoError(b, err)
	require.Len(b, claimed, 1)
	for _, status := range []jobs.Status{jobs.InProgress, jobs.Completed} {
		_, _, err := w.Move(ctx, j.Ref(), func(j *jobs.Job) (jobs.Effects, error) {
			event := jobs.GenerationInProgress
			if j.Status = status; status.Terminal() {
				event, j.EndedAt = jobs.GenerationCompleted, w.now()
				j.Rest()
			}
			return jobs.Effects{Events: []jobs.EventType{event}, Result: []byte(`{}`)}, nil
		})
		require.NoError(b, err)
	}
	sent, err := w.ClaimDeliveries(ctx, "own", behind(host("example.com")), w.now())
	require.NoError(b, err)
	var outcomes []callbacks.Outcome
	for _, c := range sent { // its own, or others'
		outcomes = append(outcomes, w.answered(c, 200))
	}
	_, err = w.RecordAttempts(ctx, outcomes, w.now())
	require.NoError(b, err)
}

// benchLines is a thousand lines of a batch, of which one in twenty failed.
func benchLines(b *testing.B, w *world) {
	j := jobs.Job{ProjectID: "default", ID: jobs.NewID("batch_"), Kind: jobs.KindBatch, Status: jobs.InProgress, Total: 1 << 40, Priority: jobs.PriorityNormal}
	require.NoError(b, w.write(b.Context(), func(tx *gorm.DB) error { return tx.Create(&j).Error }))
	text := make([]byte, 500)
	for i := range text {
		text[i] = 'x'
	}
	n := int64(0)
	for range b.N {
		var set []jobs.Line
		for range 1000 {
			n++
			set = append(set, jobs.Line{ProjectID: "default", JobID: j.ID, Line: n, OK: n%20 != 0, Text: text})
		}
		_, err := w.RecordLines(b.Context(), set)
		require.NoError(b, err)
	}
}
