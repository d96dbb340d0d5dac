package jobs

import (
	"context"
	"time"

	"github.com/ringback/ringback/providers/responses"
)

// ResponseEvent is one event of a response's stream: what a client that watches it gets. It is no [Event]: nobody is
// called back for it.
//
// Only what the model says is kept. The events of the response's life around it, from response.created to its end, are
// made when they are read: they say what the job's row says.
type ResponseEvent struct {
	ProjectID string
	JobID     string
	N         int64 // sequence_number: gapless from 0
	Type      string
	Data      []byte // a JSON object
}

// A page of a stream is so many events and about so many bytes: it is held while its client stalls. One event that is
// longer is a page of its own.
const (
	pageEvents = 100
	pageBytes  = 1 << 20
)

// StreamQuery asks for the next events of a response's stream.
type StreamQuery struct {
	After  int64 // the number of the last one seen; -1 for none
	Events int   // at most so many
	Bytes  int64 // and no more of their data than this, but for a first event that is longer
}

// StreamLook is what one look at a response's stream finds, all of one moment: where there are events, it has started, and
// once it has ended, what Events does not show will never be.
type StreamLook struct {
	Status    Status
	StartedAt Time // zero while its work has not begun
	Events    []ResponseEvent
}

// lookAgain is how long a reader waits for what another process may have written.
const lookAgain = time.Second

// ResponseEvents are a page of a response's events after a number, -1 for all: about 1 MiB, or one that is longer. Where
// there are none yet it waits for them, until the time is up or ctx done. ended says that nothing follows the page. The
// last event shows the response as polling does; a cancelled one has none, as at OpenAI: its stream just ends, as that of
// a deleted one does.
//
// Where a first attempt broke off in mid-answer, what it said stays in the stream and the numbers go on with what the
// next one says: the last event is the one that counts.
func (s *Service) ResponseEvents(ctx context.Context, ref Ref, after int64, wait time.Duration) (page []ResponseEvent, ended bool, err error) {
	over := time.After(wait)
	rung, stop := s.Watchers.Watch(ref)
	defer stop()
	for {
		page, ended, err = s.eventsAfter(ctx, ref, after)
		if err != nil || ended || len(page) > 0 {
			return page, ended, err
		}
		select {
		case <-ctx.Done():
			return nil, false, nil
		case <-over:
			return nil, false, nil
		case <-rung:
		case <-time.After(lookAgain):
		}
	}
}

// eventsAfter gives what comes next: the events before the model's first word, what the model says, or the end. The first
// and the last show the whole response, which is read for them alone.
func (s *Service) eventsAfter(ctx context.Context, ref Ref, after int64) (page []ResponseEvent, ended bool, err error) {
	look, err := s.Records.LookAtStream(ctx, ref, StreamQuery{max(after, responses.NumberInProgress), pageEvents, pageBytes})
	switch {
	case err == nil && begins(after, look.StartedAt):
		page, err = s.began(ctx, ref, after)
	case err == nil && len(look.Events) == 0 && look.Status.Terminal():
		page, err = s.finale(ctx, ref, after)
		ended = true
	default:
		page = look.Events
	}
	if IsCode(err, CodeNotFound) { // deleted meanwhile
		return nil, true, nil
	}
	return page, ended && err == nil, err
}

// begins tells whether events before the model's first word come next.
func begins(after int64, started Time) bool {
	return after < responses.NumberQueued || after < responses.NumberInProgress && started > 0
}

// began are the events before the model's first word: created, queued, and in progress once work has begun; as many as make
// a page, since each shows all that the request said.
func (s *Service) began(ctx context.Context, ref Ref, after int64) (page []ResponseEvent, err error) {
	then, err := s.Records.Job(ctx, ref)
	if err != nil {
		return nil, err
	}
	then.Result, then.Errors = nil, nil
	for n, left := after+1, pageBytes; n <= responses.NumberInProgress && left > 0; n++ {
		if n == responses.NumberInProgress && then.StartedAt == 0 {
			break
		}
		e := then.beginning(n)
		page, left = append(page, e), left-len(e.Data)
	}
	return page, nil
}

func (s *Snapshot) beginning(n int64) ResponseEvent {
	typ := "response.created"
	switch s.Status = Queued; n {
	case responses.NumberQueued:
		typ = "response.queued"
	case responses.NumberInProgress:
		typ, s.Status = "response.in_progress", InProgress
	}
	return s.responseEvent(responses.Told(n, typ, s.response()))
}

// finale is the event that shows the response as it ended; none for a cancelled one, and none for who has seen it.
func (s *Service) finale(ctx context.Context, ref Ref, after int64) ([]ResponseEvent, error) {
	last, err := s.Records.LastResponseEvent(ctx, ref)
	if err != nil {
		return nil, err
	}
	then, err := s.Records.Job(ctx, ref)
	if err != nil || then.Status == Cancelled {
		return nil, err
	}
	before := int64(responses.NumberQueued)
	if then.StartedAt > 0 {
		before = responses.NumberInProgress
	}
	end := responses.Told(max(last, before)+1, string(then.Kind.event(then.Status)), then.response())
	return then.responseEvents([]responses.Event{end}, after), nil
}

func (j *Job) responseEvents(told []responses.Event, after int64) (events []ResponseEvent) {
	for _, e := range told {
		if e.N > after {
			events = append(events, j.responseEvent(e))
		}
	}
	return events
}

func (j *Job) responseEvent(e responses.Event) ResponseEvent {
	return ResponseEvent{ProjectID: j.ProjectID, JobID: j.ID, N: e.N, Type: e.Type, Data: e.Data}
}
