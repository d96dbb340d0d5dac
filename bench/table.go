package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// formatTable is a Markdown table whose columns also stand in line as plain
// text.
func formatTable(head []string, rows [][]string) string {
	widths := make([]int, len(head))
	for _, row := range append([][]string{head}, rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	rule := make([]string, len(head))
	for i, width := range widths {
		rule[i] = strings.Repeat("-", width)
	}
	var out strings.Builder
	for _, row := range append([][]string{head, rule}, rows...) {
		for i, cell := range row {
			fmt.Fprintf(&out, "| %s%s ", cell, strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)))
		}
		out.WriteString("|\n")
	}
	return out.String()
}

// thousands writes 50000 as 50,000.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func megabytes(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }

func latencyText(l Latency) string {
	return fmt.Sprintf("p50 %.1f ms, p99 %.1f ms", l.P50, l.P99)
}

// shares lists each pair's share.
func shares(pairs []Pair) string {
	return inBrackets(pairs, func(p Pair) float64 { return p.Share })
}

func callbackShares(pairs []BacklogPair) string {
	return inBrackets(pairs, func(p BacklogPair) float64 { return p.Share })
}

func inBrackets[T any](all []T, pick func(T) float64) string {
	each := make([]string, len(all))
	for i, one := range all {
		each[i] = fmt.Sprintf("%.2f", pick(one))
	}
	return "(" + strings.Join(each, ", ") + ")"
}
