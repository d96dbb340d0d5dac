package providers

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

const byteOrderMark = "\xef\xbb\xbf"

// events reads server-sent events as the HTML standard says (9.2.6): lines end
// in CR, LF or CRLF, those that begin with a colon are comments, several data
// fields are several lines of one text. In one thing it is kinder: an event
// whose blank line never came, because the body ended, counts all the same; the
// JSON in it tells whether it is whole.
type events struct {
	from  *bufio.Reader
	limit int64 // bytes of one line, and of one event
	begun bool
	cr    bool // the last line ended in CR: a LF now belongs to it

	text  []byte // of the line
	event []byte
	data  []byte
	some  bool // a data field came
	cut   bool // the body ended before the event's blank line
}

// newEvents bounds one event by limit and all that is read by total, in bytes.
func newEvents(from io.Reader, limit, total int64) *events {
	return &events{from: bufio.NewReaderSize(&bounded{from, total}, 16<<10), limit: limit}
}

// next gives the next event that has data, valid until it is called again. The
// error is io.EOF at the body's end, [errTooLarge] past a limit, or the body's.
func (e *events) next() (Chunk, error) {
	e.event, e.data, e.some = e.event[:0], e.data[:0], false
	for {
		line, err := e.line()
		switch {
		case e.some && (errors.Is(err, io.EOF) || err == nil && len(line) == 0):
			e.cut = err != nil
			return Chunk{Event: string(e.event), Data: e.data}, nil
		case err != nil:
			return Chunk{}, err
		case len(line) == 0:
			e.event = e.event[:0]
		default:
			e.field(line)
		}
		if int64(len(e.data)) > e.limit {
			return Chunk{}, errTooLarge
		}
	}
}

func (e *events) field(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "event":
		e.event = append(e.event[:0], value...)
	case "data":
		if e.some {
			e.data = append(e.data, '\n')
		}
		e.data, e.some = append(e.data, value...), true
	}
}

// line gives the next line without its end, valid until it is called again. What
// stands after the last line's end is a line too.
func (e *events) line() ([]byte, error) {
	e.skipMark()
	e.text = e.text[:0]
	for int64(len(e.text)) <= e.limit {
		if _, err := e.from.Peek(1); err != nil {
			if errors.Is(err, io.EOF) && len(e.text) > 0 {
				return e.text, nil
			}
			return nil, err
		}
		if e.take() {
			return e.text, nil
		}
	}
	return nil, errTooLarge
}

// take moves what is buffered of the line to text, and tells whether its end was there.
func (e *events) take() bool {
	have, _ := e.from.Peek(e.from.Buffered())
	if e.cr && have[0] == '\n' {
		_, _ = e.from.Discard(1)
		have = have[1:]
	}
	e.cr = false
	at := bytes.IndexAny(have, "\r\n")
	if at < 0 {
		e.text = append(e.text, have...)
		_, _ = e.from.Discard(len(have))
		return false
	}
	e.text = append(e.text, have[:at]...)
	e.cr = have[at] == '\r'
	_, _ = e.from.Discard(at + 1)
	return true
}

// skipMark drops the byte order mark that may stand before all.
func (e *events) skipMark() {
	if e.begun {
		return
	}
	e.begun = true
	if mark, _ := e.from.Peek(len(byteOrderMark)); string(mark) == byteOrderMark {
		_, _ = e.from.Discard(len(byteOrderMark))
	}
}

// bounded gives [errTooLarge] once more than left bytes were read.
type bounded struct {
	from io.Reader
	left int64
}

func (b *bounded) Read(to []byte) (int, error) {
	n, err := b.from.Read(to)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}
