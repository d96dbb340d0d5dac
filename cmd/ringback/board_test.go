package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// job is a state as a poll brings it.
func job(id, kind, status string, done, total int) jobUpdate {
	u := jobUpdate{ID: id, Job: Job{ID: id, Kind: kind, Status: status, Progress: Counts{Total: total, Completed: done}}}
	u.Job.text = []byte(`{}`)
	return u
}

// terminal understands what a board writes: text, new lines, cursor up, and
// erasing.
type terminal struct {
	bytes.Buffer
	rows, width int
}

func (tm *terminal) screen() *screen {
	return &screen{out: tm, live: true, size: func() (int, int) { return tm.width, tm.rows }}
}

// lines are what stands on it.
func (tm *terminal) lines() []string {
	lines, at := [][]rune{{}}, 0
	text := []rune(tm.String())
	column := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\n':
			at, column = at+1, 0
			if at == len(lines) {
				lines = append(lines, nil)
			}
		case '\r':
			column = 0
		case '\x1b':
			n := 0
			for i += 2; text[i] >= '0' && text[i] <= '9'; i++ {
				n = 10*n + int(text[i]-'0')
			}
			switch text[i] {
			case 'A':
				at -= n
			case 'K':
				lines[at] = lines[at][:min(column, len(lines[at]))]
			case 'J':
				lines[at] = lines[at][:min(column, len(lines[at]))]
				lines = lines[:at+1]
			}
		default:
			lines[at] = append(lines[at][:column], text[i])
			column++
		}
	}
	var shown []string
	for _, line := range lines {
		shown = append(shown, strings.TrimRight(string(line), " "))
	}
	return shown
}

func TestBoardShowsSeveralBars(t *testing.T) {
	t.Parallel()
	tm := &terminal{rows: 24, width: 61}
	b := &board{screen: tm.screen(), ids: []string{"batch_1", "gen_2", "batch_3"}}
	now := time.Unix(1000, 0)
	b.update(job("batch_3", "batch", "in_progress", 5, 10), now)
	b.update(job("gen_2", "generation", "queued", 0, 1), now)
	b.update(job("batch_1", "batch", "validating", 0, 0), now)
	require.Equal(t, []string{
		"batch_1  validating   0:00",
		"gen_2    queued       0:00",
		"batch_3  in_progress  ██████████░░░░░░░░░░  50 %  5/10  0:00",
	}, tm.lines(), "in the order in which they were named")
	b.update(job("gen_2", "generation", "completed", 1, 1), now.Add(time.Second))
	b.tick(now.Add(2 * time.Second))
	require.Equal(t, []string{
		"gen_2    completed    0:01",
		"batch_1  validating   0:02",
		"batch_3  in_progress  ██████████░░░░░░░░░░  50 %  5/10  0:02",
	}, tm.lines(), "what has ended stands above")
	b.update(jobUpdate{ID: "batch_1", Err: errors.New("gone\x1b[2J")}, now)
	require.Equal(t, "batch_1  gone�[2J", tm.lines()[1])
	b.finish()
	require.Empty(t, tm.lines()[len(tm.lines())-1], "the cursor stands below")
}

func TestBoardFitsTheTerminal(t *testing.T) {
	t.Parallel()
	tm := &terminal{rows: 5, width: 40}
	b := &board{screen: tm.screen()}
	for i := range 9 {
		id := fmt.Sprintf("batch_%d", i)
		b.ids = append(b.ids, id)
		b.update(job(id, "batch", map[bool]string{true: "in_progress", false: "queued"}[i > 6], 1, 4), time.Unix(1000, 0))
	}
	lines := tm.lines()
	require.Len(t, lines, 4)
	require.Contains(t, lines[0], "batch_7  in_progress", "those at work come first")
	require.Contains(t, lines[1], "batch_8  in_progress")
	require.Equal(t, "… and 6 more", lines[3])
	for _, line := range lines {
		require.Less(t, cells(line), 40)
	}
}

// TestBoardSurvivesAResize: a terminal that has become narrower breaks the lines
// that stand into more rows, and the next picture begins above all of them.
func TestBoardSurvivesAResize(t *testing.T) {
	t.Parallel()
	tm := &terminal{rows: 24, width: 80}
	s := tm.screen()
	s.draw([]string{strings.Repeat("a", 70), strings.Repeat("b", 10)})
	tm.width = 30
	tm.Reset()
	s.draw([]string{"x"})
	require.Equal(t, "\r\x1b[3Ax\x1b[K\x1b[J", tm.String(), "70 columns are three rows of 30")
}

func TestBoardWithoutATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b := newJobView(&out, false, "batch_1", "gen_2")
	now := time.Unix(1000, 0)
	named := job("gen_2", "generation", "queued", 0, 1)
	named.Job.text = []byte(`{"metadata":{"name":"mine"},"blocked_by":{"reason":"rate_limit","until":1010}}`)
	b.update(named, now)
	b.update(job("batch_1", "batch", "in_progress", 1, 4), now)
	b.update(job("batch_1", "batch", "in_progress", 2, 4), now) // too soon
	b.tick(now.Add(time.Minute))
	b.update(job("batch_1", "batch", "completed", 4, 4), now.Add(time.Second))
	b.finish()
	require.Equal(t, "gen_2  mine  queued  0:00  waits for the rate limit (in 10s)\n"+
		"batch_1  in_progress  1/4  0:00\nbatch_1  completed  4/4  3.0/s  0:01\n", out.String())
}
