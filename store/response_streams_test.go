package store

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// tell adds events of so many bytes to a response's stream, from a number on.
func (d *depot) tell(ref jobs.Ref, from, n, bytes int) {
	d.t.Helper()
	d.do(func(tx *gorm.DB) error {
		return tx.Exec(`WITH RECURSIVE c(n) AS (SELECT CAST(? AS BIGINT) UNION ALL SELECT n + 1 FROM c WHERE n < ?)
			INSERT INTO response_events (project_id, job_id, n, type, data) SELECT ?, ?, n, 'a', ? FROM c`,
			from, from+n-1, ref.ProjectID, ref.ID, make([]byte, bytes)).Error
	})
}

func (d *depot) told(ref jobs.Ref) int {
	d.t.Helper()
	return d.count("response_events WHERE job_id = ?", ref.ID)
}

func uncalled(*jobs.Job) (jobs.Effects, error) {
	return jobs.Effects{}, errors.New("it has ended already")
}

// TestDeletingALongStreamHoldsNobodyUp: a long event before 20,000 short ones, deleted while others write.
func TestDeletingALongStreamHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	onEachDepot(t, func(t *testing.T, d *depot) {
		before, ref, other := d.response("resp_0", 1), d.response("resp_1", 0), d.response("resp_2", 1)
		d.endAs(before, jobs.Completed)
		d.endAs(ref, jobs.Completed)
		d.tell(ref, 3, 1, 10<<20)
		d.tell(ref, 4, 20_000, 60)
		ctx, stop := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		ended.Go(func() { d.janitor.Run(ctx) })
		defer ended.Wait()
		defer stop()
		must(d.DeleteResponse(t.Context(), before, uncalled))(t) // what the janitor does when it begins is done with this one
		require.Eventually(t, func() bool { return d.count("spent_streams") == 0 }, time.Minute, 10*time.Millisecond)

		began := time.Now()
		must(d.DeleteResponse(t.Context(), ref, uncalled))(t)
		took := time.Since(began)
		require.Less(t, took, 5*time.Second)
		_, err := d.LookAtStream(t.Context(), ref, jobs.StreamQuery{Events: 10, Bytes: 1000})
		require.True(t, jobs.IsCode(err, jobs.CodeNotFound), "%v", err)
		_, err = d.Job(t.Context(), ref)
		require.True(t, jobs.IsCode(err, jobs.CodeNotFound), "%v", err)

		slowest, writes := time.Duration(0), 0
		for began := time.Now(); d.count("spent_streams") > 0; writes++ {
			require.Less(t, time.Since(began), time.Minute, "the janitor begins by itself")
			at := time.Now()
			_, _, err := d.Move(t.Context(), other, func(*jobs.Job) (jobs.Effects, error) { return jobs.Effects{}, nil })
			require.NoError(t, err)
			slowest = max(slowest, time.Since(at))
		}
		require.Less(t, slowest, 5*time.Second) // minutes, where one DELETE takes all; the machine may be busy
		require.Zero(t, d.told(ref))
		require.Equal(t, 1, d.told(other))
		t.Logf("DELETE took %s; the slowest of %d writes meanwhile %s", took, writes, slowest)
	})
}

// TestSpentEventsGoSliceBySlice, each bounded in rows and bytes; a crash in between loses nothing.
func TestSpentEventsGoSliceBySlice(t *testing.T) {
	t.Parallel()
	onEachDepot(t, func(t *testing.T, d *depot) {
		ref := d.response("resp_1", 0)
		d.endAs(ref, jobs.Completed)
		d.tell(ref, 3, 1, 3*sliceBytes)
		d.tell(ref, 4, 5, sliceBytes/4)
		d.tell(ref, 9, 2*slice+1, 10)
		must(d.DeleteResponse(t.Context(), ref, uncalled))(t)
		require.Equal(t, 2*slice+7, d.told(ref), "a delete removes none of them")

		var sizes []int
		for len(sizes) < 100 {
			n := must(d.janitor.spent(t.Context()))(t)
			if n == 0 {
				break
			}
			sizes = append(sizes, n)
			d.janitor = &Janitor{Store: d.Store, Files: d.files, Log: d.janitor.Log} // nothing is known but what is kept
		}
		require.Equal(t, []int{1, 4, slice, slice, 2, 1}, sizes)
		require.Zero(t, d.told(ref))
		require.Zero(t, d.count("spent_streams"))
	})
}

// TestALookAtAStreamIsBounded in events and in bytes, and takes a longer event alone.
func TestALookAtAStreamIsBounded(t *testing.T) {
	t.Parallel()
	onEachDepot(t, func(t *testing.T, d *depot) {
		ref := d.response("resp_1", 0)
		d.tell(ref, 3, 3, 400)
		d.tell(ref, 6, 1, 5000)
		d.tell(ref, 7, 12, 10)
		var pages [][]int64
		for after := int64(2); ; {
			look := must(d.LookAtStream(t.Context(), ref, jobs.StreamQuery{After: after, Events: 10, Bytes: 1000}))(t)
			require.Equal(t, jobs.InProgress, look.Status)
			require.Equal(t, d.now(), look.StartedAt)
			if len(look.Events) == 0 {
				break
			}
			after = look.Events[len(look.Events)-1].N
			pages = append(pages, []int64{look.Events[0].N, after})
		}
		require.Equal(t, [][]int64{{3, 4}, {5, 5}, {6, 6}, {7, 16}, {17, 18}}, pages)
	})
}

// TestALookAtAStreamReadsNoLongColumns: it is made again and again while a stream runs.
func TestALookAtAStreamReadsNoLongColumns(t *testing.T) {
	t.Parallel()
	d := depotOver(t, newWorld(t))
	ref := d.response("resp_1", 2)
	asked := d.asked()
	plans := asked(func() { must(d.LookAtStream(t.Context(), ref, jobs.StreamQuery{Events: 10, Bytes: 1000}))(t) })
	require.Len(t, plans, 3)
	for _, plan := range plans {
		require.NotContains(t, plan, "SCAN")
		require.NotContains(t, plan, "TEMP B-TREE")
		require.NotContains(t, plan, "settings")
		require.NotContains(t, plan, "request")
	}
	require.Contains(t, plans[2], "response_events_numbered")
}

// TestALookAtAStreamIsOfOneMoment: where a response begins and speaks in the middle of a look, nothing of it is seen.
func TestALookAtAStreamIsOfOneMoment(t *testing.T) {
	t.Parallel()
	onEachDepot(t, func(t *testing.T, d *depot) {
		j := jobs.Job{ProjectID: "default", ID: "resp_1", Kind: jobs.KindResponse, Status: jobs.Queued, CreatedAt: d.now()}
		j.Due(d.now())
		facts := &jobs.Response{ProjectID: "default", JobID: j.ID, Settings: []byte(`{}`), Items: []byte(`[]`), Streaming: jobs.Streamed}
		must(d.CreateJob(t.Context(), jobs.NewJob{Job: j, Body: []byte(`{}`), Response: facts}))(t)
		begin := sync.OnceFunc(func() {
			held := must(d.ClaimJobs(context.Background(), "own", []jobs.Ref{j.Ref()}, d.now()))(t)[0]
			word := jobs.ResponseEvent{ProjectID: "default", JobID: j.ID, N: 3, Type: "a", Data: []byte(`{}`)}
			require.NoError(t, d.KeepResponseEvents(context.Background(), held, []jobs.ResponseEvent{word}))
		})
		require.NoError(t, d.reads.Callback().Row().After("gorm:row").Register("begin", func(tx *gorm.DB) {
			if strings.Contains(tx.Statement.SQL.String(), "response_events") {
				begin()
			}
		}))
		first := must(d.LookAtStream(t.Context(), j.Ref(), jobs.StreamQuery{Events: 10, Bytes: 1000}))(t)
		require.Equal(t, jobs.StreamLook{Status: jobs.Queued}, first)
		second := must(d.LookAtStream(t.Context(), j.Ref(), jobs.StreamQuery{Events: 10, Bytes: 1000}))(t)
		require.Equal(t, d.now(), second.StartedAt)
		require.Len(t, second.Events, 1)
	})
}

// TestAStepThatFailsStopsNoOther of the janitor's.
func TestAStepThatFailsStopsNoOther(t *testing.T) {
	t.Parallel()
	onEachDepot(t, func(t *testing.T, d *depot) {
		ref := d.response("resp_1", 2)
		d.endAs(ref, jobs.Completed)
		must(d.DeleteResponse(t.Context(), ref, uncalled))(t)
		d.do(func(tx *gorm.DB) error { return tx.Exec("ALTER TABLE idempotency_keys RENAME TO elsewhere").Error })
		n, err := d.janitor.runOnce(t.Context())
		d.exec("ALTER TABLE elsewhere RENAME TO idempotency_keys")
		require.ErrorContains(t, err, "idempotency_keys")
		require.Equal(t, 3, n)
		require.Zero(t, d.told(ref))
	})
}
