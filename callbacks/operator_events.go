package callbacks

import (
	"strings"

	"github.com/ringback/ringback/jobs"
)

// The events about callbacks themselves. Only endpoints that subscribe to them get them.
const (
	EventEndpointDisabled  jobs.EventType = "endpoint.disabled"
	EventEndpointRecovered jobs.EventType = "endpoint.recovered"
	EventDeliveryExhausted jobs.EventType = "delivery.exhausted"
	EventTest              jobs.EventType = "webhook.test"
)

// EndpointEvent says what became of an endpoint: the set of a project's endpoints has changed.
func EndpointEvent(e *Endpoint, typ jobs.EventType, now jobs.Time) jobs.Event {
	e.Sequence++
	return jobs.Fact{
		ProjectID: e.ProjectID, Type: typ, SubjectID: e.ID, Sequence: e.Sequence, Scope: jobs.ScopeCollection,
		Keys: []string{"webhook_endpoints"}, Object: e.Object(""), At: now,
	}.Event()
}

// exhaustedMost bounds the attempts in an event: the last ones, with the beginnings of their answers.
const exhaustedMost = 20

// ExhaustedEvent says that a delivery was given up, with its last attempts. Its sequence grows with each round that a
// retry by hand begins.
func ExhaustedEvent(d *Delivery, attempts []Attempt, now jobs.Time) jobs.Event {
	attempts = attempts[max(0, len(attempts)-exhaustedMost):]
	shown := make([]AttemptObject, len(attempts))
	for i := range attempts {
		shown[i] = attempts[i].object()
		shown[i].Snippet = brief(shown[i].Snippet)
	}
	return jobs.Fact{
		ProjectID: d.ProjectID, Type: EventDeliveryExhausted, SubjectID: d.ID, Sequence: int64(max(d.Recorded, 1)),
		Scope: jobs.ScopeKey, Object: plain(d.object(shown)), At: now,
	}.Event()
}

// brief keeps the answers in an event short: all of them together stay far below what a callback may carry.
func brief(snippet string) string {
	const most = 1024
	if len(snippet) <= most {
		return snippet
	}
	return strings.ToValidUTF8(snippet[:most], "") + "…"
}

// Exhausts tells whether the end of a delivery is an event of its own: not where the delivery carried such an event
// itself, or each that fails would make another one.
func Exhausts(d *Delivery) bool {
	return d.State == Failed && !strings.HasPrefix(string(d.EventType), "delivery.") &&
		!strings.HasPrefix(string(d.EventType), "endpoint.")
}
