package main

import (
	"fmt"
	"time"
)

// board shows several jobs at once: on a terminal a live line for each that has
// not ended, below the lines of those that have; elsewhere a line when
// something has changed.
type board struct {
	screen *screen
	labels bool
	label  int // the columns of the longest label
	rows   []*boardRow
}

type boardRow struct {
	id, name string
	meter    *meter
	gate     lineGate
	job      Job
}

func newBoard(screen *screen, labels bool) *board { return &board{screen: screen, labels: labels} }

func (b *board) update(u jobUpdate, now time.Time) {
	row := b.row(u)
	if u.Err != nil {
		b.remove(row)
		if b.labels {
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

// row finds a job's line; a new one stands below the others.
func (b *board) row(u jobUpdate) *boardRow {
	for _, row := range b.rows {
		if row.id == u.ID {
			return row
		}
	}
	row := &boardRow{id: u.ID, name: clean(u.Job.get("metadata.name").String()), meter: newMeter()}
	b.label = max(b.label, cells(row.label()))
	b.rows = append(b.rows, row)
	return row
}

func (r *boardRow) label() string {
	if r.name == "" {
		return r.id
	}
	return r.name
}

func (b *board) remove(gone *boardRow) {
	var rest []*boardRow
	for _, row := range b.rows {
		if row != gone {
			rest = append(rest, row)
		}
	}
	b.rows = rest
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
	_, height := b.screen.size()
	room := max(height-2, 1)
	var lines []string
	for i, row := range b.rows {
		if i == room && len(b.rows) > room {
			lines = append(lines, b.screen.paint(styleDim, fmt.Sprintf("… and %d more", len(b.rows)-room)))
			break
		}
		lines = append(lines, b.line(row, row.meter.read(row.job, now)))
	}
	b.screen.draw(lines)
}

const (
	narrowestLabel = 12
	statusColumns  = len("in_progress")
)

// line is a job's line on a terminal.
func (b *board) line(row *boardRow, r reading) string {
	width := b.screen.width() - 1
	status := r.Status
	if !b.labels {
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
	if !b.labels {
		return line
	}
	if row.name != "" {
		line = row.name + "  " + line
	}
	return row.id + "  " + line
}

func (b *board) finish() { b.screen.keep() }
