package pages

import (
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/ringback/ringback/jobs"
)

// functions are what templates can call beside the language's own.
func (p *Pages) functions() template.FuncMap {
	return template.FuncMap{
		"key":       func() string { return jobs.NewID("form_") },
		"asset":     p.assets.url,
		"icon":      p.icon,
		"num":       grouped[int64],
		"count":     upTo,
		"bytes":     size,
		"size":      func(b []byte) string { return size(int64(len(b))) },
		"firstCall": firstCall,
		"ms":        milliseconds[int64],
		"span":      span,
		"age":       p.age,
		"clock":     p.clock,
		"until":     p.until,
		"short":     short,
		"json":      pretty,
		"data":      embedded,
		"dict":      dict,
		"plot":      func(c chart) template.HTML { return c.svg() },
	}
}

// icon draws a sign of the sprite. It says nothing to who does not see: words stand beside it.
func (p *Pages) icon(name string, classes ...string) template.HTML {
	return template.HTML(`<svg class="` + strings.Join(append([]string{"icon"}, classes...), " ") + //nolint:gosec // names and classes are the templates' own
		`" aria-hidden="true"><use href="` + p.assets.url("icons.svg") + "#" + name + `"/></svg>`)
}

// grouped writes 1,234,567.
func grouped[T ~int | ~int64](n T) string {
	digits := strconv.FormatInt(int64(n), 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// upTo writes a count that ended at its bound as 10,000+.
func upTo(n int64) string {
	if n > jobs.CountBound {
		return grouped(int64(jobs.CountBound)) + "+"
	}
	return grouped(n)
}

// size writes bytes as people do.
func size(n int64) string {
	value, units := float64(n), []string{"bytes", "KB", "MB", "GB", "TB"}
	i := 0
	for value >= 999.5 && i < len(units)-1 {
		value, i = value/1000, i+1
	}
	switch {
	case n == 1:
		return "1 byte"
	case n < 1000:
		return grouped(n) + " bytes"
	case value < 9.95:
		return fmt.Sprintf("%.1f %s", value, units[i])
	}
	return fmt.Sprintf("%.0f %s", value, units[i])
}

// milliseconds writes 84 ms, 1.9 s, 12 s, 3 min.
func milliseconds[T ~int | ~int64 | ~float64](ms T) string {
	v := float64(ms)
	switch {
	case v < 1:
		return "< 1 ms"
	case v < 999.5:
		return fmt.Sprintf("%.0f ms", v)
	case v < 9950:
		return fmt.Sprintf("%.1f s", v/1000)
	}
	return span(time.Duration(v) * time.Millisecond)
}

// span writes a length of time in its two largest units.
func span(d time.Duration) string {
	if d = d.Abs().Round(time.Second); d >= 10*time.Minute {
		d = d.Round(time.Minute)
	}
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour && d%time.Minute > 0:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour && d%time.Hour >= time.Minute:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(math.Round(d.Hours()/24)))
}

// The times of pages are UTC; where there is a script it says them in the reader's zone, or as how long ago, and keeps that up
// to date. So the same moment is always the same text, and a stream need not send it again.

func stamp(t jobs.Time, how, text string) template.HTML {
	at := t.Time().UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" data-time="%s" title="%s">%s</time>`, //nolint:gosec // made of numbers
		at.Format(time.RFC3339), how, at.Format("2 Jan 2006 15:04:05 UTC"), text))
}

// age is how long ago something was.
func (p *Pages) age(t jobs.Time) template.HTML {
	if t == 0 {
		return "–"
	}
	return stamp(t, "age", t.Time().UTC().Format("2 Jan 15:04"))
}

// until is how long it is to something.
func (p *Pages) until(t jobs.Time) template.HTML {
	if t == 0 {
		return "–"
	}
	return stamp(t, "until", "at "+t.Time().UTC().Format("15:04:05"))
}

// clock is the time of day, with the day where it is not today.
func (p *Pages) clock(t jobs.Time) template.HTML {
	if t == 0 {
		return "–"
	}
	at, layout := t.Time().UTC(), "15:04:05"
	if p.now().Time().UTC().Format(time.DateOnly) != at.Format(time.DateOnly) {
		layout = "2 Jan 15:04:05"
	}
	return stamp(t, "clock", at.Format(layout))
}

// short is an ID by which people tell it from others: batch_…ZCVKJG.
func short(id string) string {
	prefix, rest := "", id
	if i := strings.IndexAny(id, "_-"); i > 0 && i < 10 {
		prefix, rest = id[:i+1], id[i+1:]
	}
	if len(rest) <= 8 {
		return id
	}
	return prefix + "…" + rest[len(rest)-6:]
}

// embedded is a value as JSON for a data attribute, which the template quotes.
func embedded(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// dict gives a template several values under names.
func dict(pairs ...any) (map[string]any, error) {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("pages: dict wants names, not %v", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// plural is a number of things; several one that ended at its bound.
func plural(n int64, one, many string) string { return counts(n, grouped(n), one, many) }

func several(n int64, one, many string) string { return counts(n, upTo(n), one, many) }

func counts(n int64, text, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return text + " " + many
}
