package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	counted "github.com/ringback/ringback/history"
	"github.com/ringback/ringback/store"
)

// TestHistoryCountsWhatHappened: over a stop in the middle of a batch, whose lines then stand once each in the slots of two
// lives.
func TestHistoryCountsWhatHappened(t *testing.T) {
	t.Parallel()
	up := startUpstream(t, func(body string) reply {
		if prompt(body) == "refused" {
			return reply{status: 400, body: `{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}`}
		}
		return reply{wait: 20 * time.Millisecond, body: completion("fine")}
	})
	hook := startReceiver(t, 500)
	s := startServer(t, append(openCallbacks(), up.provider(""), "simulator.enabled=false", "callbacks.schedule=[0s,20ms]")...)
	const answered, refused = 400, 3
	text := numbered(answered, 0)
	for i := range refused {
		text += line(customID(answered+i), ask("refused")) + "\n"
	}
	batch := s.batch(s.input(text), hook.field())
	s.eventually("some lines are answered", func() bool { return s.read("/v1/batches/"+batch).get("request_counts.completed").Int() > 50 })
	s.stop()
	s.restart()
	s.ended(batch)
	s.settled(batch)
	s.ended(s.generate("hello", ""))
	s.stop()

	kept, err := store.Open(t.Context(), store.Options{Dir: s.dir, Now: time.Now})
	require.NoError(t, err)
	defer kept.Close()
	sum := func(series, about string, step time.Duration) (n, timed int64) {
		points, err := kept.History(t.Context(), counted.Query{ProjectID: "default", Series: []string{series}, About: about, Step: step})
		require.NoError(t, err)
		for _, p := range points {
			n += p.N
			timed += p.Spread.Count()
			require.WithinDuration(t, time.Now(), p.At.Time(), patience+time.Hour)
		}
		return n, timed
	}
	for _, tt := range []struct {
		series, about string
		want, timed   int64
	}{
		{counted.LinesOK, batch, answered, answered},
		{counted.LinesFailed, batch, refused, 0},
		{counted.LinesOK, "", answered + 1, answered + 1},
		{counted.LinesFailed, "", refused, 0},
		{counted.CallbacksRetried, "", 1, 0},
		{counted.CallbacksDelivered, "", 1, 1},
		{counted.CallbacksGaveUp, "", 0, 0},
	} {
		for _, step := range []time.Duration{0, time.Hour} {
			n, timed := sum(tt.series, tt.about, step)
			require.Equal(t, [2]int64{tt.want, tt.timed}, [2]int64{n, timed}, "%s %s", tt.series, tt.about)
		}
	}
	points, err := kept.History(t.Context(), counted.Query{ProjectID: "default", Series: []string{counted.CallsOK}, AnyAbout: true, Step: 24 * time.Hour})
	require.NoError(t, err)
	require.NotEmpty(t, points)
	require.Equal(t, "up", points[0].About)
	p50, ok := points[0].Spread.Quantile(0.5)
	require.True(t, ok)
	require.Greater(t, p50, 18.0, "milliseconds; the provider takes 20")
}
