package jobs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ringback/ringback/providers"
)

// TestProgress feeds sets of outcomes to a batch of 100 lines, by a clock of its own.
func TestProgress(t *testing.T) {
	t.Parallel()
	type set struct {
		after time.Duration // since the one before
		lines int64
		told  int64 // the tenths that a batch.progress told; zero for none
	}
	tests := []struct {
		name string
		sets []set
	}{
		{"slow: each tenth", []set{
			{time.Minute, 9, 0},
			{time.Minute, 1, 1},
			{time.Minute, 10, 2},
			{time.Minute, 9, 0},
			{time.Minute, 2, 3},
			{time.Minute, 68, 9},
			{time.Minute, 1, 0},
		}},
		{"the end alone", []set{{time.Minute, 100, 0}}},
		{"never at the end", []set{{time.Minute, 50, 5}, {time.Minute, 50, 0}}},
		{"a jump tells where it led", []set{{time.Minute, 37, 3}, {time.Minute, 42, 7}, {time.Minute, 20, 9}}},
		{"quick: once, then the end", []set{{0, 20, 2}, {time.Second, 30, 0}, {time.Second, 40, 0}, {time.Second, 10, 0}}},
		{"what came too soon is told later", []set{
			{0, 20, 2},
			{time.Second, 30, 0},
			{3999 * time.Millisecond, 1, 0},
			{time.Millisecond, 1, 5},
			{5 * time.Second, 7, 0},
			{0, 1, 6},
		}},
		{"the pause begins with each telling", []set{{0, 10, 1}, {5 * time.Second, 10, 2}, {4 * time.Second, 10, 0}, {time.Second, 1, 3}}},
		{"nothing new, nothing told", []set{{0, 15, 1}, {time.Hour, 0, 0}, {time.Hour, 4, 0}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := runningBatch(t, 100)
			now, done := noon, int64(0)
			for i, set := range tt.sets {
				now, done = now.Add(set.after), done+set.lines
				fresh := Tally{Completed: set.lines - set.lines/3, Failed: set.lines / 3}
				require.Equal(t, set.told > 0 || done == 100, s.Needs(fresh, now), "set %d", i)
				fx := s.Answered(fresh, now)
				require.Equal(t, done, s.Completed+s.Failed)
				if set.told == 0 {
					require.Equal(t, Effects{}, fx, "set %d", i)
					continue
				}
				require.Equal(t, Effects{Events: []EventType{BatchProgress}}, fx, "set %d", i)
				require.Equal(t, set.told, s.ProgressStep)
				require.Equal(t, now, s.ProgressAt)
				require.Equal(t, InProgress, s.Status)
			}
			require.Equal(t, done == 100, s.Status == Finalizing)
		})
	}
}

// TestAnsweredEndsTheBatch: the last outcomes move it on to its files.
func TestAnsweredEndsTheBatch(t *testing.T) {
	t.Parallel()
	s := runningBatch(t, 3)
	usage := providers.Usage{InputTokens: 3, OutputTokens: 2, TotalTokens: 5}
	require.Equal(t, Effects{}, s.Answered(Tally{Completed: 2, Failed: 1, Usage: usage}, noon))
	require.Equal(t, Finalizing, s.Status)
	require.Equal(t, Completed, s.Ending)
	require.Equal(t, noon, s.FinalizingAt)
	require.Equal(t, noon, s.DueAt)
	require.Equal(t, usage, s.Usage)
}

// TestAnsweredOfABatchThatLeavesOff only counts: calls that come back after a cancel are paid for and kept.
func TestAnsweredOfABatchThatLeavesOff(t *testing.T) {
	t.Parallel()
	for _, status := range []Status{Cancelling, Finalizing} {
		s := runningBatch(t, 10)
		s.Status = status
		for _, lines := range []int64{5, 5} {
			require.False(t, s.Needs(Tally{Completed: lines}, noon))
			require.Equal(t, Effects{}, s.Answered(Tally{Completed: lines}, noon))
		}
		require.Equal(t, status, s.Status)
		require.EqualValues(t, 10, s.Completed)
	}
}

// TestProgressProperties runs batches of any size in any rhythm: no two tellings within the pause, none at the end, each
// tells more than the one before, and none that may be told waits for longer than the next outcomes. Needs is true
// exactly where Answered does more than count.
func TestProgressProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := someBatch()
		total := rapid.Int64Range(1, 300).Draw(rt, "total")
		_, err := s.validated(&index{total: total}, noon)
		require.NoError(rt, err)
		now, told, toldAt := noon, int64(0), Time(0)
		for done := int64(0); done < total; {
			now = now.Add(time.Duration(rapid.Int64Range(0, 8000).Draw(rt, "ms")) * time.Millisecond)
			n := rapid.Int64Range(0, min(total-done, 1+total/8)).Draw(rt, "lines")
			done += n
			needed := s.Needs(Tally{Completed: n}, now)
			fx := s.Answered(Tally{Completed: n}, now)
			step := done * 10 / total
			due := done < total && step > told && (toldAt == 0 || now-toldAt >= 5000)
			require.Equal(rt, due, len(fx.Events) == 1)
			require.Equal(rt, due || done == total, needed)
			if due {
				require.Equal(rt, step, s.ProgressStep)
				told, toldAt = step, now
			}
		}
		require.Equal(rt, Finalizing, s.Status)
		require.Equal(rt, total, s.Completed)
		require.Less(rt, s.ProgressStep, int64(10))
	})
}
