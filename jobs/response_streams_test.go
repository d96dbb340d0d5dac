package jobs_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/store"
)

// records are a store that notes what is read of it, and lets a test do something in between.
type records struct {
	*store.Store
	reads     atomic.Int64 // of whole jobs
	looked    func()       // after a look at a stream
	requested func()       // before a request's body is read
	created   func()       // before a job is kept
}

func (r *records) Job(ctx context.Context, ref jobs.Ref) (jobs.Snapshot, error) {
	r.reads.Add(1)
	return r.Store.Job(ctx, ref)
}

func (r *records) LookAtStream(ctx context.Context, ref jobs.Ref, q jobs.StreamQuery) (jobs.StreamLook, error) {
	look, err := r.Store.LookAtStream(ctx, ref, q)
	if r.looked != nil {
		r.looked()
	}
	return look, err
}

func (r *records) Request(ctx context.Context, ref jobs.Ref) ([]byte, error) {
	if r.requested != nil {
		r.requested()
	}
	return r.Store.Request(ctx, ref)
}

func (r *records) CreateJob(ctx context.Context, n jobs.NewJob) (jobs.Woken, error) {
	if r.created != nil {
		r.created()
	}
	return r.Store.CreateJob(ctx, n)
}

// noted puts such a store under the service.
func (x *responding) noted(limits jobs.Limits) *records {
	r := &records{Store: x.store}
	o := x.service.ServiceOptions
	o.Records, o.Limits = r, limits
	x.service = jobs.NewService(o)
	return r
}

func (x *responding) claim(ref jobs.Ref) jobs.Job {
	x.t.Helper()
	claimed, err := x.store.ClaimJobs(x.t.Context(), x.owner, []jobs.Ref{ref}, jobs.At(x.now()))
	require.NoError(x.t, err)
	require.Len(x.t, claimed, 1)
	return claimed[0]
}

// tell keeps events of so many bytes from a number on.
func (x *responding) tell(held jobs.Job, from int64, n, size int) {
	x.t.Helper()
	events := make([]jobs.ResponseEvent, n)
	for i := range events {
		at := from + int64(i)
		data := fmt.Sprintf(`{"type":"a","sequence_number":%d,"delta":"%s"}`, at, strings.Repeat("x", size))
		events[i] = jobs.ResponseEvent{ProjectID: held.ProjectID, JobID: held.ID, N: at, Type: "a", Data: []byte(data)}
	}
	require.NoError(x.t, x.store.KeepResponseEvents(x.t.Context(), held, events))
}

func (x *responding) end(ref jobs.Ref) {
	x.t.Helper()
	_, _, err := x.store.Move(x.t.Context(), ref, func(j *jobs.Job) (jobs.Effects, error) {
		j.Status, j.EndedAt = jobs.Completed, jobs.At(x.now())
		j.Rest()
		return jobs.Effects{Result: []byte(`{"id":"` + ref.ID + `"}`)}, nil
	})
	require.NoError(x.t, err)
}

const streamed = `{"model":"m1","background":true,"input":"hi","stream":true}`

// TestResponseThatBeginsUnderALook: whenever its work begins and its first words come, its stream has no gap.
func TestResponseThatBeginsUnderALook(t *testing.T) {
	t.Parallel()
	for name, seen := range map[string]int64{"the first look": -1, "a later look": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newResponding(t, "")
			r := x.noted(jobs.Limits{})
			ref := x.created(streamed)
			r.looked = sync.OnceFunc(func() {
				x.tell(x.claim(ref), 3, 2, 1)
				x.end(ref)
			})
			var numbers []int64
			for after, ended := seen, false; !ended; {
				var page []jobs.ResponseEvent
				var err error
				page, ended, err = x.service.ResponseEvents(t.Context(), ref, after, 10*time.Second)
				require.NoError(t, err)
				for _, e := range page {
					after = e.N
					numbers = append(numbers, e.N)
				}
			}
			require.Equal(t, []int64{0, 1, 2, 3, 4, 5}[seen+1:], numbers)
		})
	}
}

// TestResponsePagesAreShort: what a stalled reader holds is bounded in bytes, and its end comes all the same.
func TestResponsePagesAreShort(t *testing.T) {
	t.Parallel()
	x := newResponding(t, "")
	ref := x.created(`{"model":"m1","background":true,"input":"hi","stream":true,"instructions":"` + strings.Repeat("x", 700_000) + `"}`)
	held := x.claim(ref)
	x.tell(held, 3, 20, 300_000)
	x.tell(held, 23, 1, 3_000_000)
	x.tell(held, 24, 250, 10)
	x.end(ref)
	var pages []int
	next := int64(0)
	for ended := false; !ended; {
		var page []jobs.ResponseEvent
		var err error
		page, ended, err = x.service.ResponseEvents(t.Context(), ref, next-1, time.Second)
		require.NoError(t, err)
		size := 0
		for _, e := range page {
			require.Equal(t, next, e.N)
			next, size = next+1, size+len(e.Data)
		}
		require.True(t, len(page) == 1 || size < 3<<19, "%d bytes in %d events", size, len(page))
		pages = append(pages, len(page))
	}
	require.Equal(t, int64(275), next)
	require.Equal(t, []int{2, 1, 3, 3, 3, 3, 3, 3, 2, 1, 100, 100, 50, 1}, pages)
}

// TestResponseLooksReadLittle: while a response runs, what it repeats of its request is not read again and again.
func TestResponseLooksReadLittle(t *testing.T) {
	t.Parallel()
	x := newResponding(t, "")
	r := x.noted(jobs.Limits{})
	ref := x.created(streamed)
	held := x.claim(ref)
	page, _, err := x.service.ResponseEvents(t.Context(), ref, -1, time.Second)
	require.NoError(t, err)
	require.Equal(t, "created queued in_progress", typesOf(page))
	for n := int64(3); n < 20; n++ {
		_, ended, err := x.service.ResponseEvents(t.Context(), ref, n-1, time.Microsecond)
		require.NoError(t, err)
		require.False(t, ended)
		x.tell(held, n, 1, 1)
		page, _, err := x.service.ResponseEvents(t.Context(), ref, n-1, time.Second)
		require.NoError(t, err)
		require.Len(t, page, 1)
	}
	require.Equal(t, int64(1), r.reads.Load())
	x.end(ref)
	page, ended, err := x.service.ResponseEvents(t.Context(), ref, 19, time.Second)
	require.NoError(t, err)
	require.True(t, ended)
	require.Equal(t, "completed", typesOf(page))
	require.Equal(t, int64(2), r.reads.Load())
}

// TestResponseHistoryIsBounded by what one request may have, together with the request itself.
func TestResponseHistoryIsBounded(t *testing.T) {
	t.Parallel()
	x := newResponding(t, "")
	x.noted(jobs.Limits{BodyBytes: 3000})
	first := x.created(`{"model":"m1","background":true,"input":"` + strings.Repeat("x", 1800) + `"}`)
	x.end(first)
	next := func(input int) (jobs.Snapshot, error) {
		return x.create(`{"model":"m1","background":true,"input":"` + strings.Repeat("y", input) + `","previous_response_id":"` + first.ID + `"}`)
	}
	_, err := next(900)
	require.NoError(t, err)
	_, err = next(1100)
	var e *jobs.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, jobs.CodeContext, e.Code)
	require.Equal(t, "previous_response_id", e.Param)
	require.Contains(t, e.Message, "at most 3000 are accepted (limits.body_bytes)")
}

// peakHeap is the most that was in use, garbage included, until all have ended.
func peakHeap(all *sync.WaitGroup) (peak uint64) {
	ended := make(chan struct{})
	go func() { all.Wait(); close(ended) }()
	for tick := time.NewTicker(2 * time.Millisecond); ; {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
		select {
		case <-ended:
			tick.Stop()
			return peak
		case <-tick.C:
		}
	}
}

// vanishing is a store whose responses are deleted just after they were claimed.
type vanishing struct {
	*store.Store
	vanish func(ref jobs.Ref)
}

func (v vanishing) Response(ctx context.Context, ref jobs.Ref) (jobs.Response, error) {
	v.vanish(ref)
	return v.Store.Response(ctx, ref)
}

// TestResponseThatIsDeletedJustAfterItsClaim is no failure.
func TestResponseThatIsDeletedJustAfterItsClaim(t *testing.T) {
	t.Parallel()
	x := newResponding(t, providers.ResponsesChat)
	ref := x.created(streamed)
	var log bytes.Buffer
	deleted := 0
	o := x.runner.RunnerOptions
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	o.Store = vanishing{x.store, func(ref jobs.Ref) {
		deleted++
		require.NoError(t, x.service.DeleteResponse(t.Context(), ref))
	}}
	x.later(time.Second)
	jobs.NewRunner(o).WorkJobs(t.Context(), []string{ref.String()})
	require.Equal(t, 1, deleted)
	require.Empty(t, log.String())
}
