package jobs

import (
	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/providers/responses"
)

// translator turns what an upstream says into a response's events, and knows the response at the end.
type translator interface {
	chunk(c providers.Chunk) []responses.Event
	// whole takes an answer that came in one piece, in the place of all chunks.
	whole(body []byte)
	// end gives the last events, all of them for an answer in one piece, and the response. The error is
	// responses.Unreadable.
	end(o responses.Object) ([]responses.Event, responded, error)
}

// translator begins with an event's number.
func (a *answering) translator(next int64) translator {
	if a.provider.SpeaksResponses() {
		return nativeTranslator{responses.NewNativeStream(next, NewID)}
	}
	return chatTranslator{responses.NewChatStream(next, NewID)}
}

type chatTranslator struct{ stream *responses.ChatStream }

func (t chatTranslator) chunk(c providers.Chunk) []responses.Event { return t.stream.Push(c.Data) }

func (t chatTranslator) whole(body []byte) { t.stream.Whole(body) }

func (t chatTranslator) end(o responses.Object) ([]responses.Event, responded, error) {
	o, events, err := t.stream.Finish(o)
	if err != nil {
		return nil, responded{}, err
	}
	return events, responded{Status(o.Status), o.JSON()}, nil
}

type nativeTranslator struct{ stream *responses.NativeStream }

func (t nativeTranslator) chunk(c providers.Chunk) []responses.Event {
	return t.stream.Push(c.Event, c.Data)
}

func (t nativeTranslator) whole(body []byte) { t.stream.Whole(body) }

func (t nativeTranslator) end(o responses.Object) ([]responses.Event, responded, error) {
	state, object, events, err := t.stream.Finish(o)
	return events, responded{Status(state), object}, err
}
