package main

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

const eventsHelp = `Show events, everything that happened, in the order in which it did: the newest,
or with --after those that follow one. --follow goes on with what happens from
now on, or after --after, over restarts of the server, until Ctrl-C or until
--limit events have come.

With --json each event is the body that its receivers got.`

// eventsCommand is one `events`.
type eventsCommand struct {
	follow bool
	after  string
	types  []string
	limit  int
}

func newEventsCommand() *cobra.Command {
	e := &eventsCommand{}
	cmd := clientCommand(&cobra.Command{
		Use:   "events",
		Short: "Show what happened, and follow what happens",
		Long:  eventsHelp,
		Example: `  ringback events --follow
  ringback events --types 'batch.*,delivery.exhausted' --limit 50
  ringback events --follow --types batch.completed --limit 1 --json | jq -r .data.id`,
		Args: cobra.NoArgs,
	}, e.run)
	flags := cmd.Flags()
	flags.BoolVarP(&e.follow, "follow", "f", false, "go on with what happens")
	flags.StringVar(&e.after, "after", "", "`ID` of an event: begin with the one after it; 0 is the first")
	flags.StringSliceVar(&e.types, "types", nil, "only `TYPES`, as 'batch.*,generation.failed'")
	flags.IntVar(&e.limit, "limit", 0, "show at most `N` (default 20, and no bound with --follow)")
	completeFlag(cmd, "types", eventTypes)
	completeFlag(cmd, "after", eventIDs)
	return cmd
}

func (e *eventsCommand) run(ctx context.Context, s *session) error {
	if e.limit < 0 {
		return usagef("--limit is 0 or more")
	}
	if err := checkTypes(e.types); err != nil {
		return err
	}
	if e.follow {
		return e.stream(ctx, s)
	}
	if e.limit == 0 {
		e.limit = shownByDefault
	}
	found, err := e.read(ctx, s.client)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		s.note("no such events")
		return nil
	}
	if s.print.json {
		return s.print.table(nil, found)
	}
	for _, event := range found {
		if err := s.print.event(gjson.ParseBytes(event)); err != nil {
			return err
		}
	}
	return nil
}

// checkTypes refuses a filter that nothing can match: it would be silent for
// ever.
func checkTypes(types []string) error {
	for _, filter := range types {
		known := false
		for _, typ := range allEventTypes() {
			known = known || jobs.EventType(typ).Matches(filter)
		}
		if !known {
			return usagef("--types %q matches no type of event; known are %s, families as batch.*, and *", filter, oneLine(joined(allEventTypes())))
		}
	}
	return nil
}

// wanted tells whether the types pick an event.
func (e *eventsCommand) wanted(event []byte) bool {
	return len(e.types) == 0 || jobs.EventType(gjson.GetBytes(event, "type").String()).Wanted(e.types)
}

// errEnough ends a listing.
var errEnough = errors.New("enough")

// read finds the events after one, or the newest.
func (e *eventsCommand) read(ctx context.Context, client *Client) ([]json.RawMessage, error) {
	if e.after != "" {
		return e.behind(ctx, client, e.after, e.limit)
	}
	last, err := client.lastPosition(ctx)
	if err != nil {
		return nil, err
	}
	// Positions have gaps, and types leave events out: look further back until
	// there is enough.
	for back := int64(e.limit); ; back *= 8 {
		found, err := e.behind(ctx, client, strconv.FormatInt(max(last-back, 0), 10), 0)
		if err != nil || len(found) >= e.limit || back >= last {
			return found[max(len(found)-e.limit, 0):], err
		}
	}
}

// behind reads the events after a position or an ID, up to a number of them.
func (e *eventsCommand) behind(ctx context.Context, client *Client, after string, limit int) (found []json.RawMessage, err error) {
	_, err = client.pages(ctx, listing{path: "/v1/events", after: after}, func(event json.RawMessage) error {
		if e.wanted(event) {
			found = append(found, event)
		}
		if limit > 0 && len(found) == limit {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return found, err
}

// lastPosition is where the newest event stands: a stream says so at its
// beginning.
func (c *Client) lastPosition(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	stream, err := c.eventStream(ctx, "*", "")
	if err != nil {
		return 0, err
	}
	defer stream.Close()
	return newSSEReader(stream).place()
}

// event prints an event as a line.
func (p *printer) event(e gjson.Result) error {
	at := unix(e.Get("created"))
	return p.printf("%s  %-30s %-34s %s\n", at.Format(time.DateTime), clean(e.Get("type").String()), clean(e.Get("data.id").String()), clean(e.Get("id").String()))
}

// showEvent prints an event's head and the object that it carries.
func (s *session) showEvent(e gjson.Result) error {
	if err := s.print.fields(e, "data", "created_at", "event_id", "cache_scope_to_invalidate"); err != nil {
		return err
	}
	if err := s.print.printf("\n%s\n", s.print.screen.paint(styleBold, "object")); err != nil {
		return err
	}
	return s.print.fields(e.Get("data.object"), "result", "output")
}
