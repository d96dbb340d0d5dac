package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

func TestUnfinishedCountsWhatHasNotEnded(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		require.Empty(t, must(w.Unfinished(t.Context()))(t))
		w.waiting(jobs.KindGeneration, jobs.PriorityNormal, w.now())
		w.waiting(jobs.KindGeneration, jobs.PriorityHigh, w.now())
		ref := w.waiting(jobs.KindBatch, jobs.PriorityNormal, w.now())
		require.ElementsMatch(t, []JobCount{{jobs.KindGeneration, jobs.Queued, 2}, {jobs.KindBatch, jobs.Queued, 1}}, must(w.Unfinished(t.Context()))(t))
		w.endJob(ref)
		require.Equal(t, []JobCount{{jobs.KindGeneration, jobs.Queued, 2}}, must(w.Unfinished(t.Context()))(t))
	})
}

// waiting makes a job that is due at a time.
func (w *world) waiting(kind jobs.Kind, p jobs.Priority, due jobs.Time) jobs.Ref {
	w.t.Helper()
	n := jobs.NewJob{Job: newBatch(w.now())}
	n.Job.Kind, n.Job.Status, n.Job.Priority = kind, jobs.Queued, p
	n.Job.Due(due)
	must(w.CreateJob(w.t.Context(), n))(w.t)
	return n.Job.Ref()
}

func (w *world) endJob(ref jobs.Ref) {
	w.t.Helper()
	_, _, err := w.Move(w.t.Context(), ref, func(j *jobs.Job) (jobs.Effects, error) {
		j.Status, j.EndedAt = jobs.Failed, w.now()
		j.Rest()
		return jobs.Effects{}, nil
	})
	require.NoError(w.t, err)
}

func TestOldestDueIsTheLongestWaitOfEachLane(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		ages := func() map[string]time.Duration { return must(w.OldestDue(t.Context()))(t) }
		none := map[string]time.Duration{jobs.LaneBatches: 0, jobs.LaneCalls: 0, jobs.LaneShards: 0, jobs.LaneDeliveries: 0}
		require.Equal(t, none, ages())

		w.waiting(jobs.KindGeneration, jobs.PriorityNormal, w.now().Add(time.Hour))
		old := w.waiting(jobs.KindGeneration, jobs.PriorityLow, w.now())
		w.pass(3 * time.Second)
		w.waiting(jobs.KindResponse, jobs.PriorityHigh, w.now())
		w.waiting(jobs.KindBatch, jobs.PriorityNormal, w.now())
		w.pass(2 * time.Second)
		want := map[string]time.Duration{jobs.LaneBatches: 2 * time.Second, jobs.LaneCalls: 5 * time.Second, jobs.LaneShards: 0, jobs.LaneDeliveries: 0}
		require.Equal(t, want, ages(), "what is not due counts for nothing")

		require.Len(t, must(w.DueCalls(t.Context(), 9))(t), 2)
		require.Equal(t, want, ages(), "an offer is no claim")

		require.Len(t, must(w.ClaimJobs(t.Context(), "own", []jobs.Ref{old}, w.now()))(t), 1)
		want[jobs.LaneCalls] = 2 * time.Second
		require.Equal(t, want, ages(), "what is worked on does not wait")
	})
}

func TestOldestDueOfDeliveriesLeavesShutGatesOut(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		dead, well := w.endpoint(wants("batch.*")), w.endpoint(wants("file.*"))
		w.fire("batch.created")
		w.pass(time.Hour)
		w.fire("file.created")
		w.pass(time.Minute)
		age := func() time.Duration { return must(w.OldestDue(t.Context()))(t)[jobs.LaneDeliveries] }
		require.Equal(t, time.Hour+time.Minute, age())
		require.NoError(t, w.ShutGate(t.Context(), dead, w.now(), w.now()))
		require.Equal(t, time.Minute, age())
		require.EqualValues(t, 1, must(w.ShutGates(t.Context()))(t))
		w.claimOne(well)
		require.Zero(t, age())
	})
}

// TestMeterHearsOfWhatWasCommitted: once for each, and of nothing else.
func TestMeterHearsOfWhatWasCommitted(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		var heard lockedList
		w.options.Meter = Meter{
			Committed: func(writes int, took time.Duration) { heard.add("commit of %d took time: %t", writes, took > 0) },
			Ended:     func(j *jobs.Job, _ time.Duration) { heard.add("%s %s", j.Kind, j.Status) },
			Lines: func(set int, fresh jobs.Tally) {
				heard.add("%d lines, %d ok and %d failed", set, fresh.Completed, fresh.Failed)
			},
			Deliveries: func(delivered, failed int) { heard.add("%d delivered, %d failed", delivered, failed) },
		}
		expect := func(want ...string) {
			t.Helper()
			require.ElementsMatch(t, append(want, "commit of 1 took time: true"), heard.take())
		}

		ref := w.waiting(jobs.KindBatch, jobs.PriorityNormal, w.now())
		expect()
		_, _, err := w.Move(t.Context(), ref, func(j *jobs.Job) (jobs.Effects, error) {
			j.Status, j.Total = jobs.InProgress, 10
			return jobs.Effects{}, nil
		})
		require.NoError(t, err)
		expect()
		line := func(n int64, ok bool) jobs.Line {
			return jobs.Line{ProjectID: ref.ProjectID, JobID: ref.ID, Line: n, OK: ok, Text: []byte("{}")}
		}
		must(w.RecordLines(t.Context(), []jobs.Line{line(1, true), line(2, false), line(3, true)}))(t)
		expect("3 lines, 2 ok and 1 failed")
		must(w.RecordLines(t.Context(), []jobs.Line{line(3, true), line(4, true)}))(t)
		expect("2 lines, 1 ok and 0 failed")

		w.endJob(ref)
		expect("batch failed")
		w.endJob(ref)
		expect()
		_, _, err = w.Move(t.Context(), ref, func(*jobs.Job) (jobs.Effects, error) { return jobs.Effects{}, jobs.ErrStale })
		require.Error(t, err)
		require.Empty(t, heard.take(), "nothing was committed")

		e := w.endpoint()
		w.fire("file.created")
		w.fire("file.created")
		claimed := w.claim(e)
		require.Len(t, claimed, 2)
		heard.take()
		w.end(claimed[0], callbacks.Delivered)
		expect("1 delivered, 0 failed")
		w.record(w.answered(claimed[1], 500))
		expect("0 delivered, 0 failed")
		require.Equal(t, 1, w.record(w.answered(claimed[0], 200)), "refused")
		expect("0 delivered, 0 failed")

		require.NoError(t, w.ShutGate(t.Context(), e, w.now(), w.now()))
		w.pass(callbacks.MaxWait + time.Hour)
		heard.take()
		require.Equal(t, 1, must(w.ExpireDeliveries(t.Context(), w.now()))(t))
		expect("0 delivered, 1 failed")
	})
}

// lockedList is what many say. What was said is given once, commits last.
type lockedList struct {
	mu   sync.Mutex
	said []string
}

func (l *lockedList) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = append(l.said, fmt.Sprintf(format, args...))
}

func (l *lockedList) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var rest, commits []string
	for _, s := range l.said {
		if strings.HasPrefix(s, "commit") {
			commits = append(commits, s)
		} else {
			rest = append(rest, s)
		}
	}
	l.said = nil
	return append(rest, commits...)
}

func TestProbeWrites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	log := func() []byte { return must(os.ReadFile(filepath.Join(dir, "ringback.db-wal")))(t) }
	before := log()
	require.NoError(t, s.Probe(t.Context()))
	require.False(t, bytes.Equal(before, log()), "it stands in the write-ahead log")
	require.Zero(t, count(t, s, "gates"))
	require.NoError(t, s.write(t.Context(), func(tx *gorm.DB) error { return tx.Exec("PRAGMA query_only = 1").Error }))
	require.Error(t, s.Probe(t.Context()), "reads would work")
}

// TestGaugesAreBounded: nobody waits for a scrape, whatever the tables hold.
func TestGaugesAreBounded(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		ref := w.waiting(jobs.KindGeneration, jobs.PriorityNormal, w.now())
		w.endJob(ref)
		w.copies(ref, "done", 50_000)
		quick := func(what string, do func()) {
			least := time.Hour
			for range 5 {
				start := time.Now()
				do()
				least = min(least, time.Since(start))
			}
			require.Less(t, least, 50*time.Millisecond, what)
		}
		quick("nothing unfinished among many that have ended", func() { require.Empty(t, must(w.Unfinished(t.Context()))(t)) })

		w.copies(w.waiting(jobs.KindGeneration, jobs.PriorityNormal, w.now()), "due", countedJobs+1_000)
		w.pass(time.Minute)
		counts := must(w.Unfinished(t.Context()))(t)
		require.Equal(t, []JobCount{{jobs.KindGeneration, jobs.Queued, countedJobs}}, counts)
		quick("the oldest of a long backlog", func() {
			require.Equal(t, time.Minute, must(w.OldestDue(t.Context()))(t)[jobs.LaneCalls])
		})
	})
}

// copies puts n copies of a job beside it, in slices that a statement's time allows.
func (w *world) copies(ref jobs.Ref, name string, n int) {
	w.t.Helper()
	columns, err := w.reads.Migrator().ColumnTypes("jobs")
	require.NoError(w.t, err)
	list := ""
	for _, c := range columns {
		if c.Name() != "id" {
			list += ", " + c.Name()
		}
	}
	for first := 0; first < n; first += 10_000 {
		w.exec(fmt.Sprintf(`INSERT INTO jobs (id%s) WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			SELECT '%s_' || i%[1]s FROM n CROSS JOIN jobs WHERE jobs.project_id = ? AND jobs.id = ?`,
			list, first+1, min(first+10_000, n), name), ref.ProjectID, ref.ID)
	}
	w.exec("ANALYZE jobs")
}

func count(t *testing.T, s *Store, table string) (n int64) {
	t.Helper()
	require.NoError(t, s.reads.Table(table).Count(&n).Error)
	return n
}

func (w *world) shared() bool { return w.reads.Name() == "postgres" }
