package main

import (
	"fmt"
	"slices"
	"time"
)

// board shows several jobs at once: on a terminal a live line for each that has
// not ended, below the lines of those that have; elsewhere a line when
// something has changed.
type board struct {
	screen *screen
	ids    []string // in this order; none for one job that needs no label
	label  int      // the columns of the longest label
	rows   []*boardRow
}

type boardRow struct {
	id, name string
	meter    *meter
	gate     lineGate
	job      Job
}

func (b *board) labels() bool { return len(b.ids) > 0 }

func (b *board) update(u jobUpdate, now time.Time) {
	row := b.row(u)
	if u.Err != nil {
		b.remove(row)
		if b.labels() {
			b.screen.printf("%s  %s\n", row.id, b.screen.paint(styleRed, clean(u.Err.Error())))
		}
		b.draw(now)
		return
	}
	row.job = u.Job
	reading := row.meter.read(u.Job, now)
	if !b.screen.live {
		if row.gate.pass(reading) {
			b.screen.printf("%s\n", b.prefixed(row, reading.plain()))
		}
		return
	}
	if u.Job.Ended() {
		b.remove(row)
		b.screen.printf("%s\n", b.line(row, reading))
	}
	b.draw(now)
}

// row finds a job's line; a new one takes its place among the others.
func (b *board) row(u jobUpdate) *boardRow {
	for _, row := range b.rows {
		if row.id == u.ID {
			return row
		}
	}
	row := &boardRow{id: u.ID, name: clean(u.Job.get("metadata.name").String()), meter: newMeter()}
	b.label = max(b.label, cells(row.label()))
	b.rows = append(b.rows, row)
	slices.SortStableFunc(b.rows, func(x, y *boardRow) int {
		return slices.Index(b.ids, x.id) - slices.Index(b.ids, y.id)
	})
	return row
}

// label is the name with the end of the ID, since names may repeat, or the ID.
func (r *boardRow) label() string {
	if r.name == "" {
		return r.id
	}
	return r.name + " …" + r.id[max(len(r.id)-5, 0):]
}

func (b *board) remove(gone *boardRow) {
	b.rows = slices.DeleteFunc(b.rows, func(row *boardRow) bool { return row == gone })
}

func (b *board) tick(now time.Time) {
	if b.screen.live && len(b.rows) > 0 {
		b.draw(now)
	}
}

// draw draws as many lines as the terminal has rows, and says how many jobs it
// leaves out.
func (b *board) draw(now time.Time) {
	if !b.screen.live || len(b.rows) == 0 {
		return
	}
	rows, left := b.visible()
	var lines []string
	for _, row := range rows {
		lines = append(lines, b.line(row, row.meter.read(row.job, now)))
	}
	if left > 0 {
		lines = append(lines, b.screen.paint(styleDim, fmt.Sprintf("… and %d more", left)))
	}
	b.screen.draw(lines)
}

// visible are the jobs that there is room for: those at work before those that
// wait.
func (b *board) visible() (rows []*boardRow, left int) {
	_, height := b.screen.size()
	if len(b.rows) < height {
		return b.rows, 0
	}
	rows = slices.Clone(b.rows)
	slices.SortStableFunc(rows, func(x, y *boardRow) int { return x.waits() - y.waits() })
	room := max(height-2, 1)
	return rows[:min(room, len(rows))], len(rows) - room
}

// waits is 1 for a job at which nobody works.
func (r *boardRow) waits() int {
	if r.job.Status == "queued" || r.job.Status == "validating" {
		return 1
	}
	return 0
}

const (
	narrowestLabel = 12
	statusColumns  = len("in_progress")
)

// line is a job's line on a terminal.
func (b *board) line(row *boardRow, r reading) string {
	width := b.screen.width() - 1
	status := r.Status
	if !b.labels() {
		return b.coloured(r.bar(width), status)
	}
	columns := min(b.label, max(width*2/5, narrowestLabel))
	r.Status = pad(r.Status, statusColumns)
	label := pad(fitMiddle(row.label(), columns), columns) + "  "
	return fit(label, width) + b.coloured(r.bar(max(width-cells(label), 1)), status)
}

// coloured colours the status with which a line begins.
func (b *board) coloured(line, status string) string {
	if len(line) < len(status) || line[:len(status)] != status {
		return line
	}
	return b.screen.paint(statusStyle(status), status) + line[len(status):]
}

// prefixed says whose plain line it is.
func (b *board) prefixed(row *boardRow, line string) string {
	if !b.labels() {
		return line
	}
	if row.name != "" {
		line = row.name + "  " + line
	}
	return row.id + "  " + line
}

func (b *board) finish() { b.screen.keep() }
