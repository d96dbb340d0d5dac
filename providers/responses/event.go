package responses

import "strconv"

// Event is one event of a response's stream.
type Event struct {
	N    int64  // sequence_number: gapless from 0
	Type string // as in the data
	Data []byte // a JSON object
}

// The numbers of the first events of every stream: what happens to a response before its model says anything.
const (
	NumberCreated    = 0
	NumberQueued     = 1
	NumberInProgress = 2
	FirstNumber      = 3 // of what the model says
)

// Told is an event that shows the whole response, as those of its life do: response.created, .queued, .in_progress,
// .completed, .failed and .incomplete. OpenAI has none for a cancelled one: its stream just ends.
func Told(n int64, typ string, object []byte) Event {
	s := sequence{next: n}
	s.emit(typ, `"response":`+string(object))
	return s.events[0]
}

// sequence numbers events.
type sequence struct {
	next   int64
	events []Event
}

// emit makes the next event; members are those besides type and sequence_number. None of them may be called "error": some
// clients take its mere existence for the end of the stream.
func (s *sequence) emit(typ, members string) {
	data := []byte(`{"type":` + quote(typ) + `,"sequence_number":`)
	data = strconv.AppendInt(data, s.next, 10)
	data = append(append(append(data, ','), members...), '}')
	s.events = append(s.events, Event{N: s.next, Type: typ, Data: data})
	s.next++
}

// take gives the events made since the last time.
func (s *sequence) take() []Event {
	made := s.events
	s.events = nil
	return made
}
