package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVerdict(t *testing.T) {
	t.Parallel()
	good := func() Result {
		return Result{
			Plan:     plan{Lines: 100, Pairs: 2, NeedsHeadroom: true},
			Capacity: Capacity{OverRingback: 3},
			Large:    Memory{Lines: 5}, Crash: Crash{Lines: 10, Repeated: 4, Bound: 4},
			Answered: 215, Callbacks: tally{Expected: 4, Verified: 4, Repeated: 1},
		}
	}
	tests := []struct {
		name   string
		change func(*Result)
		wrong  string
	}{
		{"all is well", func(*Result) {}, ""},
		{"a line is missing", func(r *Result) { r.Answered-- }, "215 lines were submitted, 214 answered"},
		{"a callback is missing", func(r *Result) { r.Callbacks.Verified-- }, "4 callbacks were owed, 3"},
		{"a callback was refused", func(r *Result) { r.Callbacks.Refused = []string{"forged"} }, "forged"},
		{"too many repeats", func(r *Result) { r.Crash.Repeated++ }, "5 calls were repeated"},
		{"a slow simulator", func(r *Result) { r.Capacity.OverRingback = 2.9 }, "2.9 times"},
		{"a slow simulator in a short run", func(r *Result) { r.Capacity.OverRingback, r.Plan.NeedsHeadroom = 2.9, false }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			result := good()
			tt.change(&result)
			err := result.verdict()
			if tt.wrong == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.wrong)
		})
	}
}

func TestSummaryTakesMedians(t *testing.T) {
	t.Parallel()
	result := Result{Capacity: Capacity{Alone: 600}}
	for _, n := range []float64{3, 1, 2} {
		result.Pairs = append(result.Pairs, Pair{
			Share: n / 10, Bare: Run{LinesPerSecond: 100 * n}, Ringback: Run{LinesPerSecond: 10 * n, PeakMemory: int64(n)},
		})
	}
	result.summarize()
	require.InDelta(t, 0.2, result.Share, 1e-9)
	require.InDelta(t, 200, result.Bare.LinesPerSecond, 1e-9)
	require.InDelta(t, 30, result.Capacity.OverRingback, 1e-9)
	require.InDelta(t, 3, result.Capacity.OverBare, 1e-9)
	require.EqualValues(t, 3, result.Ringback.PeakMemory)
}

func TestBacklogSummaryTakesMedians(t *testing.T) {
	t.Parallel()
	backlog := Backlog{Events: 7}
	for _, n := range []float64{3, 1, 2} {
		backlog.Pairs = append(backlog.Pairs, BacklogPair{
			Share: n / 10, Bare: BacklogRun{PerSecond: 100 * n}, Ringback: BacklogRun{PerSecond: 10 * n, CPUPerCallback: n},
		})
	}
	backlog.summarize()
	require.InDelta(t, 0.2, backlog.Share, 1e-9)
	require.Equal(t, BacklogRun{Callbacks: 7, PerSecond: 200}, backlog.Bare)
	require.Equal(t, BacklogRun{Callbacks: 7, PerSecond: 20, CPUPerCallback: 2}, backlog.Ringback)
	require.Equal(t, "(0.30, 0.10, 0.20)", callbackShares(backlog.Pairs))
}
