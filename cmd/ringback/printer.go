package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/tidwall/gjson"
)

// printer prints what the server answered: for people as tables and fields,
// for programs as one line of JSON for each object, the server's own bytes.
type printer struct {
	out    io.Writer
	json   bool
	screen *screen
	now    time.Time // ages count from here
}

func newPrinter(out io.Writer, asJSON bool) *printer {
	return &printer{out: out, json: asJSON, screen: newScreen(out), now: time.Now()}
}

// columns is how wide a line may be; 0 where nobody's eyes set a bound.
func (p *printer) columns() int {
	if !p.screen.live {
		return 0
	}
	return p.screen.width()
}

// object prints one object as JSON or in the words that show finds for it.
func (p *printer) object(text []byte, show func(object gjson.Result) error) error {
	if p.json {
		return printLine(p.out, text)
	}
	return show(gjson.ParseBytes(text))
}

// printf writes words for people; with --json there are none.
func (p *printer) printf(format string, args ...any) error {
	if p.json {
		return nil
	}
	_, err := fmt.Fprintf(p.out, format, args...)
	return err
}

// printLine writes an object as one line of JSON.
func printLine(out io.Writer, object []byte) error {
	var line bytes.Buffer
	if err := json.Compact(&line, object); err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	line.WriteByte('\n')
	_, err := out.Write(line.Bytes())
	return err
}
