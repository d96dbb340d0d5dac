package main

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// momentKeys are the fields beside those in _at that hold a time.
var momentKeys = []string{"eta", "run_at", "failing_since", "held_since", "estimated_finish", "created", "until"}

// fields prints an object with one line for each field that holds something,
// in the server's order; what it adds one day is shown too.
func (p *printer) fields(object gjson.Result, hide ...string) error {
	lines := p.fieldLines(object, hide)
	width := 0
	for _, line := range lines {
		width = max(width, cells(line[0]))
	}
	for _, line := range lines {
		if err := p.field(width, line[0], line[1]); err != nil {
			return err
		}
	}
	return nil
}

// field prints one labelled value, cut at the terminal's edge.
func (p *printer) field(width int, label, value string) error {
	style := ""
	if label == "status" {
		style = statusStyle(value)
	}
	if columns := p.columns(); columns > 0 {
		value = fit(value, max(columns-width-2, 1))
	}
	return p.printf("%s  %s\n", p.screen.paint(styleDim, pad(label, width)), p.screen.paint(style, value))
}

func (p *printer) fieldLines(object gjson.Result, hide []string) (lines [][2]string) {
	object.ForEach(func(key, value gjson.Result) bool {
		name := key.String()
		if name == "object" || slices.Contains(hide, name) {
			return true
		}
		if text := p.words(name, value); text != "" {
			lines = append(lines, [2]string{clean(name), clean(text)})
		}
		return true
	})
	return lines
}

// words is a value for people; "" for nothing.
func (p *printer) words(key string, value gjson.Result) string {
	switch {
	case value.Type == gjson.Null:
		return ""
	case value.Type == gjson.Number && isMoment(key):
		if at := unix(value); !at.IsZero() {
			return moment(at, p.now)
		}
		return ""
	case value.Type == gjson.Number && value.Num == float64(int(value.Num)) && key != "seed":
		return grouped(int(value.Num))
	case value.IsObject():
		return p.members(value)
	case value.IsArray():
		return p.entries(value)
	}
	return value.String()
}

func isMoment(key string) bool {
	return strings.HasSuffix(key, "_at") || slices.Contains(momentKeys, key)
}

// members is an object as "total 120, failed 2, details (cached 7)".
func (p *printer) members(object gjson.Result) string {
	var parts []string
	object.ForEach(func(key, value gjson.Result) bool {
		text := p.words(key.String(), value)
		if text != "" && value.IsObject() {
			text = "(" + text + ")"
		}
		if text != "" {
			parts = append(parts, key.String()+" "+text)
		}
		return true
	})
	return strings.Join(parts, ", ")
}

// entries is an array of plain values as "a, b"; any other is JSON.
func (p *printer) entries(array gjson.Result) string {
	var parts []string
	for _, entry := range array.Array() {
		if entry.IsObject() || entry.IsArray() {
			return array.Get("@ugly").Raw
		}
		parts = append(parts, entry.String())
	}
	return strings.Join(parts, ", ")
}
