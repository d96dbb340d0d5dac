package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/callbacks"
)

func allEventTypes() []string { return callbacks.EventTypes() }

func joined(words []string) string { return strings.Join(words, ", ") }

// stream follows events until ctx ends or enough have come.
func (e *eventsCommand) stream(ctx context.Context, s *session) error {
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	view := &followedEvents{print: s.print, notes: s.notes, limit: e.limit, enough: enough}
	return (&listenSession{
		client: s.client, types: strings.Join(e.types, ","), last: e.after, show: view,
		pause: firstListenPause, idle: listenIdle,
	}).run(ctx)
}

// followedEvents prints a stream's events, and what happens to the connection
// to notes.
type followedEvents struct {
	print  *printer
	notes  io.Writer
	limit  int // 0: none
	shown  int
	enough func()
}

func (f *followedEvents) event(event sseEvent, _ forwarded, _ string) {
	if f.limit > 0 && f.shown == f.limit {
		return
	}
	f.shown++
	if f.print.json {
		_ = printLine(f.print.out, event.Data)
	} else {
		_ = f.print.event(gjson.ParseBytes(event.Data))
	}
	if f.shown == f.limit {
		f.enough()
	}
}

func (f *followedEvents) connected(server string, _ *forwarder) {
	if !f.print.json {
		fmt.Fprintf(f.notes, "following %s; ctrl-C ends it\n", server)
	}
}

func (f *followedEvents) lost(err error, pause time.Duration, _ string) {
	fmt.Fprintf(f.notes, "%s; connecting again in %s\n", err, pause)
}

// place is the position that a stream names before its first event.
func (s *sseReader) place() (int64, error) {
	for s.lines.Scan() {
		name, value, _ := strings.Cut(s.lines.Text(), ":")
		if name != "id" {
			continue
		}
		return strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	}
	return 0, s.end()
}
