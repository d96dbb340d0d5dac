package jobs

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEventTypes: each is known once, and every end of every kind is among them.
func TestEventTypes(t *testing.T) {
	t.Parallel()
	all := EventTypes()
	require.Len(t, all, 24)
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(all))), 24)
	for kind, ends := range map[Kind][]Status{
		KindBatch:      {Completed, Failed, Expired, Cancelled},
		KindGeneration: {Completed, Failed, Cancelled},
		KindResponse:   {Completed, Failed, Cancelled, Incomplete},
		KindTuning:     {Succeeded, Failed, Cancelled},
	} {
		for _, s := range ends {
			j := Job{Kind: kind}
			require.Contains(t, all, j.end(s, noon))
		}
	}
	all[0] = "changed"
	require.Equal(t, BatchCreated, EventTypes()[0], "the slice is the caller's")
}

func TestTerminalEvents(t *testing.T) {
	t.Parallel()
	var ends []EventType
	for _, typ := range append(EventTypes(), "endpoint.disabled", "delivery.failed", "file.completed", "batch", "") {
		if typ.Terminal() {
			ends = append(ends, typ)
		}
	}
	require.Equal(t, []EventType{
		BatchCompleted, BatchFailed, BatchExpired, BatchCancelled, GenerationCompleted, GenerationFailed, GenerationCancelled,
		ResponseCompleted, ResponseFailed, ResponseCancelled, ResponseIncomplete, TuningSucceeded, TuningFailed, TuningCancelled,
	}, ends)
}

func TestWanted(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		typ     EventType
		filters []string
		want    bool
	}{
		{"an end, no filter", BatchExpired, nil, true},
		{"an end, an empty list", BatchExpired, []string{}, true},
		{"a step, no filter", BatchProgress, nil, false},
		{"a file gone, no filter", FileDeleted, nil, false},
		{"the type itself", BatchProgress, []string{"batch.progress"}, true},
		{"the family", BatchProgress, []string{"batch.*"}, true},
		{"another family", FileCreated, []string{"batch.*", "generation.*"}, false},
		{"the second of two", FileCreated, []string{"batch.*", "file.created"}, true},
		{"all", FileDeleted, []string{"*"}, true},
		{"a family's beginning is no pattern", BatchProgress, []string{"batch"}, false},
		{"an end that is not among the filters", BatchCompleted, []string{"batch.failed"}, false},
		{"no pattern", BatchCompleted, []string{"["}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, tt.typ.Wanted(tt.filters))
			require.Equal(t, tt.want && len(tt.filters) > 0, slices.ContainsFunc(tt.filters, tt.typ.Matches))
		})
	}
}

func TestMatchModel(t *testing.T) {
	t.Parallel()
	require.True(t, MatchModel("org/*", "org/team/m1"))
	require.True(t, MatchModel("m1", "m1"))
	require.False(t, MatchModel("m1", "m11"))
	require.False(t, MatchModel("org/*", ""))
}
