package history

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

func TestSamplesThatSayNothingNewAreLeftOut(t *testing.T) {
	t.Parallel()
	now := begun.Add(7 * time.Second)
	for _, tt := range []struct {
		name string
		last Sample
		n    int64
		want bool
	}{
		{"the first is none", Sample{}, 0, false},
		{"the first", Sample{}, 3, true},
		{"the same", Sample{begun.Add(-time.Minute), 3}, 3, false},
		{"the same for long", Sample{begun.Add(-10 * time.Minute), 3}, 3, true},
		{"another", Sample{begun.Add(-time.Minute), 3}, 4, true},
		{"none any more", Sample{begun.Add(-time.Minute), 3}, 0, true},
		{"none for long", Sample{begun.Add(-10 * time.Hour), 0}, 0, false},
	} {
		next, write := tt.last.Follow(tt.n, now)
		require.Equal(t, tt.want, write, tt.name)
		require.Equal(t, Sample{begun, tt.n}, next, tt.name)
	}
}

func TestGaugesAreCarriedForward(t *testing.T) {
	t.Parallel()
	at := func(minutes int) jobs.Time { return begun.Add(time.Duration(minutes) * time.Minute) }
	for _, tt := range []struct {
		name         string
		samples      []Sample
		since, until int
		step         time.Duration
		want         map[int]int64
	}{
		{"nobody looked", nil, 0, 5, time.Minute, map[int]int64{}},
		{"from the first on", []Sample{{at(2), 7}, {at(4), 1}}, 0, 6, time.Minute, map[int]int64{2: 7, 3: 7, 4: 1, 5: 1}},
		{"from one before", []Sample{{at(-3), 7}, {at(1), 8}}, 0, 3, time.Minute, map[int]int64{0: 7, 1: 8, 2: 8}},
		{"none is none for ever", []Sample{{at(-1000), 0}}, 0, 3, time.Minute, map[int]int64{0: 0, 1: 0, 2: 0}},
		{"nobody looks any more", []Sample{{at(0), 4}, {at(20), 0}}, 0, 22, time.Minute, map[int]int64{
			0: 4, 1: 4, 2: 4, 3: 4, 4: 4, 5: 4, 6: 4, 7: 4, 8: 4, 9: 4, 10: 4, 11: 4, 12: 4, 13: 4, 14: 4, 20: 0, 21: 0,
		}},
		{"the last of each step", []Sample{{at(0), 1}, {at(1), 2}, {at(2), 3}, {at(4), 4}}, 0, 6, 3 * time.Minute, map[int]int64{0: 3, 3: 4}},
	} {
		got := map[int]int64{}
		for _, p := range Carry(tt.samples, at(tt.since), at(tt.until), tt.step) {
			require.Equal(t, tt.step, p.Span)
			got[int((p.At-begun)/60_000)] = p.N
		}
		require.Equal(t, tt.want, got, tt.name)
	}
}
