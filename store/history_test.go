package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/history"
	"github.com/ringback/ringback/jobs"
)

// theHour is when the clocks of these tests start.
const theHour = jobs.Time(1_749_999_600_000)

func (w *world) onTheHour() { w.clock.Store(int64(theHour)) }

// counter counts into a world's history as one process does.
func (w *world) counter(source string) *history.Recorder {
	return history.NewRecorder(source, w.options.Now)
}

func (w *world) flush(recorders ...*history.Recorder) (rows int) {
	w.t.Helper()
	for _, r := range recorders {
		rows += must(r.Flush(w.t.Context(), w))(w.t)
	}
	return rows
}

func (w *world) history(q history.Query) []history.Point {
	w.t.Helper()
	q.ProjectID = "default"
	return must(w.History(w.t.Context(), q))(w.t)
}

// numbers are what points say, in short.
func numbers(points []history.Point) (said []string) {
	for _, p := range points {
		said = append(said, strings.TrimSpace(fmt.Sprintf("%s %s +%s/%s: %d", p.Series, p.About, time.Duration(p.At-theHour)*time.Millisecond, p.Span, p.N)))
	}
	return said
}

func tookOf(durations ...time.Duration) (s history.Spread) {
	for _, d := range durations {
		s.Add(d)
	}
	return s
}

// TestProcessesCountTogether: each has rows of its own, and whoever reads finds their sum.
func TestProcessesCountTogether(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		w.onTheHour()
		one, two := w.counter("one"), w.counter("two")
		for range 4 {
			one.Call("default", history.CallsOK, "up", 20*time.Millisecond)
			two.Call("default", history.CallsOK, "up", 80*time.Millisecond)
			two.Call("default", history.CallsOK, "down", 80*time.Millisecond)
			two.Call("other", history.CallsOK, "up", time.Second)
			w.flush(one, two)
			w.flush(one, two)
			w.pass(time.Minute)
		}
		asked := history.Query{Series: []string{history.CallsFailed, history.CallsOK}, About: "up", Since: theHour}
		points := w.history(asked)
		require.Equal(t, []string{
			"calls.ok up +0s/1m0s: 2", "calls.ok up +1m0s/1m0s: 2", "calls.ok up +2m0s/1m0s: 2", "calls.ok up +3m0s/1m0s: 2",
		}, numbers(points))
		require.Equal(t, tookOf(20*time.Millisecond, 80*time.Millisecond), points[0].Spread)

		asked.Step = 2 * time.Minute
		points = w.history(asked)
		require.Equal(t, []string{"calls.ok up +0s/2m0s: 4", "calls.ok up +2m0s/2m0s: 4"}, numbers(points))
		require.EqualValues(t, 4, points[1].Spread.Count())
		asked.Since, asked.Until = theHour.Add(3*time.Minute), theHour.Add(3*time.Minute+1)
		require.Equal(t, []string{"calls.ok up +2m0s/2m0s: 4"}, numbers(w.history(asked)), "the first and the last are whole")
		asked.Until = theHour.Add(2 * time.Minute)
		require.Empty(t, w.history(asked))

		every := history.Query{Series: asked.Series, AnyAbout: true, Step: time.Hour}
		require.Equal(t, []string{"calls.ok down +0s/1h0m0s: 4", "calls.ok up +0s/1h0m0s: 8"}, numbers(w.history(every)))
	})
}

// TestHistoryOutlivesAProcess: the next one goes on beside what the last one wrote.
func TestHistoryOutlivesAProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for start := range 3 {
		s, err := Open(t.Context(), Options{Dir: dir, Now: time.Now})
		require.NoError(t, err)
		w := worldOver(t, s)
		r := w.counter(fmt.Sprint("start ", start))
		r.Callback("default", history.CallbacksDelivered, "e", time.Second)
		require.Equal(t, 2, w.flush(r))
		points := w.history(history.Query{Series: []string{history.CallbacksDelivered}})
		require.Len(t, points, 1)
		require.EqualValues(t, start+1, points[0].N)
		require.EqualValues(t, start+1, points[0].Spread.Count())
		require.NoError(t, s.Close())
	}
}

// TestABatchHasAHistory of its own, whose slots grow with its age, and which goes when it goes.
func TestABatchHasAHistory(t *testing.T) {
	t.Parallel()
	onEachDepot(t, func(t *testing.T, d *depot) {
		d.onTheHour()
		r := d.counter("own")
		d.options.Meter = Meter{
			Answered: r.Lines,
			Ended:    func(j *jobs.Job, took time.Duration) { r.JobEnded(j, took) },
		}
		ref := d.running(10)
		d.exec("UPDATE jobs SET model = 'm', started_at = ?", d.now())
		answer := func(first, last int64, ok bool) {
			var lines []jobs.Line
			for n := first; n <= last; n++ {
				l := jobs.Line{ProjectID: ref.ProjectID, JobID: ref.ID, Line: n, OK: ok, Text: []byte("{}"), Took: 300 * time.Millisecond}
				l.InputTokens, l.OutputTokens = 10, 1
				lines = append(lines, l)
			}
			must(d.RecordLines(t.Context(), lines))(t)
			d.flush(r)
		}
		answer(1, 2, true)
		answer(1, 4, true) // two of them anew
		d.pass(5 * time.Minute)
		answer(5, 5, false)
		d.pass(time.Hour)
		answer(6, 9, true)
		lines := history.Query{Series: []string{history.LinesOK, history.LinesFailed}}
		own := lines
		own.About = ref.ID
		points := d.history(own)
		require.Equal(t, []string{
			"lines.ok " + ref.ID + " +0s/1s: 4", "lines.ok " + ref.ID + " +1h5m0s/1m0s: 4", "lines.failed " + ref.ID + " +5m0s/10s: 1",
		}, numbers(points))
		require.Equal(t, tookOf(300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond), points[0].Spread)
		own.Step = 2 * time.Hour
		require.Equal(t, map[string]int64{history.LinesOK: 8, history.LinesFailed: 1}, sums(d.history(own)))
		for _, step := range []time.Duration{0, 2 * time.Hour} {
			lines.Step = step
			require.Equal(t, map[string]int64{history.LinesOK: 8, history.LinesFailed: 1}, sums(d.history(lines)), "the project's")
		}
		tokens := history.Query{Series: []string{history.TokensInput, history.TokensOutput}, About: "m"}
		require.Equal(t, map[string]int64{history.TokensInput: 90, history.TokensOutput: 9}, sums(d.history(tokens)))

		d.ends(ref)
		d.pass(9 * day)
		d.purge(Periods{})
		require.Empty(t, d.history(lines))
		require.Equal(t, map[string]int64{history.LinesOK: 8, history.LinesFailed: 1}, sums(d.history(own)), "as long as the batch")
		d.purge(aDay)
		require.Zero(t, d.count("job_history"))
	})
}

func sums(points []history.Point) map[string]int64 {
	all := map[string]int64{}
	for _, p := range points {
		all[p.Series] += p.N
	}
	return all
}

// TestOldHistoryGoes slice by slice, after eight days to the millisecond.
func TestOldHistoryGoes(t *testing.T) {
	t.Parallel()
	onEachDepot(t, func(t *testing.T, d *depot) {
		d.onTheHour()
		r := d.counter("own")
		for i := range 1500 {
			r.Callback("default", history.CallbacksRetried, fmt.Sprint("e", i), 0)
		}
		d.flush(r)
		require.Equal(t, 1501, d.count("history"))
		d.pass(historyKept - time.Millisecond)
		r.Callback("default", history.CallbacksRetried, "", 0)
		d.flush(r)
		d.purge(Periods{})
		require.Equal(t, 1502, d.count("history"))
		d.pass(time.Millisecond)
		require.Equal(t, 1501, d.purge(Periods{}))
		require.Equal(t, 1, d.count("history"))
	})
}

func TestCallbacksAreHeardOfByTheirOutcomes(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		var heard lockedList
		w.options.Meter = Meter{
			Attempted: func(held []callbacks.Outcome) {
				for _, o := range held {
					heard.add("%s %s %s", o.Claimed.EndpointID, o.Decision.State, o.Took)
				}
			},
			GaveUp: func(ended []callbacks.Delivery) { heard.add("%d given up for %s", len(ended), ended[0].EndpointID) },
		}
		e := w.endpoint()
		w.fire("file.created")
		c := w.claimOne(e)
		o := w.answered(c, 500)
		o.Took = time.Second
		w.record(o)
		require.Equal(t, []string{e.ID + " waiting 1s"}, heard.take())
		w.record(o)
		require.Empty(t, heard.take(), "its claim does not hold")
		require.NoError(t, w.ShutGate(t.Context(), e, begun, begun))
		w.pass(callbacks.MaxWait + time.Hour)
		require.Equal(t, 1, must(w.ExpireDeliveries(t.Context(), w.now()))(t))
		require.Equal(t, []string{"1 given up for " + e.ID}, heard.take())
	})
}

func TestJobsAreSampled(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		w.onTheHour()
		one, two := &JobSampler{Store: w.Store}, &JobSampler{Store: w.Store}
		sample := func(s *JobSampler) int { return must(s.runOnce(t.Context()))(t) }
		require.Zero(t, sample(one)+sample(two), "while nothing goes on nothing is written")

		waits := w.waiting(jobs.KindGeneration, jobs.PriorityNormal, w.now())
		require.Equal(t, 1, sample(one))
		require.Zero(t, sample(two), "the other one has said so")
		for range 9 {
			w.pass(time.Minute)
			require.Zero(t, sample(one)+sample(two))
		}
		w.pass(time.Minute)
		require.Equal(t, 1, sample(two)+sample(one), "somebody still looks")
		must(w.ClaimJobs(t.Context(), "own", []jobs.Ref{waits}, w.now()))(t)
		w.pass(time.Minute)
		require.Equal(t, 2, sample(one))
		w.pass(time.Minute)
		w.endJob(waits)
		require.Equal(t, 1, sample(two))
		w.pass(24 * time.Hour)
		require.Zero(t, sample(one))

		q := history.Query{Series: []string{history.JobsWaiting, history.JobsRunning}, Since: theHour.Add(8 * time.Minute), Until: theHour.Add(14 * time.Minute)}
		require.Equal(t, map[string][]int64{history.JobsWaiting: {1, 1, 1, 0, 0, 0}, history.JobsRunning: {1, 0, 0}}, inSeries(w.history(q)))
		q.Since, q.Until = w.now().Add(-time.Minute), w.now().Add(time.Hour)
		require.Equal(t, map[string][]int64{history.JobsWaiting: {0, 0}, history.JobsRunning: {0, 0}}, inSeries(w.history(q)), "until now")
	})
}

func inSeries(points []history.Point) map[string][]int64 {
	all := map[string][]int64{}
	for _, p := range points {
		all[p.Series] = append(all[p.Series], p.N)
	}
	return all
}

// tenDays of a series are as a busy process writes them: more than are kept.
const tenDays = `INSERT INTO history (project_id, series, about, at, span, source, n, spread)
	WITH RECURSIVE n(i) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < CAST(? AS BIGINT))
	SELECT 'default', ?, ?, ? + i * CAST(? AS BIGINT), CAST(? AS BIGINT), 'own_01J00000000000000000000000', 17, '17:250 18:40 19:100 20:30 21:22 22:12 23:5 24:1 ' FROM n`

func (w *world) tenDays(series, about string, span time.Duration) {
	w.t.Helper()
	w.exec(tenDays, int64(10*24*time.Hour/span), series, about, int64(theHour), span.Milliseconds(), span.Milliseconds())
}

// TestADayIsReadAtOnce: by the index, of few rows.
func TestADayIsReadAtOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		for _, about := range []string{"a", "b", "c"} {
			w.tenDays(history.CallsOK, about, time.Minute)
			w.tenDays(history.CallsOK, about, 5*time.Minute)
		}
		w.tenDays(history.LinesOK, "", 10*time.Second)
		w.tenDays(history.LinesOK, "", 5*time.Minute)
		w.exec("ANALYZE")
		for _, q := range []history.Query{
			{Series: []string{history.LinesOK}, Step: 5 * time.Minute},
			{Series: []string{history.LinesOK}, Step: 30 * time.Minute},
			{Series: []string{history.CallsOK}, About: "b", Step: 15 * time.Minute},
			{Series: []string{history.CallsOK}, AnyAbout: true, Step: time.Hour},
		} {
			q.Since, q.Until = theHour.Add(5*24*time.Hour), theHour.Add(6*24*time.Hour)
			best := time.Hour
			var points []history.Point
			for range 20 {
				began := time.Now()
				points = w.history(q)
				best = min(best, time.Since(began))
			}
			require.NotEmpty(t, points)
			t.Logf("%v about %q (any: %t) in steps of %s: %d points in %s", q.Series, q.About, q.AnyAbout, q.Step, len(points), best)
			require.Less(t, best, 50*time.Millisecond)
		}
	})
}
