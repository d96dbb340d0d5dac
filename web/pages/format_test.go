package pages

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0 s", 400 * time.Millisecond: "0 s", 59 * time.Second: "59 s", 59_600 * time.Millisecond: "1 min", time.Minute: "1 min", 90 * time.Second: "1 min 30 s",
		10 * time.Minute: "10 min", 10*time.Minute + 20*time.Second: "10 min", 59*time.Minute + 50*time.Second: "1 h", time.Hour: "1 h",
		time.Hour + 30*time.Minute: "1 h 30 min", 47*time.Hour + 59*time.Minute + 59*time.Second: "2 days", 48 * time.Hour: "2 days", 9 * 24 * time.Hour: "9 days", -time.Minute: "1 min",
		math.MinInt64: "106752 days",
	} {
		require.Equal(t, want, span(d), d.String())
	}
}

func TestMilliseconds(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{
		0: "< 1 ms", 0.4: "< 1 ms", 1: "1 ms", 84.4: "84 ms", 999.4: "999 ms", 999.6: "1.0 s", 1900: "1.9 s", 9949: "9.9 s", 9960: "10 s", 12_000: "12 s", 180_000: "3 min",
	} {
		require.Equal(t, want, milliseconds(v), v)
	}
	require.Equal(t, "84 ms", milliseconds(84))
}

func TestSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0 bytes", 1: "1 byte", 999: "999 bytes", 1000: "1.0 KB", 9_949: "9.9 KB", 9_960: "10 KB", 999_400: "999 KB", 999_600: "1.0 MB", 12_345_678: "12 MB", 5e9: "5.0 GB", 2e15: "2000 TB",
	} {
		require.Equal(t, want, size(n), n)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -123456: "-123,456", -12: "-12", 1234567: "1,234,567", math.MinInt64: "-9,223,372,036,854,775,808"} {
		require.Equal(t, want, grouped(n))
	}
	require.Equal(t, "10,000", upTo(jobs.CountBound))
	require.Equal(t, "10,000+", upTo(jobs.CountBound+1))
	require.Equal(t, "1 line", plural(1, "line", "lines"))
	require.Equal(t, "0 lines", plural(0, "line", "lines"))
	require.Equal(t, "50,000 lines", plural(50_000, "line", "lines"), "what is known is said")
	require.Equal(t, "10,000+ lines", several(50_000, "line", "lines"))
	require.Equal(t, "100 %", percentOf(3, 3))
	require.Equal(t, "99.9 %", percentOf(999_999, 1_000_000), "what is not done is not 100 %")
	require.Equal(t, "0.0 %", percentOf(0, 10))
	for v, want := range map[float64]string{0: "0", 0.04: "0.0", 9.94: "9.9", 1234.5: "1,235"} {
		require.Equal(t, want, rateText(v))
	}
	for v, want := range map[float64]string{0: "0", 9_999: "9,999", 12_345: "12.3 k", 2_500_000: "2.50 M", 3e9: "3.00 B"} {
		require.Equal(t, want, tokensText(v))
	}
	for v, want := range map[float64]string{0.5: "30.0 lines/min", 1: "1.0 lines/s", 250: "250 lines/s"} {
		require.Equal(t, want, rateWords(v, "lines"))
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	p := &Pages{Options: Options{Now: func() time.Time { return noon }}}
	require.Equal(t, `<time datetime="2024-03-01T11:59:30Z" data-time="clock" title="1 Mar 2024 11:59:30 UTC">11:59:30</time>`, string(p.clock(ago(time.Minute))))
	require.Contains(t, string(p.clock(ago(24*time.Hour))), ">29 Feb 12:00:30<")
	require.Contains(t, string(p.age(ago(time.Hour))), `data-time="age" title="1 Mar 2024 11:00:30 UTC">1 Mar 11:00<`)
	require.Contains(t, string(p.until(ago(-time.Hour))), `data-time="until" title="1 Mar 2024 13:00:30 UTC">at 13:00:30<`)
	for _, none := range []any{p.clock(0), p.age(0), p.until(0)} {
		require.EqualValues(t, "–", none)
	}
}

func TestShort(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"": "", "batch_1": "batch_1", "batch_01HZZZZZZZZZZZABCDEF": "batch_…ABCDEF", "file-01HZZZZZZZZZZZABCDEF": "file-…ABCDEF",
		"0b5c5b0e-6f0e-4f4e-8b7f-2f6d6f1f0a01": "0b5c5b0e-…1f0a01", "nounderscorehere": "…rehere",
	} {
		require.Equal(t, want, short(id))
	}
}

func TestDict(t *testing.T) {
	t.Parallel()
	m, err := dict("a", 1, "b", "x")
	require.NoError(t, err)
	require.Equal(t, map[string]any{"a": 1, "b": "x"}, m)
	_, err = dict(1, 2)
	require.Error(t, err)
}
