package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/providers/responses"
)

// transcript is the stream of a response as one attempt writes it.
//
// An attempt that follows one which broke off in mid-answer answers anew, from output_index 0. So that clients that add up
// by output_index can do so too, response.in_progress comes once more before its first event, with the next number and the
// response as it is without any output. An attempt that says nothing leaves no trace.
type transcript struct {
	translator
	recorder *recorder
	again    []responses.Event // what goes before the attempt's first event; empty for the first that says anything
}

// transcript goes on after the last event that was kept, 0 for none. Its recorder must be closed.
func (a *answering) transcript(ctx context.Context, last int64) *transcript {
	t := &transcript{recorder: a.recorder(ctx)}
	next := int64(responses.FirstNumber)
	if last > 0 {
		o := a.object()
		o.Status = responses.InProgress
		t.again = []responses.Event{responses.Told(last+1, "response.in_progress", o.JSON())}
		next = last + 2
	}
	t.translator = a.translator(next)
	return t
}

func (t *transcript) take(c providers.Chunk) error { return t.add(t.chunk(c)) }

func (t *transcript) add(events []responses.Event) error {
	if len(events) == 0 {
		return nil
	}
	events, t.again = append(t.again, events...), nil
	return t.recorder.add(events)
}

// stream makes a call whose answer comes in pieces, and keeps them as they come. It returns when all of them are kept:
// whoever sees the response's end finds what went before.
func (a *answering) stream(ctx context.Context) (responded, providers.Answer, error) {
	last, err := a.Store.LastResponseEvent(ctx, a.job.Ref())
	if err != nil {
		return responded{}, providers.Answer{}, err
	}
	t := a.transcript(ctx, last)
	answer, err := a.streamCall(ctx, a.provider, a.job.ProjectID, a.request, t.take)
	var got responded
	if err == nil {
		got, err = a.finish(t, answer)
	}
	return got, answer, errors.Join(err, t.recorder.close())
}

func (a *answering) finish(t *transcript, answer providers.Answer) (responded, error) {
	if len(answer.Body) > 0 { // it did not stream after all
		t.whole(answer.Body)
	}
	events, got, err := a.end(t.translator, answer)
	if err != nil {
		return got, err
	}
	return got, t.add(events)
}

// A set of events is kept when it is recordSize long or its first has waited for recordEvery: one commit serves many words,
// and nobody waits long for the first.
const (
	recordEvery = 50 * time.Millisecond
	recordSize  = 100
)

// recorder keeps the events of one attempt in sets, beside the call that makes them.
type recorder struct {
	in    chan []responses.Event
	ended chan struct{} // closed when run has returned
	err   error         // why it gave up; read it after ended
}

// recorder begins; close must be called.
func (a *answering) recorder(ctx context.Context) *recorder {
	r := &recorder{in: make(chan []responses.Event, recordSize), ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		r.err = r.run(ctx, a)
	}()
	return r
}

// add hands events over. It waits where more come than can be kept, and fails where nothing can be kept any more.
func (r *recorder) add(events []responses.Event) error {
	select {
	case r.in <- events:
		return nil
	case <-r.ended:
		return r.err
	}
}

// close waits until all events are kept.
func (r *recorder) close() error {
	close(r.in)
	<-r.ended
	return r.err
}

func (r *recorder) run(ctx context.Context, a *answering) error {
	var last time.Time
	kept := newKeptEvents(&a.job, a.Limits.AnswerBytes)
	for first := range r.in {
		set := r.gather(first, max(0, recordEvery-time.Since(last)))
		if err := a.keep(ctx, kept.rows(set)); err != nil {
			return err
		}
		last = time.Now()
	}
	return nil
}

// gather adds what comes within a time.
func (r *recorder) gather(set []responses.Event, within time.Duration) []responses.Event {
	over := time.After(within)
	for len(set) < recordSize {
		select {
		case more, open := <-r.in:
			if !open {
				return set
			}
			set = append(set, more...)
		case <-over:
			return set
		}
	}
	return set
}

// keep insists, as with any outcome: what was said has been paid for.
func (a *answering) keep(ctx context.Context, rows []ResponseEvent) error {
	var err error
	a.insist(ctx, func() error {
		err = a.Store.KeepResponseEvents(ctx, a.job, rows)
		return err
	})
	a.Watchers.Ring(a.job.Ref())
	return err
}
