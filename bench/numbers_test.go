package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	took := make([]time.Duration, 200)
	for n := range took {
		took[len(took)-1-n] = time.Duration(n+1) * time.Millisecond
	}
	got := latencyOf(took)
	require.Equal(t, Latency{Count: 200, P50: 100, P99: 198, Max: 200}, got)
	require.Equal(t, Latency{Count: 1, P50: 7, P99: 7, Max: 7}, latencyOf([]time.Duration{7 * time.Millisecond}))
	require.Zero(t, latencyOf(nil))
}

func TestMedian(t *testing.T) {
	t.Parallel()
	require.Zero(t, median(nil))
	require.InDelta(t, 2.0, median([]float64{9, 1, 2}), 0)
	require.InDelta(t, 2.5, median([]float64{9, 1, 2, 3}), 0)
}

func TestProcFilesAreRead(t *testing.T) {
	t.Parallel()
	used, err := parseCPU("42 (a) name) S 1 42 42 0 -1 4194560 1 2 3 4 150 25 9 9 20 0 7 0 1 1 1")
	require.NoError(t, err)
	require.Equal(t, 1750*time.Millisecond, used)
	_, err = parseCPU("42 (a) S 1")
	require.Error(t, err)
	peak, err := parsePeak("Name:\ta\nVmHWM:\t  2048 kB\nVmRSS:\t 1 kB\n")
	require.NoError(t, err)
	require.Equal(t, int64(2<<20), peak)
	_, err = parsePeak("Name:\ta\n")
	require.Error(t, err)
}

func TestTable(t *testing.T) {
	t.Parallel()
	require.Equal(t, "| a    | b   |\n| ---- | --- |\n| é    | 1   |\n| long | 2,0 |\n",
		formatTable([]string{"a", "b"}, [][]string{{"é", "1"}, {"long", "2,0"}}))
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -5: "-5", -123: "-123", -1234: "-1,234"} {
		require.Equal(t, want, thousands(n))
	}
}

func TestOutputWatchFindsAURLWrittenInPieces(t *testing.T) {
	t.Parallel()
	o := watchOutput(`ready" url=`)
	for _, piece := range []string{`msg="ringback is rea`, `dy" url=http://127.0.0.1:80`, "80 data_dir=x\n", `ready" url=http://127.0.0.1:1 `} {
		n, err := o.Write([]byte(piece))
		require.NoError(t, err)
		require.Len(t, piece, n)
	}
	require.Equal(t, "http://127.0.0.1:8080", <-o.url)
	require.Empty(t, o.url)
	require.Contains(t, o.tail(), "data_dir=x")
}
