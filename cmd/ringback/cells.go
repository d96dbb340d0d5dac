package main

import (
	"strings"
	"unicode"
)

// wide are the scripts and signs that take two columns of a terminal.
var wide = []*unicode.RangeTable{
	unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana,
	{R16: []unicode.Range16{{0x3000, 0x303e, 1}, {0xff01, 0xff60, 1}}, R32: []unicode.Range32{{0x1f300, 0x1faff, 1}}},
}

// cells is how many columns of a terminal a text takes.
func cells(text string) (n int) {
	for _, r := range text {
		n += cellsOf(r)
	}
	return n
}

func cellsOf(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.In(r, wide...):
		return 2
	}
	return 1
}

// fit cuts a line to a number of columns; 0 leaves it whole.
func fit(line string, width int) string {
	if width <= 0 || cells(line) <= width {
		return line
	}
	used := 0
	for i, r := range line {
		if used += cellsOf(r); used > width-1 {
			return line[:i] + "…"
		}
	}
	return line
}

// fitMiddle cuts the middle out: both ends of an ID tell it from others.
func fitMiddle(text string, width int) string {
	if width <= 0 || cells(text) <= width {
		return text
	}
	runes := []rune(text)
	head := (width - 1) / 2
	tail := max(width-1-head, 0)
	if len(runes) <= head+tail { // wide signs: their number says nothing
		return fit(text, width)
	}
	return fit(string(runes[:head])+"…"+string(runes[len(runes)-tail:]), width)
}

// pad fills a text up to a number of columns.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(width-cells(text), 0))
}

// clean takes out of a text what could move the cursor or hide words: names,
// errors and answers come from strangers.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}
