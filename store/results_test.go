package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// running is a batch in progress with so many lines.
func (w *world) running(lines int64) jobs.Ref {
	w.t.Helper()
	j := jobs.Job{ProjectID: "default", ID: jobs.NewID("batch_"), Kind: jobs.KindBatch, Status: jobs.InProgress, Total: lines + 1, Priority: jobs.PriorityNormal}
	w.do(func(tx *gorm.DB) error { return tx.Create(&j).Error })
	return j.Ref()
}

// answer keeps outcomes of a batch's lines, in this order; every third has failed. pad is the length of each.
func (w *world) answer(job jobs.Ref, pad int, lines ...int64) {
	w.t.Helper()
	var set []jobs.Line
	for _, n := range lines {
		text := fmt.Sprintf(`{"n":%d,"pad":"%s"}`, n, strings.Repeat("x", pad))
		set = append(set, jobs.Line{ProjectID: job.ProjectID, JobID: job.ID, Line: n, OK: n%3 != 0, Text: []byte(text)})
	}
	_, err := w.RecordLines(w.t.Context(), set)
	require.NoError(w.t, err)
}

func span(from, to int64) (lines []int64) {
	for n := from; n <= to; n++ {
		lines = append(lines, n)
	}
	return lines
}

// results reads all pages.
func (w *world) results(q jobs.ResultQuery) (numbers []int64, pages int) {
	w.t.Helper()
	for {
		lines, last, err := w.Results(w.t.Context(), q)
		require.NoError(w.t, err)
		if len(lines) == 0 {
			require.Equal(w.t, q.After, last)
			return numbers, pages
		}
		for _, text := range lines {
			var n int64
			_, err := fmt.Sscanf(string(text), `{"n":%d`, &n)
			require.NoError(w.t, err)
			numbers = append(numbers, n)
		}
		q.After, q.Skip = last, 0
		pages++
	}
}

// TestResultsComeInTheOrderInWhichTheyWereKept, also where several batches' come in turns.
func TestResultsComeInTheOrderInWhichTheyWereKept(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		a, b := w.running(100), w.running(100)
		w.answer(a, 0, 5, 1)
		w.answer(b, 0, 1, 2)
		w.answer(a, 0, 9, 3, 1, 5) // the first outcome of a line counts
		w.answer(b, 0, 7)
		w.answer(a, 0, 2)
		got, _ := w.results(jobs.ResultQuery{Job: a})
		require.Equal(t, []int64{5, 1, 9, 3, 2}, got)
		got, _ = w.results(jobs.ResultQuery{Job: a, Skip: 3})
		require.Equal(t, []int64{3, 2}, got)
		got, _ = w.results(jobs.ResultQuery{Job: b})
		require.Equal(t, []int64{1, 2, 7}, got)
		for _, q := range []jobs.ResultQuery{{Job: a, Skip: 5}, {Job: a, Skip: 1 << 40}, {Job: jobs.Ref{ProjectID: "other", ID: a.ID}}} {
			got, _ = w.results(q)
			require.Empty(t, got)
		}
	})
}

func TestPagesOfResultsAreBounded(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		many, long := w.running(2500), w.running(8)
		w.answer(many, 0, span(1, 2500)...)
		w.answer(long, 600<<10, span(1, 7)...)
		got, pages := w.results(jobs.ResultQuery{Job: many})
		require.Equal(t, span(1, 2500), got)
		require.Equal(t, 3, pages)
		got, pages = w.results(jobs.ResultQuery{Job: long})
		require.Equal(t, span(1, 7), got)
		require.Equal(t, 4, pages, "two of 600 KiB are over a megabyte")
	})
}

// TestCopiesOfLines are made page by page, as often as one likes, and never over what stands there.
func TestCopiesOfLines(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		from, to := w.running(2500), w.running(2500)
		w.answer(from, 0, span(1, 2500)...)
		w.answer(to, 1, 2)
		var copied int64
		for range 2 {
			pages := 0
			copied = 0
			for after := int64(0); ; pages++ {
				last, n, err := w.CopyLines(t.Context(), from, to, after)
				require.NoError(t, err)
				if n == 0 {
					break
				}
				copied, after = copied+n, last
			}
			require.Equal(t, 2, pages)
			require.EqualValues(t, 1667, copied)
		}
		got, _ := w.results(jobs.ResultQuery{Job: to})
		require.Len(t, got, 1667)
		for _, n := range got {
			require.NotZero(t, n%3, "failures stay behind")
		}
		lines, _, err := w.Results(t.Context(), jobs.ResultQuery{Job: to})
		require.NoError(t, err)
		require.Equal(t, `{"n":2,"pad":"x"}`, string(lines[0]))

		long := w.running(40)
		w.answer(long, 1<<20, span(1, 20)...)
		last, n, err := w.CopyLines(t.Context(), long, w.running(40), 0)
		require.NoError(t, err)
		require.Equal(t, []int64{11, 8}, []int64{last, n}, "a page ends after 8 MiB")
	})
}

// TestResultsOfALargeBatchAreFoundQuickly, whatever was kept after them.
func TestResultsOfALargeBatchAreFoundQuickly(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		old, other := w.running(50_000), w.running(50_000)
		for set := range slices.Chunk(span(1, 50_000), 5_000) {
			w.answer(old, 0, set...)
		}
		for set := range slices.Chunk(span(1, 50_000), 5_000) {
			w.answer(other, 0, set...)
		}
		least := time.Hour
		for range 5 {
			start := time.Now()
			lines, _, err := w.Results(t.Context(), jobs.ResultQuery{Job: old, After: 25_000})
			least = min(least, time.Since(start))
			require.NoError(t, err)
			require.Len(t, lines, 1000)
		}
		t.Logf("a page of a large batch takes %s", least)
		require.Less(t, least, 250*time.Millisecond)
	})
}

// TestResultsAreFoundByTheirIndex, which alone tells where a page begins and ends.
func TestResultsAreFoundByTheirIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	job := w.running(10)
	w.answer(job, 0, span(1, 10)...)
	asked := w.asked()
	plan := strings.Join(asked(func() {
		lines, _, err := w.Results(t.Context(), jobs.ResultQuery{Job: job, After: 5})
		require.NoError(t, err)
		require.Len(t, lines, 5)
	}), "\n")
	require.Contains(t, plan, "USING COVERING INDEX lines_line (project_id=? AND job_id=?)", plan)
	require.NotRegexp(t, `SCAN [a-z]+(\n|$)`, plan, "a whole table is read")
}

// TestAPageOfResultsNeedsOneConnection: who holds one and asks for another waits for others who do the same.
func TestAPageOfResultsNeedsOneConnection(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		ref := w.running(4)
		w.answer(ref, resultBytes, span(1, 4)...) // longer than a page: rows are left
		w.Store.reading.SetMaxOpenConns(1)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		lines, last, err := w.Results(ctx, jobs.ResultQuery{Job: ref})
		require.NoError(t, err)
		require.Len(t, lines, 1)
		require.Positive(t, last)
	})
}
