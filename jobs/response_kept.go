package jobs

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers/responses"
	"github.com/ringback/ringback/rawjson"
)

// The bounds of what one attempt adds to its response's stream. Ordinary answers are kept as they were said.
const (
	plainEvents  = 4096 // from here on, neighbours that say little become one
	littleDelta  = 64   // bytes of what one says, as JSON
	joinedDelta  = 1024 // and of what they say together
	answersOfOne = 4    // so many times the longest answer is what deltas may take; those beyond are left out
)

// keptEvents makes rows of what one attempt says, and numbers them anew where there are fewer than were said. What is left
// out of a stream is not lost: the events that end a part, and the last, hold the whole text.
type keptEvents struct {
	job    *Job
	next   int64 // number of the next one; zero: the first one's own
	events int
	bytes  int64
	most   int64 // bytes after which deltas are left out; zero for no bound
}

// newKeptEvents begins an attempt's. longest is limits.answer_bytes.
func newKeptEvents(j *Job, longest int64) *keptEvents {
	return &keptEvents{job: j, most: answersOfOne * longest}
}

// rows are those of the next set that was said; there may be none.
func (k *keptEvents) rows(set []responses.Event) []ResponseEvent {
	if k.next == 0 && len(set) > 0 {
		k.next = set[0].N
	}
	if k.events += len(set); k.events > plainEvents {
		set = joinDeltas(set)
	}
	rows := make([]ResponseEvent, 0, len(set))
	for _, e := range set {
		if k.most > 0 && k.bytes > k.most && isDelta(e) {
			continue
		}
		e = renumbered(e, k.next)
		k.next++
		k.bytes += int64(len(e.Data))
		rows = append(rows, k.job.responseEvent(e))
	}
	return rows
}

func isDelta(e responses.Event) bool { return strings.HasSuffix(e.Type, ".delta") }

// renumbered is an event with another sequence_number; all its other bytes stay.
func renumbered(e responses.Event, n int64) responses.Event {
	if e.N == n {
		return e
	}
	e.N = n
	return edited(e, "sequence_number", strconv.FormatInt(n, 10))
}

func edited(e responses.Event, name, value string) responses.Event {
	e.Data = rawjson.Edit(e.Data, gjson.ParseBytes(e.Data), func(key string, _ gjson.Result) (string, bool) {
		if key == name {
			return strconv.Quote(name) + ":" + value, true
		}
		return "", true
	})
	return e
}

// joinDeltas makes one of neighbours that say little of the same part.
func joinDeltas(set []responses.Event) []responses.Event {
	joined := make([]responses.Event, 0, len(set))
	var run joinedRun
	for _, e := range set {
		d := readDelta(e)
		if run.takes(d) {
			run.add(d)
			continue
		}
		joined = run.end(joined)
		if run = (joinedRun{first: d}); d.of == "" {
			joined, run = append(joined, e), joinedRun{}
		} else {
			run.add(d)
		}
	}
	return run.end(joined)
}

// delta is what an event adds to a part.
type delta struct {
	event responses.Event
	said  string // its JSON without the quotes
	of    string // all of the event but what it says and its number; empty for one that stays alone
}

// readDelta tells of an event whether it may become one with its neighbours: it says a short text, and nothing of each
// token beside it.
func readDelta(e responses.Event) (d delta) {
	d.event = e
	if !isDelta(e) {
		return d
	}
	var of strings.Builder
	alone := true
	gjson.ParseBytes(e.Data).ForEach(func(key, value gjson.Result) bool {
		switch name := key.String(); {
		case name == "sequence_number", name == "obfuscation":
		case name == "delta":
			alone = value.Type != gjson.String || len(value.Raw) > littleDelta
			d.said = strings.TrimSuffix(strings.TrimPrefix(value.Raw, `"`), `"`)
		case name == "logprobs" && len(value.Array()) > 0:
			of.Reset()
			alone = true
			return false
		default:
			of.WriteString(key.Raw + ":" + value.Raw + ",")
		}
		return true
	})
	if !alone {
		d.of = of.String()
	}
	return d
}

// joinedRun are neighbours that become one event.
type joinedRun struct {
	first delta
	said  []byte
	n     int
}

func (r *joinedRun) takes(d delta) bool {
	return d.of != "" && d.of == r.first.of && len(r.said)+len(d.said) <= joinedDelta
}

func (r *joinedRun) add(d delta) {
	r.n++
	r.said = append(r.said, d.said...)
}

func (r *joinedRun) end(joined []responses.Event) []responses.Event {
	switch {
	case r.first.of == "":
		return joined
	case r.n == 1:
		return append(joined, r.first.event)
	}
	return append(joined, edited(r.first.event, "delta", `"`+string(r.said)+`"`))
}
