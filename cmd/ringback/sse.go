package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// longestSSELine bounds a line of an event stream, and an event's data over
// all its lines.
const longestSSELine = 16 << 20

// errLongEvent is the answer to an event that is not held in memory.
var errLongEvent = fmt.Errorf("an event is longer than %d MiB", longestSSELine>>20)

// sseEvent is one event of a stream. ID is the last that the stream named,
// which may be "".
type sseEvent struct {
	ID   string
	Type string
	Data []byte
}

// sseReader reads server-sent events (HTML standard, section 9.2.6). Lines end
// with LF, CRLF or CR; an event that the stream's end cuts off is dropped. last
// is the ID of the last whole event, one without data too: such a one says
// where the stream stands.
type sseReader struct {
	lines *bufio.Scanner
	id    string
	last  string
}

func newSSEReader(r io.Reader) *sseReader {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestSSELine)
	lines.Split(splitSSELines())
	return &sseReader{lines: lines}
}

// next is the next event that carries data. The stream's proper end is io.EOF.
func (s *sseReader) next() (sseEvent, error) {
	event := sseEvent{Type: "message"}
	for s.lines.Scan() {
		line := s.lines.Bytes()
		if len(line) == 0 {
			s.last = s.id
			if event.Data != nil {
				event.ID, event.Data = s.id, bytes.TrimSuffix(event.Data, []byte("\n"))
				return event, nil
			}
			event.Type = "message"
			continue
		}
		if err := s.field(&event, line); err != nil {
			return sseEvent{}, err
		}
	}
	return sseEvent{}, s.end()
}

// field takes one line in. Comments have an empty name, unknown names do
// nothing.
func (s *sseReader) field(event *sseEvent, line []byte) error {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			s.id = string(value)
		}
	case "event":
		event.Type = string(value)
	case "data":
		if len(event.Data)+len(value) >= longestSSELine {
			return errLongEvent
		}
		event.Data = append(append(event.Data, value...), '\n')
	}
	return nil
}

func (s *sseReader) end() error {
	switch err := s.lines.Err(); {
	case err == nil:
		return io.EOF
	case errors.Is(err, bufio.ErrTooLong):
		return errLongEvent
	default:
		return err
	}
}

// splitSSELines ends a line at once at its CR: the LF that may follow belongs
// to it, and nobody waits for that byte.
func splitSSELines() bufio.SplitFunc {
	afterCR, begun := false, false
	return func(data []byte, atEOF bool) (advance int, line []byte, err error) {
		begin := 0
		if afterCR && len(data) > 0 && data[0] == '\n' {
			begin = 1
		}
		end := bytes.IndexAny(data[begin:], "\r\n")
		if end < 0 {
			if atEOF {
				begin = len(data) // the end cut this line off
			}
			afterCR = afterCR && len(data) == 0
			return begin, nil, nil
		}
		line, advance = data[begin:begin+end], begin+end+1
		afterCR = data[advance-1] == '\r'
		if !begun {
			line, begun = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")), true
		}
		return advance, line, nil
	}
}
