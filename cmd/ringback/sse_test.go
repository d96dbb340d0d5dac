package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// readAllSSE reads a stream to its end.
func readAllSSE(r io.Reader) (events []sseEvent, last string, err error) {
	reader := newSSEReader(r)
	for {
		event, err := reader.next()
		if err != nil {
			return events, reader.last, err
		}
		events = append(events, event)
	}
}

func TestSSE(t *testing.T) {
	t.Parallel()
	one := []sseEvent{{"evt_1", "batch.completed", []byte(`{"a":1}`)}}
	for _, test := range []struct {
		name, stream string
		want         []sseEvent
		last         string
	}{
		{"an event", "id: evt_1\nevent: batch.completed\ndata: {\"a\":1}\n\n", one, "evt_1"},
		{"CRLF", "id: evt_1\r\nevent: batch.completed\r\ndata: {\"a\":1}\r\n\r\n", one, "evt_1"},
		{"CR", "id: evt_1\revent: batch.completed\rdata: {\"a\":1}\r\r", one, "evt_1"},
		{"a byte order mark", "\xef\xbb\xbfid: evt_1\nevent: batch.completed\ndata: {\"a\":1}\n\n", one, "evt_1"},
		{"no space behind the colon", "id:evt_1\nevent:batch.completed\ndata:{\"a\":1}\n\n", one, "evt_1"},
		{"pings, retry and unknown fields", ": ping\n\nretry: 1000\n\n:\nid: evt_1\nx: y\nz\nevent: batch.completed\n: ping\ndata: {\"a\":1}\n\n: ping\n\n", one, "evt_1"},
		{"data over lines", "data: {\ndata:  1\ndata\ndata: }\n\n", []sseEvent{{"", "message", []byte("{\n 1\n\n}")}}, ""},
		{"the ID lasts", "id: a\ndata: 1\n\ndata: 2\n\n", []sseEvent{{"a", "message", []byte("1")}, {"a", "message", []byte("2")}}, "a"},
		{"an ID with NUL does not count", "id: a\x00\ndata: 1\n\n", []sseEvent{{"", "message", []byte("1")}}, ""},
		{"a place without data", "id: 41\n\n", nil, "41"},
		{"a type without data is forgotten", "event: a\n\ndata: 1\n\n", []sseEvent{{"", "message", []byte("1")}}, ""},
		{"an event that is cut off", "id: a\ndata: 1\n\nid: b\ndata: 2\n", []sseEvent{{"a", "message", []byte("1")}}, "a"},
		{"a line that is cut off", "data: 1\n\ndata: 2\n\ndata", []sseEvent{{"", "message", []byte("1")}, {"", "message", []byte("2")}}, ""},
		{"nothing", "", nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, r := range []io.Reader{strings.NewReader(test.stream), iotest.OneByteReader(strings.NewReader(test.stream))} {
				events, last, err := readAllSSE(r)
				require.ErrorIs(t, err, io.EOF)
				require.Equal(t, test.want, events)
				require.Equal(t, test.last, last)
			}
		})
	}
}

func TestSSEBounds(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", longestSSELine-100)
	events, _, err := readAllSSE(strings.NewReader("data: " + long + "\n\n"))
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, long, string(events[0].Data))

	_, _, err = readAllSSE(strings.NewReader("data: " + long + strings.Repeat("x", 200) + "\n\n"))
	require.ErrorIs(t, err, errLongEvent)
	_, _, err = readAllSSE(strings.NewReader("data: " + long + "\ndata: " + long + "\n\n"))
	require.ErrorIs(t, err, errLongEvent, "many lines are one event")
}

func TestSSEErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("reset")
	events, _, err := readAllSSE(io.MultiReader(strings.NewReader("data: 1\n\ndata: 2\n"), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
	require.Len(t, events, 1)
}

func TestSSEDoesNotWaitBehindCR(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	defer r.Close()
	go func() { _, _ = w.Write([]byte("data: 1\r\r")) }()
	event, err := newSSEReader(r).next()
	require.NoError(t, err)
	require.Equal(t, "1", string(event.Data))
}
