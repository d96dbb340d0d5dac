package history

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestQuantilesAreNear the true ones, whatever the durations look like.
func TestQuantilesAreNear(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	ms := func(f float64) time.Duration { return time.Duration(f * float64(time.Millisecond)) }
	for _, tt := range []struct {
		name string
		next func() time.Duration
	}{
		{"all the same", func() time.Duration { return 20 * time.Millisecond }},
		{"evenly up to two seconds", func() time.Duration { return ms(1 + 2000*random.Float64()) }},
		{"as models answer", func() time.Duration { return ms(800 * math.Exp(0.7*random.NormFloat64())) }},
		{"with a long tail", func() time.Duration { return ms(5 / math.Pow(1-random.Float64(), 1.2)) }},
		{"below a millisecond", func() time.Duration { return ms(0.1 + 0.5*random.Float64()) }},
		{"hours", func() time.Duration { return time.Hour + time.Duration(random.Int64N(int64(2*time.Hour))) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s Spread
			all := make([]float64, 10_000)
			for i := range all {
				d := tt.next()
				s.Add(d)
				all[i] = float64(d) / float64(time.Millisecond)
			}
			slices.Sort(all)
			require.EqualValues(t, len(all), s.Count())
			for _, p := range []float64{0, 0.5, 0.95, 0.99, 1} {
				got, ok := s.Quantile(p)
				want := all[max(int(math.Ceil(p*float64(len(all))))-1, 0)]
				require.True(t, ok)
				require.InEpsilon(t, want, got, 0.1, "p%v", 100*p)
			}
		})
	}
}

func TestSpreadHasEnds(t *testing.T) {
	t.Parallel()
	var s Spread
	_, ok := s.Quantile(0.5)
	require.False(t, ok)
	for _, d := range []time.Duration{-time.Second, 0, 1, math.MaxInt64} {
		s.Add(d)
	}
	require.Equal(t, fmt.Sprintf("0:3 %d:1 ", bucketCount-1), s.String())
	for i := range bucketCount {
		require.Equal(t, i, bucketOf(time.Duration(middle(i)*float64(time.Millisecond))))
	}
}

// TestSpreadsMerge by adding, and by their texts in a row, as a database does it.
func TestSpreadsMerge(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	var whole, merged Spread
	var parts [5]Spread
	text := ""
	for range 5000 {
		d := time.Duration(random.ExpFloat64() * float64(time.Second))
		whole.Add(d)
		parts[random.IntN(len(parts))].Add(d)
	}
	for _, p := range parts {
		before := merged.Clone()
		merged.Merge(p)
		text += p.String()
		require.Equal(t, before.Count()+p.Count(), merged.Count())
	}
	require.Equal(t, whole, merged)
	read, err := ParseSpread(text)
	require.NoError(t, err)
	require.Equal(t, whole, read)
	read, err = ParseSpread("")
	require.NoError(t, err)
	require.Equal(t, Spread{}, read)
}

func TestWhatIsNoSpreadIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"1", "1:", ":1 ", "1:0 ", "1:-4 ", "112:1 ", "999:1 ", "a:1 ", "1:1  2:1 ", " "} {
		_, err := ParseSpread(text)
		require.Error(t, err, text)
	}
}

func BenchmarkSpread(b *testing.B) {
	var s Spread
	for b.Loop() {
		s.Add(321 * time.Millisecond)
	}
}
