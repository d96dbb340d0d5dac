package main

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// column is one of a table of objects. style is for what its cell says; nil
// for none.
type column struct {
	title string
	cell  func(object gjson.Result) string
	style func(text string) string
}

// field is a column that shows a field as it is.
func field(title, path string) column {
	return column{title: title, cell: func(o gjson.Result) string { return o.Get(path).String() }}
}

// statusColumn shows and colours a state.
func statusColumn() column {
	c := field("STATUS", "status")
	c.style = statusStyle
	return c
}

// statusStyle colours how something has ended.
func statusStyle(status string) string {
	switch status {
	case "completed", "succeeded", "delivered", "healthy", "on":
		return styleGreen
	case "failed", "expired", "incomplete", "failing", "disabled":
		return styleRed
	case "cancelled", "cancelling", "paused", "off":
		return styleYellow
	}
	return ""
}

// age is a column with the time since a moment in Unix seconds.
func (p *printer) age(title, path string) column {
	return column{title: title, cell: func(o gjson.Result) string { return ago(o.Get(path), p.now) }}
}

// table prints objects, one a line, or with --json as they are.
func (p *printer) table(columns []column, objects []json.RawMessage) error {
	if p.json {
		for _, object := range objects {
			if err := printLine(p.out, object); err != nil {
				return err
			}
		}
		return nil
	}
	columns, rows := withoutEmpty(columns, tableRows(columns, objects))
	widths := columnWidths(rows)
	for i, row := range rows {
		style := func(c int) string { return styleDim }
		if i > 0 {
			style = func(c int) string { return styleOf(columns[c], row[c]) }
		}
		if err := p.printf("%s\n", p.row(row, widths, style)); err != nil {
			return err
		}
	}
	return nil
}

func styleOf(c column, text string) string {
	if c.style == nil {
		return ""
	}
	return c.style(text)
}

// tableRows are the titles and then the cells.
func tableRows(columns []column, objects []json.RawMessage) [][]string {
	titles := make([]string, len(columns))
	for i, c := range columns {
		titles[i] = c.title
	}
	rows := [][]string{titles}
	for _, object := range objects {
		parsed := gjson.ParseBytes(object)
		row := make([]string, len(columns))
		for i, c := range columns {
			row[i] = clean(c.cell(parsed))
		}
		rows = append(rows, row)
	}
	return rows
}

// withoutEmpty leaves out the columns that say nothing about any object.
func withoutEmpty(columns []column, rows [][]string) (kept []column, short [][]string) {
	short = make([][]string, len(rows))
	for c := range columns {
		said := slices.ContainsFunc(rows[1:], func(row []string) bool { return row[c] != "" })
		if !said {
			continue
		}
		kept = append(kept, columns[c])
		for r, row := range rows {
			short[r] = append(short[r], row[c])
		}
	}
	return kept, short
}

func columnWidths(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], cells(cell))
		}
	}
	return widths
}

// row is a table's line, cut at the terminal's edge; its colours come after
// the cut.
func (p *printer) row(row []string, widths []int, style func(column int) string) string {
	var b strings.Builder
	edge := p.columns()
	begin := 0
	for i, cell := range row {
		if edge > 0 && begin >= edge {
			break
		}
		text := fit(cell, max(edge-begin, 0))
		b.WriteString(p.screen.paint(style(i), text))
		b.WriteString(strings.Repeat(" ", max(widths[i]+2-cells(text), 0)))
		begin += widths[i] + 2
	}
	return strings.TrimRight(b.String(), " ")
}
