package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/providers/responses"
)

// chunks turns what an upstream streams into a response's events, and knows the response at the end.
type chunks interface {
	take(c providers.Chunk) []responses.Event
	// finish gives the last events and the response; false where the stream held none.
	finish(o responses.Object) ([]responses.Event, responded, bool)
}

type chatChunks struct{ *responses.ChatStream }

func (c chatChunks) take(chunk providers.Chunk) []responses.Event { return c.Push(chunk.Data) }

func (c chatChunks) finish(o responses.Object) ([]responses.Event, responded, bool) {
	o, last := c.Finish(o)
	return last, responded{Status(o.Status), o.JSON()}, true
}

type nativeChunks struct{ *responses.NativeStream }

func (c nativeChunks) take(chunk providers.Chunk) []responses.Event {
	return c.Push(chunk.Event, chunk.Data)
}

func (c nativeChunks) finish(o responses.Object) ([]responses.Event, responded, bool) {
	if c.Final() == nil {
		return nil, responded{}, false
	}
	state, object := responses.FromNative(o, c.Final())
	return nil, responded{Status(state), object}, true
}

// stream makes a call whose answer comes in pieces, and keeps them as they come. It returns when all of them are kept:
// whoever sees the response's end finds what went before.
func (a *answering) stream(ctx context.Context) (responded, providers.Answer, error) {
	last, err := a.Store.LastResponseEvent(ctx, a.job.Ref())
	if err != nil {
		return responded{}, providers.Answer{}, err
	}
	said := a.chunks(max(last+1, responses.FirstNumber))
	told := a.teller(ctx)
	answer, err := a.provider.Stream(ctx, a.request, func(c providers.Chunk) error { return told.add(said.take(c)) })
	var got responded
	if err == nil {
		got, err = a.finish(said, told, answer)
	}
	return got, answer, errors.Join(err, told.close())
}

func (a *answering) chunks(next int64) chunks {
	if a.provider.SpeaksResponses() {
		return nativeChunks{responses.NewNativeStream(next)}
	}
	return chatChunks{responses.NewChatStream(next, NewID)}
}

func (a *answering) finish(said chunks, told *teller, answer providers.Answer) (responded, error) {
	if len(answer.Body) > 0 { // it did not stream after all
		return a.whole(answer.Body), nil
	}
	events, got, ok := said.finish(a.object())
	if !ok {
		return got, &providers.Error{Kind: providers.InvalidAnswer, Retry: true, Status: answer.Status, Message: "The provider's stream held no response; try again later."}
	}
	return got, told.add(events)
}

// A set of events is kept when it is tellSize long or its first has waited for tellEvery: one commit serves many words,
// and nobody waits long for the first.
const (
	tellEvery = 50 * time.Millisecond
	tellSize  = 100
)

// teller keeps the events of one attempt in sets, beside the call that makes them.
type teller struct {
	in    chan []responses.Event
	ended chan struct{} // closed when run has returned
	err   error         // why it gave up; read it after ended
}

// teller begins; close must be called.
func (a *answering) teller(ctx context.Context) *teller {
	t := &teller{in: make(chan []responses.Event, tellSize), ended: make(chan struct{})}
	go func() {
		defer close(t.ended)
		t.err = t.run(ctx, a)
	}()
	return t
}

// add hands events over. It waits where more come than can be kept, and fails where nothing can be kept any more.
func (t *teller) add(events []responses.Event) error {
	if len(events) == 0 {
		return nil
	}
	select {
	case t.in <- events:
		return nil
	case <-t.ended:
		return t.err
	}
}

// close waits until all events are kept.
func (t *teller) close() error {
	close(t.in)
	<-t.ended
	return t.err
}

func (t *teller) run(ctx context.Context, a *answering) error {
	var last time.Time
	for first := range t.in {
		set := t.gather(first, max(0, tellEvery-time.Since(last)))
		if err := a.keep(ctx, set); err != nil {
			return err
		}
		last = time.Now()
	}
	return nil
}

// gather adds what comes within a time.
func (t *teller) gather(set []responses.Event, within time.Duration) []responses.Event {
	over := time.After(within)
	for len(set) < tellSize {
		select {
		case more, open := <-t.in:
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
func (a *answering) keep(ctx context.Context, set []responses.Event) error {
	rows := a.job.responseEvents(set, -1)
	var err error
	a.insist(ctx, func() error {
		err = a.Store.KeepResponseEvents(ctx, a.job, rows)
		return err
	})
	a.Watchers.Ring(a.job.Ref())
	return err
}
