package pages

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// chart is a plot over time, or over steps. The server draws it as SVG, so that it is there without a script; a script puts
// uPlot in its place, from the same values.
type chart struct {
	Label  string   `json:"label"` // what it says, in a sentence: for who does not see it
	X      []int64  `json:"x"`     // Unix seconds, or steps
	Lines  []series `json:"lines"`
	Unit   string   `json:"unit"`  // of the values: "", "ms", "/s", "tokens"
	Steps  bool     `json:"steps"` // X counts steps, and is no time
	Tall   bool     `json:"tall,omitempty"`
	Top    float64  `json:"top"`    // of the scale
	Bottom float64  `json:"bottom"` // of the scale, 0 or below
}

type series struct {
	Name   string     `json:"name"`
	Kind   string     `json:"kind"` // line, dash, thin, area, bars or points
	Tone   string     `json:"tone"` // a class that sets the colour; empty for the accent
	Values []*float64 `json:"values"`
}

// known is a point's value; nil where it is none that can be drawn.
func known(v float64) *float64 {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return nil
	}
	return &v
}

// some is nil for nothing: a bar without a height.
func some(v float64) *float64 {
	if v == 0 {
		return nil
	}
	return &v
}

// scaled sets the scale by the values.
func (c chart) scaled() chart {
	for _, s := range c.Lines {
		for _, v := range s.Values {
			if v != nil {
				c.Top, c.Bottom = max(c.Top, *v), min(c.Bottom, *v)
			}
		}
	}
	if c.Top == 0 && c.Bottom == 0 {
		c.Top = 1
	}
	c.Top = nice(c.Top)
	if c.Bottom < 0 {
		c.Bottom = -nice(-c.Bottom)
		c.Top = max(c.Top, -c.Bottom/4) // zero stands where it can be seen
	}
	return c
}

// nice is the next number up that people like on a scale.
func nice(v float64) float64 {
	if v <= 0 {
		return 0
	}
	base := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 1.5, 2, 3, 4, 5, 6, 8, 10} {
		if v <= m*base*1.000001 {
			return m * base
		}
	}
	return 10 * base
}

// Empty tells whether there is nothing to show.
func (c chart) Empty() bool {
	for _, s := range c.Lines {
		for _, v := range s.Values {
			if v != nil && *v != 0 {
				return false
			}
		}
	}
	return true
}

const chartWidth = 600.0

func (c chart) height() float64 {
	if c.Tall {
		return 220
	}
	return 132
}

// svg draws the shapes, with the scale's words in HTML beside them.
func (c chart) svg() template.HTML {
	var b strings.Builder
	h := c.height()
	ticks := []float64{c.Top, (c.Top + c.Bottom) / 2, c.Bottom}
	if c.Bottom < 0 {
		ticks = []float64{c.Top, 0, c.Bottom}
	}
	b.WriteString(`<figure class="plot` + map[bool]string{true: " tall"}[c.Tall] + `"><div class="y">`)
	for _, t := range ticks {
		b.WriteString("<span>" + html.EscapeString(c.value(math.Abs(t))) + "</span>")
	}
	fmt.Fprintf(&b, `</div><svg viewBox="0 0 %g %g" preserveAspectRatio="none" role="img" aria-label="%s">`, chartWidth, h, html.EscapeString(c.Label))
	for _, t := range ticks {
		class := "grid"
		if t == 0 {
			class = "zero"
		}
		fmt.Fprintf(&b, `<line class="%s" x2="%g" y1="%.1f" y2="%.1f"/>`, class, chartWidth, c.y(t), c.y(t))
	}
	for _, s := range c.Lines {
		c.draw(&b, s)
	}
	b.WriteString(`</svg><div class="x">`)
	for _, at := range c.ticksX() {
		b.WriteString("<span>" + html.EscapeString(at) + "</span>")
	}
	b.WriteString("</div></figure>")
	return template.HTML(b.String()) //nolint:gosec // all texts are escaped
}

func (c chart) draw(b *strings.Builder, s series) {
	if s.Kind == "bars" {
		c.drawBars(b, s)
		return
	}
	var path strings.Builder
	begun, first, last := false, 0.0, 0.0
	for i, v := range s.Values {
		if v == nil {
			continue // nothing was measured there: the line goes on to where something was
		}
		verb := "L"
		if !begun {
			verb, begun = "M", true
			if path.Len() == 0 {
				first = c.x(c.X[i])
			}
		}
		last = c.x(c.X[i])
		fmt.Fprintf(&path, "%s%.1f %.1f", verb, last, c.y(*v))
	}
	if path.Len() == 0 {
		return
	}
	tone := ""
	if s.Tone != "" {
		tone = " " + s.Tone
	}
	if s.Kind == "area" {
		fmt.Fprintf(b, `<path class="area%s" d="%sL%.1f %.1fL%.1f %.1fZ"/>`, tone, path.String(), last, c.y(0), first, c.y(0))
	}
	class := map[string]string{"dash": "line dash", "thin": "line thin"}[s.Kind]
	if class == "" {
		class = "line"
	}
	fmt.Fprintf(b, `<path class="%s%s" d="%s"/>`, class, tone, path.String())
}

func (c chart) drawBars(b *strings.Builder, s series) {
	fmt.Fprintf(b, `<g class="%s">`, s.Tone)
	width := chartWidth / float64(max(len(c.X)-1, 1))
	for i, v := range s.Values {
		if v == nil || *v == 0 {
			continue
		}
		top, bottom := c.y(max(*v, 0)), c.y(min(*v, 0))
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, float64(i)*width+width*.12, top, width*.76, max(bottom-top, 1))
	}
	b.WriteString("</g>")
}

func (c chart) x(at int64) float64 {
	if len(c.X) < 2 {
		return 0
	}
	first, last := c.X[0], c.X[len(c.X)-1]
	return chartWidth * float64(at-first) / float64(max(last-first, 1))
}

func (c chart) y(v float64) float64 {
	return c.height() * (c.Top - v) / (c.Top - c.Bottom)
}

func (c chart) ticksX() (words []string) {
	if len(c.X) < 2 {
		return nil
	}
	first, last := c.X[0], c.X[len(c.X)-1]
	const n = 4
	for i := range n + 1 {
		at := first + (last-first)*int64(i)/n
		switch {
		case c.Steps:
			words = append(words, grouped(at))
		case last-first > 3*24*3600:
			words = append(words, time.Unix(at, 0).UTC().Format("2 Jan"))
		case last-first < 300:
			words = append(words, time.Unix(at, 0).UTC().Format("15:04:05"))
		default:
			words = append(words, time.Unix(at, 0).UTC().Format("15:04"))
		}
	}
	return words
}

// value writes a number of the scale.
func (c chart) value(v float64) string {
	switch {
	case c.Unit == "ms" && v == 0:
		return "0"
	case c.Unit == "ms":
		return milliseconds(v)
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 3, 64) + "M"
	case v >= 10_000:
		return strconv.FormatFloat(v/1e3, 'g', 3, 64) + "k"
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// spark is the last day of something in one bar an hour: what went well stands up, what did not hangs down.
type spark struct {
	Label    string
	Up, Down []int64
}

// Path draws one side's bars.
func (s spark) path(values []int64, base, room float64, down bool) string {
	var top int64 = 1
	for _, v := range s.Up {
		top = max(top, v)
	}
	if down {
		top = 1
		for _, v := range s.Down {
			top = max(top, v)
		}
	}
	var b strings.Builder
	for i, v := range values {
		if v == 0 {
			continue
		}
		h := max(room*math.Sqrt(float64(v)/float64(top)), 1.5)
		if !down {
			h = -h
		}
		fmt.Fprintf(&b, "M%d %gv%.1fh4V%gz", i*5, base, h, base)
	}
	return b.String()
}

// UpPath and DownPath are what the template draws.
func (s spark) UpPath() string { return s.path(s.Up, 20, 18, false) }

// DownPath is the other side.
func (s spark) DownPath() string { return s.path(s.Down, 21, 7, true) }

// Empty tells whether nothing happened.
func (s spark) Empty() bool { return s.UpPath() == "" && s.DownPath() == "" }
