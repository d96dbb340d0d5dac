package callbacks

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/ringback/ringback/jobs"
)

// Receivers are all who may want an event.
type Receivers struct {
	WebhookID string        // the submission's own receiver, and
	Webhook   *jobs.Webhook // what it is; nil for none
	Named     jobs.Texts    // IDs of endpoints that the submission names
	Endpoints []Endpoint    // the project's active endpoints, and the named ones whatever their state
	Except    string        // ID of an endpoint that the event is about
	First     time.Duration // the setting's wait before a first attempt
}

// Fan makes the deliveries that an event owes: one for each receiver that wants it. It decides only; the store commits
// them with the event.
func Fan(e *jobs.Event, to Receivers) (owed []Delivery) {
	if w := to.Webhook; w != nil && e.Type.Wanted(w.Events) {
		d := owe(e, ShownURL(w.URL), hostGate(w.URL), to.First)
		d.WebhookID = to.WebhookID
		owed = append(owed, d)
	}
	for i := range to.Endpoints {
		ep := &to.Endpoints[i]
		if ep.ID == to.Except || !ep.wants(e, slices.Contains(to.Named, ep.ID)) {
			continue
		}
		owed = append(owed, ep.owe(e, to.First))
	}
	return owed
}

// wants tells whether an endpoint gets an event. One that the submission names gets the job's terminal events beside what
// it subscribes to; one that is not active gets them too, so that its delivery says why it did not arrive.
func (e *Endpoint) wants(event *jobs.Event, named bool) bool {
	if named && event.JobID != "" && event.Type.Terminal() {
		return true
	}
	return e.IsActive && e.DeletedAt == 0 && e.Subscribes(event)
}

// Subscribes tells whether an event is among those that an endpoint asks for.
func (e *Endpoint) Subscribes(event *jobs.Event) bool {
	if !slices.ContainsFunc(e.EventTypes, event.Type.Matches) {
		return false
	}
	return len(e.Models) == 0 || e.unknownModel(event) || slices.ContainsFunc(e.Models, func(pattern string) bool {
		return (event.JobID != "" || event.Model != "") && jobs.MatchModel(pattern, event.Model)
	})
}

// unknownModel tells whether a job has ended before anybody could know its model, as a batch whose input is invalid: that
// is better told to too many than to nobody.
func (e *Endpoint) unknownModel(event *jobs.Event) bool {
	return event.JobID != "" && event.Model == "" && event.Type.Terminal()
}

// owe makes a delivery to the endpoint.
func (e *Endpoint) owe(event *jobs.Event, first time.Duration) Delivery {
	if len(e.Schedule) > 0 {
		first = e.Schedule[0]
	}
	d := owe(event, e.URL, e.ID, first)
	d.EndpointID = e.ID
	return d
}

// Again makes a delivery of an event to the endpoint that somebody asks for, due at once.
func (e *Endpoint) Again(event *jobs.Event, now jobs.Time) Delivery {
	d := e.owe(event, 0)
	d.CreatedAt, d.DueAt, d.Manual = now, now, true
	return d
}

func owe(e *jobs.Event, shown, gate string, first time.Duration) Delivery {
	d := Delivery{
		ProjectID: e.ProjectID, ID: jobs.NewID("dlv_"), EventID: e.ID, EventType: e.Type, JobID: e.JobID,
		Gate: gate, URL: shown, State: Waiting, CreatedAt: e.CreatedAt,
	}
	d.DueAt = e.CreatedAt.Add(first)
	return d
}

// hostGate is the gate of a one-off: its URL's host, however that is spelt, and its port where that is not the scheme's own.
func hostGate(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "nowhere" // refused at the POST
	}
	if n := port(u); n != port(&url.URL{Scheme: u.Scheme}) {
		return net.JoinHostPort(hostname(u), strconv.Itoa(int(n)))
	}
	return hostname(u)
}
