package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// reading is a job's progress at one moment.
type reading struct {
	Status  string
	Counts  Counts
	Elapsed time.Duration
	Rate    float64       // lines a second since the watching began; 0 = not known yet
	Left    time.Duration // 0 = not known
	Note    string        // what else is worth a word: what the job waits for
	Ended   bool
}

// meter turns a job's states into readings: it remembers when the watching
// began and what was done by then.
type meter struct {
	began time.Time
	base  int
}

func newMeter() *meter { return &meter{} }

func (m *meter) read(job Job, now time.Time) reading {
	done := job.Progress.Completed + job.Progress.Failed
	if m.began.IsZero() {
		m.began, m.base = now, done
	}
	r := reading{Status: job.Status, Counts: job.Progress, Elapsed: now.Sub(m.began), Note: job.note(now), Ended: job.Ended()}
	if job.OneCall() {
		r.Counts = Counts{} // "0 of 1" says nothing
		return r
	}
	if seconds := r.Elapsed.Seconds(); seconds >= 0.5 && done > m.base {
		r.Rate = float64(done-m.base) / seconds
		r.Left = time.Duration(float64(job.Progress.Total-done) / r.Rate * float64(time.Second))
	}
	return r
}

const (
	widestBar    = 30
	narrowestBar = 6
)

// bar renders a reading for a line of that many columns; the bar itself takes
// what the words and numbers leave.
func (r reading) bar(width int) string {
	if r.Counts.Total == 0 {
		return fit(r.Status+"  "+r.numbers(), width)
	}
	done := r.Counts.Completed + r.Counts.Failed
	numbers := fmt.Sprintf(" %3d %%  %s", 100*done/r.Counts.Total, r.numbers())
	return fit(r.Status+"  "+drawBar(done, r.Counts.Total, width-len(r.Status)-2-len(numbers))+numbers, width)
}

// drawBar is a bar of at most that many columns.
func drawBar(done, total, room int) string {
	length := min(widestBar, max(narrowestBar, room))
	full := min(length, length*done/max(total, 1))
	return strings.Repeat("█", full) + strings.Repeat("░", length-full)
}

// plain renders a reading as a line for a log.
func (r reading) plain() string {
	if r.Counts.Total == 0 && r.Note == "" {
		return r.Status
	}
	return r.Status + "  " + r.numbers()
}

// numbers is "540/1,200  3 failed  210/s  0:03  ETA 0:04"; the parts that are
// not known are left out.
func (r reading) numbers() string {
	done := r.Counts.Completed + r.Counts.Failed
	var parts []string
	if r.Counts.Total > 0 {
		parts = append(parts, grouped(done)+"/"+grouped(r.Counts.Total))
	}
	if r.Counts.Failed > 0 {
		parts = append(parts, grouped(r.Counts.Failed)+" failed")
	}
	if r.Rate > 0 {
		parts = append(parts, perSecond(r.Rate))
	}
	parts = append(parts, clock(r.Elapsed))
	if r.Left > 0 && !r.Ended {
		parts = append(parts, "ETA "+clock(r.Left))
	}
	if r.Note != "" {
		parts = append(parts, r.Note)
	}
	return strings.Join(parts, "  ")
}

// clock is 0:03, 12:34 or 1:02:03.
func clock(d time.Duration) string {
	seconds := int(d.Round(time.Second) / time.Second)
	if seconds >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
	}
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}

func perSecond(rate float64) string {
	if rate < 10 {
		return fmt.Sprintf("%.1f/s", rate)
	}
	return grouped(int(rate)) + "/s"
}

// grouped writes 1,234,567.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
