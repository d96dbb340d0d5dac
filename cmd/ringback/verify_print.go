package main

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ringback/ringback/callbacks/signature"
)

// print says what was found, the problems first.
func (f verification) print(s *screen) {
	if f.Verified {
		s.printf("%s: %s, %s bytes\n\n", s.paint(styleGreen, "The callback verifies"), shownID(f.ID), grouped(f.Bytes))
	} else {
		s.printf("%s: %s, %s bytes\n\n", s.paint(styleRed, "The callback does not verify"), shownID(f.ID), grouped(f.Bytes))
	}
	for _, finding := range f.problemsFirst() {
		const indent = "           "
		s.printf("  %-8s %s\n", finding.Severity, wrapped(finding.Text, indent, s.width()))
		if finding.Next != "" {
			s.printf("%s%s\n", indent, wrapped(finding.Next, indent, s.width()))
		}
		if finding.Code == "timestamp_old" {
			s.printf("%s--at %s checks it for the time at which it was sent.\n", indent, f.Time)
		}
	}
}

func (f verification) problemsFirst() []signature.Finding {
	sorted := slices.Clone(f.Findings)
	slices.SortStableFunc(sorted, func(a, b signature.Finding) int { return rank(a) - rank(b) })
	return sorted
}

func rank(f signature.Finding) int {
	if f.Severity == signature.SeverityOK {
		return 1
	}
	return 0
}

// shownID quotes what a stranger wrote.
func shownID(id string) string {
	if id == "" {
		return "without an ID"
	}
	return strconv.QuoteToASCII(id)
}

// wrapped breaks a text between words, so that it and the indent fit the
// width. The first line's indent is the caller's.
func wrapped(text, indent string, width int) string {
	var lines strings.Builder
	column := len(indent)
	for i, word := range strings.Fields(text) {
		length := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+length > width:
			lines.WriteString("\n" + indent)
			column = len(indent)
		default:
			lines.WriteByte(' ')
			column++
		}
		lines.WriteString(word)
		column += length
	}
	return lines.String()
}
