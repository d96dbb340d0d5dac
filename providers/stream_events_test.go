package providers

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// allEvents reads every event as "event|data".
func allEvents(e *events) ([]string, error) {
	var found []string
	for {
		chunk, err := e.next()
		if err != nil {
			return found, err
		}
		found = append(found, chunk.Event+"|"+string(chunk.Data))
	}
}

func TestEventsAreReadAsTheStandardSays(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body string
		want []string
	}{
		"LF":                        {"data: a\n\ndata: b\n\n", []string{"|a", "|b"}},
		"CR":                        {"data: a\r\rdata: b\r\r", []string{"|a", "|b"}},
		"CRLF":                      {"data: a\r\n\r\ndata: b\r\n\r\n", []string{"|a", "|b"}},
		"all three":                 {"data: a\r\ndata: b\rdata: c\n\r\ndata: d\r\r\n", []string{"|a\nb\nc", "|d"}},
		"comments":                  {": hello\n\n:\ndata: a\n: x\n\n", []string{"|a"}},
		"a name before and after":   {"event: x\ndata: a\n\ndata: b\nevent: y\n\n", []string{"x|a", "y|b"}},
		"a name without data":       {"event: x\n\ndata: a\n\n", []string{"|a"}},
		"the last of two names":     {"event: x\nevent: y\ndata: a\n\n", []string{"y|a"}},
		"several lines":             {"data: a\ndata:\ndata:  b\n\n", []string{"|a\n\n b"}},
		"no blank after the colon":  {"data:a\nevent:x\n\n", []string{"x|a"}},
		"no colon":                  {"data\n\n", []string{"|"}},
		"a colon in the data":       {"data: {\"a\":1}\n\n", []string{`|{"a":1}`}},
		"other fields":              {"id: 1\nretry: 5\nDATA: no\n data: no\ndata: a\n\n", []string{"|a"}},
		"a byte order mark":         {"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", []string{"|a"}},
		"an end before the blank":   {"data: a\n\ndata: b\n", []string{"|a", "|b"}},
		"an end before the line's":  {"data: a\n\ndata: b", []string{"|a", "|b"}},
		"an end after a name":       {"data: a\n\nevent: x", []string{"|a"}},
		"a mark that is cut":        {"\xef\xbb", nil},
		"nothing":                   {"", nil},
		"blank lines alone":         {"\r\n\r\n\n\n\r", nil},
		"longer than what is read":  {"data: " + strings.Repeat("x", 40<<10) + "\n\n", []string{"|" + strings.Repeat("x", 40<<10)}},
		"a NUL and an odd encoding": {"data: \x00\xff\n\n", []string{"|\x00\xff"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, from := range []io.Reader{strings.NewReader(test.body), iotest.OneByteReader(strings.NewReader(test.body))} {
				got, err := allEvents(newEvents(from, 1<<20, 1<<20))
				require.ErrorIs(t, err, io.EOF)
				require.Equal(t, test.want, got)
			}
		})
	}
}

// An event is handed on with its blank line, not with the byte after: a CR ends a
// line whatever follows.
func TestEventsAreNotHeldBack(t *testing.T) {
	t.Parallel()
	for _, blank := range []string{"\n\n", "\r\r", "\r\n\r\n", "\r\n\r"} {
		from, to := io.Pipe()
		go func() { _, _ = io.WriteString(to, "data: a"+blank) }()
		chunk, err := newEvents(from, 100, 100).next()
		require.NoError(t, err)
		require.Equal(t, "a", string(chunk.Data))
		require.NoError(t, from.Close())
	}
}

func TestEventsHaveLimits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body         string
		limit, total int64
		want         error
	}{
		"an event of just the limit":  {"data: " + strings.Repeat("x", 94) + "\n\n", 100, 1000, io.EOF},
		"a line over the limit":       {"data: " + strings.Repeat("x", 40_000) + "\n\n", 100, 1 << 20, errTooLarge},
		"a comment over the limit":    {":" + strings.Repeat("x", 40_000) + "\n\n", 100, 1 << 20, errTooLarge},
		"an event of many lines":      {strings.Repeat("data: xxxxxxxxx\n", 20), 100, 1 << 20, errTooLarge},
		"a stream of just the limit":  {strings.Repeat("data: x\n\n", 10), 100, 90, io.EOF},
		"a stream over the limit":     {strings.Repeat("data: x\n\n", 10), 100, 89, errTooLarge},
		"comments over the limit":     {strings.Repeat(":\n", 100), 100, 150, errTooLarge},
		"an error of the body's own":  {"", 100, 100, iotest.ErrTimeout},
		"a body cut by the transport": {"data: x", 100, 100, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var from io.Reader = strings.NewReader(test.body)
			if errors.Is(test.want, iotest.ErrTimeout) || errors.Is(test.want, io.ErrUnexpectedEOF) {
				from = io.MultiReader(from, iotest.ErrReader(test.want))
			}
			_, err := allEvents(newEvents(from, test.limit, test.total))
			require.ErrorIs(t, err, test.want)
		})
	}
}

// FuzzEvents compares with a second reading of the same rules, over the whole
// text at once, and with a body that comes byte by byte.
func FuzzEvents(f *testing.F) {
	for _, seed := range []string{
		"data: a\r\n\r\nevent: x\rdata:b\r\r", "\xef\xbb\xbfdata\n\n", ": c\n\n\ndata: a\ndata: b\n\nevent:x", "data: a\r", "event\ndata:\n\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		want := plainly(string(body))
		for _, from := range []io.Reader{bytes.NewReader(body), iotest.OneByteReader(bytes.NewReader(body))} {
			got, err := allEvents(newEvents(from, 1<<20, 1<<20))
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, want, got)
		}
		few := newEvents(bytes.NewReader(body), 8, 1<<20)
		for chunk, err := few.next(); err == nil; chunk, err = few.next() {
			require.LessOrEqual(t, len(chunk.Data), 8)
		}
	})
}

func plainly(body string) []string {
	body = strings.TrimPrefix(body, "\xef\xbb\xbf")
	body = strings.ReplaceAll(strings.ReplaceAll(body, "\r\n", "\n"), "\r", "\n")
	var found, data []string
	event := ""
	for _, line := range append(strings.Split(body, "\n"), "") {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && data != nil:
			found = append(found, event+"|"+strings.Join(data, "\n"))
			fallthrough
		case line == "":
			event, data = "", nil
		case name == "data":
			data = append(data, value)
		case name == "event":
			event = value
		}
	}
	return found
}
