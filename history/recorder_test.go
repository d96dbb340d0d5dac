package history

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

const begun = jobs.Time(1_750_000_020_000) // a multiple of a minute, and of no more

// ledger keeps rows as a table does.
type ledger struct {
	mu     sync.Mutex
	rows   map[ledgerKey]Row
	writes int
	fails  error
}

// ledgerKey is a row's key in it.
type ledgerKey struct {
	slotKey
	source string
}

func newLedger() *ledger { return &ledger{rows: map[ledgerKey]Row{}} }

func (l *ledger) KeepHistory(_ context.Context, rows []Row) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fails != nil {
		return l.fails
	}
	l.writes++
	for _, r := range rows {
		l.rows[ledgerKey{r.key(), r.Source}] = r
	}
	return nil
}

func (l *ledger) sum(series, about string, span time.Duration) (n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, r := range l.rows {
		if key.series == series && key.about == about && key.span == span {
			n += r.N
		}
	}
	return n
}

// clocked is a recorder whose clock stands until the test moves it.
type clocked struct {
	*Recorder
	t     *testing.T
	clock atomic.Int64
	*ledger
}

func newClocked(t *testing.T) *clocked {
	t.Helper()
	c := &clocked{t: t, ledger: newLedger()}
	c.clock.Store(int64(begun))
	c.Recorder = NewRecorder("own", func() time.Time { return time.UnixMilli(c.clock.Load()) })
	return c
}

func (c *clocked) pass(d time.Duration) { c.clock.Add(d.Milliseconds()) }

func (c *clocked) flush() int {
	c.t.Helper()
	n, err := c.Flush(c.t.Context(), c)
	require.NoError(c.t, err)
	return n
}

func (c *clocked) call() { c.Call("p", CallsOK, "up", 20*time.Millisecond) }

func TestBatchSpansGrowWithAge(t *testing.T) {
	t.Parallel()
	slots, day := 0, 24*time.Hour
	for age := time.Duration(0); age < day; age += BatchSpan(age) {
		slots++
	}
	require.Less(t, slots, 800)
	for _, tt := range []struct{ age, want time.Duration }{
		{-time.Second, time.Second},
		{0, time.Second},
		{4*time.Minute - 1, time.Second},
		{4 * time.Minute, 10 * time.Second},
		{40 * time.Minute, time.Minute},
		{4*time.Hour - 1, time.Minute},
		{4 * time.Hour, 10 * time.Minute},
		{7 * day, 10 * time.Minute},
	} {
		require.Equal(t, tt.want, BatchSpan(tt.age), tt.age)
	}
}

func TestSpansFitTheSteps(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		series, about string
		step, want    time.Duration
	}{
		{LinesOK, "", 0, 10 * time.Second},
		{LinesOK, "", time.Minute, 10 * time.Second},
		{LinesFailed, "", 5 * time.Minute, 5 * time.Minute},
		{LinesFailed, "", 6 * time.Minute, 10 * time.Second},
		{LinesOK, "", time.Hour, 5 * time.Minute},
		{LinesOK, "batch_1", time.Hour, 0},
		{CallsLimited, "up", time.Minute, time.Minute},
		{CallsOK, "up", time.Second, time.Minute},
		{CallsOK, "up", time.Hour, 5 * time.Minute},
		{CallbacksRetried, "", 0, 5 * time.Minute},
		{TokensInput, "m", time.Minute, 10 * time.Minute},
	} {
		require.Equal(t, tt.want, SpanFor(tt.series, tt.about, tt.step), "%s %s %s", tt.series, tt.about, tt.step)
	}
	for _, spans := range spansOf {
		for _, s := range spans {
			require.Zero(t, (24*time.Hour)%s)
		}
	}
}

func TestSlotsAreWrittenAsTheyGrow(t *testing.T) {
	t.Parallel()
	c := newClocked(t)
	require.Zero(t, c.flush())
	c.call()
	c.call()
	require.Equal(t, 2, c.flush(), "of a minute and of five")
	c.call()
	require.Equal(t, 2, c.flush())
	require.EqualValues(t, 3, c.sum(CallsOK, "up", time.Minute))
	c.pass(time.Minute)
	c.call()
	require.Equal(t, 2, c.flush())
	require.EqualValues(t, 4, c.sum(CallsOK, "up", time.Minute))
	require.EqualValues(t, 4, c.sum(CallsOK, "up", coarse))
	require.Len(t, c.rows, 3)
	for _, r := range c.rows {
		require.Equal(t, r.N, r.Spread.Count())
		require.Equal(t, "own", r.Source)
		require.Zero(t, r.At.Time().UnixMilli()%r.Span.Milliseconds())
	}
	c.pass(time.Hour)
	require.Zero(t, c.flush())
	require.Empty(t, c.slots, "what has ended and stands is let go of")
	require.Equal(t, 3, c.writes, "and nothing is written where nothing has changed")
}

// TestAnIdleProcessWritesNothing, however long it runs; one that counts writes every two seconds.
func TestAnIdleProcessWritesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		r := NewRecorder("own", time.Now)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { r.Run(ctx, l, slog.New(slog.DiscardHandler)) })
		time.Sleep(time.Hour)
		require.Zero(t, l.writes)
		r.Call("p", CallsFailed, "up", 0)
		time.Sleep(flushEvery)
		synctest.Wait()
		require.Equal(t, 1, l.writes)
		time.Sleep(time.Hour + flushEvery/2)
		require.Equal(t, 1, l.writes)
		r.Call("p", CallsFailed, "up", 0)
		stop()
		running.Wait()
		require.EqualValues(t, 1, l.sum(CallsFailed, "up", time.Minute))
		n, err := r.Flush(t.Context(), l)
		require.NoError(t, err)
		require.Equal(t, 2, n, "what came last waits for the last write")
		require.EqualValues(t, 2, l.sum(CallsFailed, "up", time.Minute))
	})
}

func TestWhatCannotBeWrittenWaits(t *testing.T) {
	t.Parallel()
	c := newClocked(t)
	c.fails = errors.New("the disk is full")
	for range 10 {
		c.call()
		_, err := c.Flush(t.Context(), c)
		require.ErrorIs(t, err, c.fails)
		c.pass(time.Minute)
	}
	c.fails = nil
	c.flush()
	require.EqualValues(t, 10, c.sum(CallsOK, "up", time.Minute))
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	c := newClocked(t)
	name := func(i int) string {
		return strings.Repeat("x", i%7) + string(rune('a'+i%26)) + time.Duration(i).String()
	}
	const all = 3 * mostSlots
	for i := range all {
		c.Callback("p", CallbacksDelivered, name(i), time.Second)
	}
	require.Len(t, c.slots, mostSlots)
	require.EqualValues(t, all-(mostSlots-1), c.takeLost(), "all but one of them are about endpoints")
	c.Callback("p", CallbacksDelivered, name(all), time.Second)
	require.Zero(t, c.takeLost(), "it has been said just now")
	c.Callback("p", CallbacksGaveUp, name(all), time.Second)
	c.pass(sayLost)
	require.EqualValues(t, 2, c.takeLost())
	require.EqualValues(t, all+1, c.flushed(CallbacksDelivered, ""), "the sum is right all the same")
	require.EqualValues(t, 1, c.flushed(CallbacksGaveUp, ""))
	require.Equal(t, mostSlots/flushRows+1, c.writes)
	c.pass(coarse)
	c.flush()
	require.Empty(t, c.slots)
}

func (c *clocked) flushed(series, about string) int64 {
	c.t.Helper()
	c.flush()
	return c.sum(series, about, coarse)
}

// TestAClockThatIsSetBack takes nothing away from what stands.
func TestAClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	c := newClocked(t)
	for range 3 {
		for range 20 {
			c.call()
			c.pass(time.Minute)
			c.flush()
		}
		c.pass(-20 * time.Minute)
	}
	require.EqualValues(t, 60, c.sum(CallsOK, "up", time.Minute))
	require.EqualValues(t, 60, c.sum(CallsOK, "up", coarse))
	sources := map[string]bool{}
	for key := range maps.Keys(c.rows) {
		sources[key.source] = true
	}
	require.LessOrEqual(t, len(sources), 3)
}

// TestManyCountAtOnce: nothing is lost or counted twice while others write.
func TestManyCountAtOnce(t *testing.T) {
	t.Parallel()
	l := newLedger()
	r := NewRecorder("own", time.Now)
	batch := &jobs.Job{ProjectID: "p", ID: "batch_1", Kind: jobs.KindBatch, Model: "m", StartedAt: jobs.At(time.Now())}
	var took Spread
	took.Add(time.Second)
	var counting, writing sync.WaitGroup
	stop := make(chan struct{})
	writing.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = r.Flush(t.Context(), l)
			}
		}
	})
	const callers, each = 8, 2000
	for range callers {
		counting.Go(func() {
			for range each {
				r.Call("p", CallsLimited, "up", 0)
				r.Lines(batch, jobs.Tally{Completed: 1, Failed: 1}, took)
			}
		})
	}
	counting.Wait()
	close(stop)
	writing.Wait()
	_, err := r.Flush(t.Context(), l)
	require.NoError(t, err)
	for _, span := range []time.Duration{10 * time.Second, coarse} {
		require.EqualValues(t, callers*each, l.sum(LinesOK, "", span))
		require.EqualValues(t, callers*each, l.sum(LinesFailed, "", span))
	}
	require.EqualValues(t, callers*each, l.sum(LinesOK, "batch_1", time.Second))
	require.EqualValues(t, callers*each, l.sum(CallsLimited, "up", time.Minute))
}

func TestSingleCallsCountAtTheirEnd(t *testing.T) {
	t.Parallel()
	c := newClocked(t)
	call := jobs.Job{ProjectID: "p", Kind: jobs.KindGeneration, Model: "m"}
	ended := func(j jobs.Job, change func(*jobs.Job), took time.Duration) {
		change(&j)
		c.JobEnded(&j, took)
	}
	ended(call, func(j *jobs.Job) { j.Completed, j.InputTokens, j.OutputTokens = 1, 7, 3 }, time.Second)
	ended(call, func(j *jobs.Job) { j.Kind, j.Completed = jobs.KindResponse, 1 }, 0)
	ended(call, func(j *jobs.Job) { j.Failed = 1 }, 0)
	ended(call, func(j *jobs.Job) { j.Status = jobs.Cancelled }, 0)
	ended(call, func(j *jobs.Job) { j.Kind, j.Completed, j.InputTokens = jobs.KindBatch, 5, 5 }, 0)
	ended(call, func(j *jobs.Job) { j.Kind, j.Completed = jobs.KindTuning, 5 }, 0)
	c.flush()
	require.EqualValues(t, 2, c.sum(LinesOK, "", coarse))
	require.EqualValues(t, 1, c.sum(LinesFailed, "", coarse))
	require.EqualValues(t, 7, c.sum(TokensInput, "m", 10*time.Minute))
	require.EqualValues(t, 3, c.sum(TokensOutput, "m", 10*time.Minute))
	for _, r := range c.rows {
		if r.Series == LinesOK {
			require.EqualValues(t, 1, r.Spread.Count(), "of one it is not known how long it took")
		}
	}
}

func TestNobodyNeedsToCount(t *testing.T) {
	t.Parallel()
	var none *Recorder
	none.Call("p", CallsOK, "up", 0)
	none.Callback("p", CallbacksDelivered, "e", 0)
	none.Lines(&jobs.Job{}, jobs.Tally{Completed: 1}, Spread{})
	none.JobEnded(&jobs.Job{Kind: jobs.KindGeneration, Completed: 1}, 0)
}

// BenchmarkHooks is what is paid for the history on the hot paths: for a call, for a set of lines (each of which also adds
// to a spread), for an attempt at a callback.
func BenchmarkHooks(b *testing.B) {
	r := NewRecorder("own", time.Now)
	batch := &jobs.Job{ProjectID: "p", ID: "batch_1", Kind: jobs.KindBatch, Model: "m", StartedAt: jobs.At(time.Now())}
	var took Spread
	for i := range 1000 {
		took.Add(time.Duration(i) * time.Millisecond)
	}
	for name, hook := range map[string]func(){
		"call":     func() { r.Call("p", CallsOK, "up", time.Second) },
		"set":      func() { r.Lines(batch, jobs.Tally{Completed: 1000}, took) },
		"callback": func() { r.Callback("p", CallbacksDelivered, "e", time.Second) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				hook()
			}
		})
	}
	b.Run("call by many", func(b *testing.B) {
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				r.Call("p", CallsOK, "up", time.Second)
			}
		})
	})
}
