package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

const (
	styleBold  = "1"
	styleDim   = "2"
	styleGreen = "32"
	styleRed   = "31"
)

// defaultWidth is for a terminal that does not tell its own; plainWidth for
// where there is none.
const (
	defaultWidth = 80
	plainWidth   = 120
)

// plainLineEvery keeps a log readable.
const plainLineEvery = time.Second

// screen writes lines and, on a terminal, one progress line below them that is
// drawn again in place. Where there is no terminal, or NO_COLOR is set, it
// writes plain lines without colour.
type screen struct {
	out   io.Writer
	live  bool
	width func() int
	drawn bool    // a progress line stands and is not ended
	last  reading // what the last plain progress line said
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out, width: func() int { return plainWidth }}
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return s
	}
	s.live = true
	s.width = func() int {
		width, _, err := term.GetSize(int(file.Fd()))
		if err != nil || width < 1 {
			return defaultWidth
		}
		return width
	}
	return s
}

// printf writes whole lines above the progress line. A line that cannot be
// written is lost: nobody is left to tell.
func (s *screen) printf(format string, args ...any) {
	s.clear()
	_, _ = fmt.Fprintf(s.out, format, args...)
}

// progress draws a reading: in place on a terminal, else as a line of its own
// when it says something new.
func (s *screen) progress(r reading) {
	if s.live {
		_, _ = fmt.Fprintf(s.out, "\r%s\x1b[K", r.bar(s.width()-1))
		s.drawn = true
		return
	}
	if s.worthALine(r) {
		s.last = r
		_, _ = fmt.Fprintln(s.out, r.plain())
	}
}

// worthALine lets changes of status through at once, changes of numbers once
// a second.
func (s *screen) worthALine(r reading) bool {
	if r.Status != s.last.Status {
		return true
	}
	return r.Counts != s.last.Counts && (r.Ended || r.Elapsed-s.last.Elapsed >= plainLineEvery)
}

// clear takes the progress line away, so that lines can be written.
func (s *screen) clear() {
	if s.drawn {
		_, _ = fmt.Fprint(s.out, "\r\x1b[K")
		s.drawn = false
	}
}

// keep ends the progress line and leaves it standing.
func (s *screen) keep() {
	if s.drawn {
		_, _ = fmt.Fprintln(s.out)
		s.drawn = false
	}
}

// paint colours a text where colour is shown.
func (s *screen) paint(style, text string) string {
	if !s.live {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}
