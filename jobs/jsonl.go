package jobs

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/ringback/ringback/rawjson"
)

// MaxLine is the longest line of a batch file, in bytes: one line is held in memory.
const MaxLine = 16 << 20

var byteOrderMark = []byte("\xef\xbb\xbf")

// looksLikeJSONLines judges the first bytes of an upload: a first line that is an object, or the beginning of one
// that is longer than the look.
func looksLikeJSONLines(first []byte) bool {
	line, _, whole := bytes.Cut(bytes.TrimPrefix(first, byteOrderMark), []byte("\n"))
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] != '{' || bytes.IndexByte(line, 0) >= 0 {
		return false
	}
	return (!whole && len(first) == peek) || rawjson.Valid(line)
}

// lineReader reads a JSON-lines stream line by line. A line is valid until the next one is read.
type lineReader struct {
	r      *bufio.Reader
	long   []byte // holds lines that are longer than the buffer
	offset int64  // of the next line
	number int64  // of the last line, from 1
	marked bool   // the first line began with a byte order mark
}

func newLineReader(r io.Reader, offset, before int64) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 64<<10), offset: offset, number: before}
}

// errLineTooLong is the error of a line over MaxLine.
var errLineTooLong = errors.New("jobs: the line is too long")

// next gives the next line without its end and without a byte order mark, and where it began. io.EOF ends it.
func (l *lineReader) next() (line []byte, offset int64, err error) {
	offset = l.offset
	line, err = l.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line, err = l.rest(line)
	}
	l.offset += int64(len(line))
	if err != nil && (!errors.Is(err, io.EOF) || len(line) == 0) {
		return nil, offset, err
	}
	l.number++
	if offset == 0 {
		line, l.marked = bytes.CutPrefix(line, byteOrderMark)
	}
	return bytes.TrimSpace(line), offset, nil
}

// rest reads on a line that did not fit into the buffer.
func (l *lineReader) rest(head []byte) ([]byte, error) {
	l.long = append(l.long[:0], head...)
	for {
		more, err := l.r.ReadSlice('\n')
		l.long = append(l.long, more...)
		if len(l.long) > MaxLine {
			return nil, errLineTooLong
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return l.long, err
		}
	}
}
