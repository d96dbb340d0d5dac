package web

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/jobs"
)

// lastEventHeader is what a client sends that comes back (the HTML standard's server-sent events).
const lastEventHeader = "Last-Event-ID"

// maxStreams is how many streams one process serves at once. Each holds a page of events while its client stalls.
const maxStreams = 64

// pace is how fast a stream goes.
type pace struct {
	poll  time.Duration // between two looks at what has happened
	ping  time.Duration // longest silence: proxies cut a connection that says nothing
	write time.Duration // how long a client may take to read anything at all
	rate  int           // bytes a second that it must read of a large event beyond that
	page  int           // events read at once: a body may be as long as the payload limit
}

func defaultPace() pace {
	return pace{poll: 200 * time.Millisecond, ping: 15 * time.Second, write: 10 * time.Second, rate: 64 << 10, page: 4}
}

// patience is how long a client may take to read n bytes.
func (p pace) patience(n int) time.Duration {
	return p.write + time.Duration(n)*time.Second/time.Duration(p.rate)
}

// follower is one client's stream: what it has seen, and what it wants.
type follower struct {
	events  EventReader
	project string
	after   string   // position of the last event seen
	types   []string // filters; none for all
	pace    pace
	out     *frames
}

// stream sends what happens as server-sent events, each the frozen bytes of one event. It looks into the store, so that
// it sees the events of every process, and none is skipped or sent twice. A client that comes back with the ID of
// its last event gets first what it missed.
func (e *events) stream(c *gin.Context) error {
	ctx, release := e.waiting(c)
	defer release()
	f := &follower{events: e.facts, project: e.project(c), pace: e.pace}
	var err error
	if f.types, err = readTypes(c); err != nil {
		return err
	}
	if f.after, err = e.begin(c); err != nil {
		return err
	}
	leave, err := e.enter()
	if err != nil {
		return err
	}
	defer leave()
	f.out = openFrames(c, e.pace)
	if c.Request.Method == http.MethodHead {
		return nil
	}
	return f.run(ctx)
}

// enter takes one of the places for streams; the caller leaves it. It does not wait for one.
func (s *core) enter() (leave func(), err error) {
	select {
	case s.streams <- struct{}{}:
		return func() { <-s.streams }, nil
	default:
		return nil, jobs.Errorf(codeStreams, "", "%d streams are open, the most that this server takes. Close one that you do not need and try again, or do without: read events in pages with GET /v1/events?after=, results without 'follow', and create or fetch a response without 'stream', then poll it.", cap(s.streams))
	}
}

// enterPage takes one of the places for open pages: they take none from programs, and do without where there is none.
func (s *core) enterPage() (leave func(), err error) {
	select {
	case s.open <- struct{}{}:
		return func() { <-s.open }, nil
	default:
		return nil, jobs.Errorf(codeStreams, "", "%d pages are open live, the most that this server keeps up to date. This one is refreshed every few seconds instead.", cap(s.open))
	}
}

// begin finds where the stream begins: after the event that the client names, or at what happens next. It fails before
// the stream begins, so that a client learns that its place is lost.
func (e *events) begin(c *gin.Context) (string, error) {
	ctx, project := c.Request.Context(), e.project(c)
	last, err := e.facts.LastEvent(ctx, project)
	if err != nil {
		return "", err
	}
	after := cmp.Or(c.GetHeader(lastEventHeader), c.Query("after"))
	if after == "" {
		return strconv.FormatInt(last, 10), nil
	}
	if position, err := strconv.ParseInt(after, 10, 64); !storable(after) || err == nil && (position < 0 || position > last) {
		return "", lostPlace(after)
	}
	_, _, err = e.facts.Events(ctx, project, after, 1)
	if jobs.IsCode(err, jobs.CodeNotFound) || jobs.IsCode(err, jobs.CodeValue) {
		return "", lostPlace(after)
	}
	return after, err
}

func lostPlace(after string) error {
	return jobs.Errorf(jobs.CodeValue, "after", "Cannot go on after '%s': there is no such event. Begin again without 'after' and %s, and fetch what you missed from /v1/events.", after, lastEventHeader)
}

// run sends until ctx is done or the client reads no more. Its error is the store's alone.
func (f *follower) run(ctx context.Context) error {
	tick := time.NewTicker(f.pace.poll)
	defer tick.Stop()
	f.out.begin(time.Second, f.after)
	for f.out.flush() {
		n, err := f.runOnce(ctx)
		switch {
		case ctx.Err() != nil:
			f.out.flush()
			return nil
		case err != nil:
			return err
		case n == f.pace.page:
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	return nil
}

// runOnce sends a page of what happened since the last, or says that it is still there. It tells how many events it
// has seen, wanted or not.
func (f *follower) runOnce(ctx context.Context) (n int, err error) {
	found, _, err := f.events.Events(ctx, f.project, f.after, f.pace.page)
	if err != nil {
		return 0, err
	}
	for i := range found {
		event := &found[i]
		if len(f.types) == 0 || event.Type.Wanted(f.types) {
			f.out.event(event.ID, string(event.Type), event.Body)
		}
		f.after = strconv.FormatInt(event.Position, 10)
	}
	if f.out.silent() >= f.pace.ping {
		f.out.ping()
	}
	return len(found), nil
}
