package pages

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/ringback/ringback/history"
	"github.com/ringback/ringback/jobs"
)

func TestNice(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]float64{
		0: 0, -3: 0, 1: 1, 1.2: 1.5, 7: 8, 9.5: 10, 10: 10, 11: 15, 99: 100, 100: 100, 101: 150, 0.07: 0.08, 1e-300: 1e-300, 1e300: 1e300,
	} {
		require.InEpsilon(t, want+1, nice(v)+1, 1e-9, v)
	}
}

func TestKnownLeavesOutWhatCannotBeDrawn(t *testing.T) {
	t.Parallel()
	require.Nil(t, known(math.Inf(1)))
	require.Nil(t, known(math.Inf(-1)))
	require.Nil(t, known(math.NaN()))
	require.Zero(t, *known(0))
	require.Nil(t, some(0))
	require.InDelta(t, 2, *some(2), 0)
}

// TestChartsOfAnything: whatever the values, the drawing is whole, has no number that is none, and goes as JSON to the script.
func TestChartsOfAnything(t *testing.T) {
	t.Parallel()
	of := func(values ...*float64) chart {
		c := chart{Label: `"<x>"`, Lines: []series{{Name: "a", Kind: "area", Values: values}, {Name: "b", Kind: "bars", Tone: "bad", Values: values}, {Name: "c", Kind: "dash", Values: values}}}
		for i := range values {
			c.X = append(c.X, int64(i)*60)
		}
		return c
	}
	for name, tc := range map[string]struct {
		c     chart
		empty bool
	}{
		"no lines":        {chart{}, true},
		"no points":       {of(), true},
		"one point":       {of(known(5)), false},
		"all unknown":     {of(nil, nil, nil), true},
		"all zero":        {of(known(0), known(0)), true},
		"negative":        {of(known(-3), known(-1)), false},
		"both sides":      {of(known(-1), known(1000)), false},
		"one in the gaps": {of(nil, known(2), nil), false},
		"large":           {of(known(1e300), known(-1e300)), false},
		"tiny":            {of(known(1e-300), known(0)), false},
		"not a number":    {of(known(math.NaN()), known(math.Inf(1)), known(1)), false},
	} {
		for _, steps := range []bool{true, false} {
			tc.c.Steps, tc.c.Tall = steps, steps
			c := tc.c.scaled()
			svg := string(c.svg())
			require.Equal(t, tc.empty, c.Empty(), name)
			require.Greater(t, c.Top, c.Bottom, name)
			for _, wrong := range []string{"NaN", "Inf", "<x>"} {
				require.NotContains(t, svg, wrong, name)
			}
			_, err := html.Parse(strings.NewReader(svg))
			require.NoError(t, err)
			wellFormed(t, svg, name)
			_, err = json.Marshal(c)
			require.NoError(t, err, name)
		}
	}
}

func TestTicks(t *testing.T) {
	t.Parallel()
	of := func(first, last int64, steps bool) string {
		return strings.Join(chart{X: []int64{first, last}, Steps: steps}.ticksX(), " ")
	}
	require.Equal(t, "0 2,500 5,000 7,500 10,000", of(0, 10_000, true))
	require.Equal(t, "00:00 00:15 00:30 00:45 01:00", of(0, 3600, false))
	require.Equal(t, "00:00:00 00:00:01 00:00:02 00:00:03 00:00:04", of(0, 4, false))
	require.Equal(t, "1 Jan 2 Jan 3 Jan 4 Jan 5 Jan", of(0, 4*24*3600, false))
	require.Empty(t, chart{X: []int64{1}}.ticksX())
	for v, want := range map[float64]string{0: "0", 1.23456: "1.235", 12_345: "12.3k", 5e6: "5M"} {
		require.Equal(t, want, chart{}.value(v))
	}
	require.Equal(t, "0", chart{Unit: "ms"}.value(0))
	require.Equal(t, "1.5 s", chart{Unit: "ms"}.value(1500))
}

func TestSpark(t *testing.T) {
	t.Parallel()
	require.True(t, spark{}.Empty())
	require.True(t, spark{Up: make([]int64, 24), Down: make([]int64, 24)}.Empty())
	s := spark{Up: []int64{0, 4, 1}, Down: []int64{1, 0, 0}}
	require.False(t, s.Empty())
	require.Equal(t, "M5 20v-18.0h4V20zM10 20v-9.0h4V20z", s.UpPath())
	require.Equal(t, "M0 21v7.0h4V21z", s.DownPath())
}

// TestLossOfAnything: what a provider tells of its training is drawn as far as it is numbers.
func TestLossOfAnything(t *testing.T) {
	t.Parallel()
	log := func(data ...string) (log []jobs.TuningEvent) {
		for _, d := range data {
			log = append(log, jobs.TuningEvent{Data: json.RawMessage(d)})
		}
		return log
	}
	c := lossChart(log(`{"step":2,"train_loss":1e999}`, `{"step":1,"train_loss":0.5,"valid_loss":"x"}`, `null`, `{"train_loss":3}`, `[]`, ``, `{"step":3,"full_valid_loss":0.25}`), 10)
	require.Equal(t, []int64{1, 2, 3}, c.X)
	_, err := json.Marshal(c)
	require.NoError(t, err)
	require.Len(t, c.Lines, 3, "there is a validation")
	require.InDelta(t, 0.25, *c.Lines[2].Values[2], 0)
	require.Contains(t, c.Label, "at step 3 of 10: 0.5")
	require.Empty(t, lossChart(nil, 0).X)
}

func TestManySlotsAreMerged(t *testing.T) {
	t.Parallel()
	var points []history.Point
	for i := range int64(1001) {
		var spread history.Spread
		spread.Add(1)
		points = append(points, history.Point{Series: history.LinesOK, At: jobs.Time(i * 1000), Span: 1e9, N: 2, Spread: spread}, history.Point{Series: history.LinesFailed, At: jobs.Time(i * 1000), Span: 1e9, N: 1})
	}
	slots := merged(points, mostPoints)
	require.LessOrEqual(t, len(slots), mostPoints)
	var ok, failed, spread int64
	for _, s := range slots {
		ok, failed, spread = ok+s.ok, failed+s.failed, spread+s.spread.Count()
	}
	require.EqualValues(t, 2002, ok)
	require.EqualValues(t, 1001, failed)
	require.EqualValues(t, 1001, spread)
	require.Empty(t, merged(nil, mostPoints))
	require.EqualValues(t, 1, points[0].Spread.Count(), "what was read is left as it was: others look at it too")
}
