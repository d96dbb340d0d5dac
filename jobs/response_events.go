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

// eventPage is how many events are read at once.
const eventPage = 100

// lookAgain is how long a reader waits for what another process may have written.
const lookAgain = time.Second

// ResponseEvents are a page of a response's events after a number, -1 for all. Where there are none yet it waits for
// them, until the time is up or ctx done. ended says that nothing follows the page. The last event shows the response as
// polling does; a cancelled one has none, as at OpenAI: its stream just ends.
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

// eventsAfter reads the row first: once that has ended, all events are there.
func (s *Service) eventsAfter(ctx context.Context, ref Ref, after int64) (page []ResponseEvent, ended bool, err error) {
	snapshot, err := s.Records.Job(ctx, ref)
	if IsCode(err, CodeNotFound) { // deleted meanwhile
		return nil, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	kept, err := s.Records.ResponseEvents(ctx, ref, after, eventPage)
	if err != nil {
		return nil, false, err
	}
	page = append(snapshot.began(after), kept...)
	if !snapshot.Status.Terminal() || len(kept) == eventPage {
		return page, false, nil
	}
	last, err := s.Records.LastResponseEvent(ctx, ref)
	if err != nil {
		return nil, false, err
	}
	return append(page, snapshot.finale(last, after)...), true, nil
}

// began are the events before the model's first word: created, queued, and in progress once work has begun.
func (s *Snapshot) began(after int64) (events []ResponseEvent) {
	if after >= responses.NumberInProgress {
		return nil
	}
	then := *s
	then.Result, then.Errors, then.Status = nil, nil, Queued
	object := then.response()
	told := []responses.Event{
		responses.Told(responses.NumberCreated, "response.created", object),
		responses.Told(responses.NumberQueued, "response.queued", object),
	}
	if s.StartedAt > 0 {
		then.Status = InProgress
		told = append(told, responses.Told(responses.NumberInProgress, "response.in_progress", then.response()))
	}
	return s.responseEvents(told, after)
}

// finale is the event that shows the response as it ended; none for a cancelled one.
func (s *Snapshot) finale(last, after int64) []ResponseEvent {
	if s.Status == Cancelled {
		return nil
	}
	before := int64(responses.NumberQueued)
	if s.StartedAt > 0 {
		before = responses.NumberInProgress
	}
	end := responses.Told(max(last, before)+1, string(s.Kind.event(s.Status)), s.response())
	return s.responseEvents([]responses.Event{end}, after)
}

func (j *Job) responseEvents(told []responses.Event, after int64) (events []ResponseEvent) {
	for _, e := range told {
		if e.N > after {
			events = append(events, ResponseEvent{ProjectID: j.ProjectID, JobID: j.ID, N: e.N, Type: e.Type, Data: e.Data})
		}
	}
	return events
}
