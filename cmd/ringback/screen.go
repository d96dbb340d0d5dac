package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

const (
	styleBold   = "1"
	styleDim    = "2"
	styleGreen  = "32"
	styleYellow = "33"
	styleRed    = "31"
)

// The size of a terminal that does not tell its own; plainWidth is for where
// there is none.
const (
	defaultWidth  = 80
	defaultHeight = 24
	plainWidth    = 120
)

// plainLineEvery keeps a log readable.
const plainLineEvery = time.Second

// screen writes lines and, on a terminal, some live lines below them that are
// drawn again in place. It never hides the cursor and keeps no mode, so that
// nothing is left behind when the process dies. Where there is no terminal it
// writes plain lines; colour is for terminals without NO_COLOR.
type screen struct {
	out    io.Writer
	live   bool
	colour bool
	size   func() (width, height int)
	drawn  []int // the columns of each live line that stands
	gate   lineGate
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out, size: func() (int, int) { return plainWidth, defaultHeight }}
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || os.Getenv("TERM") == "dumb" {
		return s
	}
	s.live, s.colour = true, os.Getenv("NO_COLOR") == ""
	s.size = func() (int, int) {
		width, height, err := term.GetSize(int(file.Fd()))
		if err != nil || width < 1 || height < 1 {
			return defaultWidth, defaultHeight
		}
		return width, height
	}
	return s
}

// width is how many columns a line may have.
func (s *screen) width() int {
	width, _ := s.size()
	return width
}

// printf writes whole lines above the live ones. A line that cannot be written
// is lost: nobody is left to tell.
func (s *screen) printf(format string, args ...any) {
	s.clear()
	_, _ = fmt.Fprintf(s.out, format, args...)
}

// progress draws a reading: in place on a terminal, else as a line of its own
// when it says something new.
func (s *screen) progress(r reading) {
	if s.live {
		s.draw([]string{r.bar(s.width() - 1)})
		return
	}
	if s.gate.pass(r) {
		_, _ = fmt.Fprintln(s.out, r.plain())
	}
}

// draw puts lines in the place of those that stand, in one write: a process
// that is killed leaves a whole picture. Each is cut to the terminal's width,
// and there are never more than it has rows.
func (s *screen) draw(lines []string) {
	width, height := s.size()
	lines = lines[:min(len(lines), max(height-1, 1))]
	text := s.home(width)
	s.drawn = s.drawn[:0]
	for i, line := range lines {
		if i > 0 {
			text += "\n"
		}
		text += line + "\x1b[K"
		s.drawn = append(s.drawn, cells(bare(line)))
	}
	_, _ = fmt.Fprint(s.out, text+"\x1b[J")
}

// home moves to where the live lines begin. Where the terminal has become
// narrower since, it has broken them into more rows.
func (s *screen) home(width int) string {
	rows := -1
	for _, columns := range s.drawn {
		rows += max((columns+width-1)/width, 1)
	}
	if rows <= 0 {
		return "\r"
	}
	return fmt.Sprintf("\r\x1b[%dA", rows)
}

// bare is a text without its colours.
func bare(text string) string {
	for {
		before, rest, found := strings.Cut(text, "\x1b[")
		_, after, ended := strings.Cut(rest, "m")
		if !found || !ended {
			return text
		}
		text = before + after
	}
}

// clear takes the live lines away, so that lines can be written.
func (s *screen) clear() {
	if len(s.drawn) > 0 {
		_, _ = fmt.Fprint(s.out, s.home(s.width())+"\x1b[J")
		s.drawn = nil
	}
}

// keep ends the live lines and leaves them standing.
func (s *screen) keep() {
	if len(s.drawn) > 0 {
		_, _ = fmt.Fprintln(s.out)
		s.drawn = nil
	}
}

// paint colours a text where colour is shown.
func (s *screen) paint(style, text string) string {
	if !s.colour || style == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// lineGate lets changes of status through at once, changes of numbers once a
// second: where lines stay, only news are worth one.
type lineGate struct{ last reading }

func (g *lineGate) pass(r reading) bool {
	news := r.Status != g.last.Status ||
		r.Counts != g.last.Counts && (r.Ended || r.Elapsed-g.last.Elapsed >= plainLineEvery)
	if news {
		g.last = r
	}
	return news
}
