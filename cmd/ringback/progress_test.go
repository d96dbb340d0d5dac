package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestMeterKnowsRateAndRest(t *testing.T) {
	t.Parallel()
	m, began := newMeter(), time.Unix(1000, 0)
	job := Job{Status: "in_progress", Progress: Counts{Total: 1200, Completed: 190, Failed: 10}}
	first := m.read(job, began)
	require.Zero(t, first.Rate, "not known from one look")
	job.Progress.Completed = 590
	later := m.read(job, began.Add(2*time.Second))
	require.InDelta(t, 200, later.Rate, 0.001, "what was done before the watching does not count")
	require.Equal(t, 3*time.Second, later.Left)
	require.Equal(t, "600/1,200  10 failed  200/s  0:02  ETA 0:03", later.numbers())
}

func TestBar(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		r     reading
		width int
		want  string
	}{
		{"before the lines are counted", reading{Status: "validating", Elapsed: time.Second}, 80, "validating  0:01"},
		{"half", reading{Status: "in_progress", Counts: Counts{Total: 4, Completed: 2}}, 40, "in_progress  █████░░░░░  50 %  2/4  0:00"},
		{"all", reading{Status: "completed", Counts: Counts{Total: 4, Completed: 3, Failed: 1}, Ended: true, Left: 1}, 44, "completed  ██████ 100 %  4/4  1 failed  0:00"},
		{"more than was counted", reading{Status: "x", Counts: Counts{Total: 1, Completed: 9}}, 40, "x  ████████████████████ 900 %  9/1  0:00"},
		{"big and narrow", reading{Status: "in_progress", Counts: Counts{Total: 50000, Completed: 12000, Failed: 13}, Rate: 1499, Elapsed: 602 * time.Second, Left: 601 * time.Second}, 79, "in_progress  █░░░░░░  24 %  12,013/50,000  13 failed  1,499/s  10:02  ETA 10:01"},
		{"cut", reading{Status: "in_progress", Counts: Counts{Total: 4, Completed: 2}}, 16, "in_progress  ██…"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, test.r.bar(test.width))
			require.LessOrEqual(t, utf8.RuneCountInString(test.r.bar(test.width)), test.width)
		})
	}
}

func TestPlainLinesOnlyOnChange(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := newScreen(&out)
	at := func(status string, done int, elapsed time.Duration, ended bool) {
		s.progress(reading{Status: status, Counts: Counts{Total: 100, Completed: done}, Elapsed: elapsed, Ended: ended})
	}
	at("validating", 0, 0, false)
	at("in_progress", 0, 100*time.Millisecond, false)
	at("in_progress", 5, 200*time.Millisecond, false) // too soon for another line
	at("in_progress", 50, 1200*time.Millisecond, false)
	at("in_progress", 50, 9*time.Second, false) // nothing changed
	at("completed", 100, 10*time.Second, true)
	require.Equal(t, []string{
		"validating  0/100  0:00", "in_progress  0/100  0:00", "in_progress  50/100  0:01", "completed  100/100  0:10",
	}, strings.Split(strings.TrimSpace(out.String()), "\n"))
	require.NotContains(t, out.String()+s.paint(styleRed, "x"), "\x1b", "no colour where there is no terminal")
}

func TestLiveLineMakesRoom(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &screen{out: &out, live: true, colour: true, size: func() (int, int) { return 80, 24 }}
	s.progress(reading{Status: "validating"})
	s.printf("news\n")
	s.progress(reading{Status: "completed"})
	s.keep()
	s.keep()
	require.Equal(t, "\rvalidating  0:00\x1b[K\x1b[J\r\x1b[Jnews\n\rcompleted  0:00\x1b[K\x1b[J\n", out.String())
	require.Equal(t, "\x1b[32mok\x1b[0m", s.paint(styleGreen, "ok"))
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234", -123: "-123"} {
		require.Equal(t, want, grouped(n))
	}
	for d, want := range map[time.Duration]string{0: "0:00", 61 * time.Second: "1:01", 3723 * time.Second: "1:02:03"} {
		require.Equal(t, want, clock(d))
	}
	require.Equal(t, "2.5/s", perSecond(2.5))
	require.Equal(t, "1,200/s", perSecond(1200))
}
