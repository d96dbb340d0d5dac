package callbacks

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// event is one of a job with a model.
func event(typ jobs.EventType, model string) *jobs.Event {
	return &jobs.Event{ProjectID: "p", ID: "evt_1", Type: typ, JobID: "batch_1", Model: model, CreatedAt: 1700000000000}
}

// endpoint is an active one that asks for these types.
func endpoint(id string, types ...string) Endpoint {
	return Endpoint{ProjectID: "p", ID: id, URL: "https://example.com/" + id, EventTypes: types, IsActive: true}
}

func receiversOf(owed []Delivery) (ids []string) {
	for _, d := range owed {
		ids = append(ids, d.WebhookID+d.EndpointID)
	}
	return ids
}

func TestFanPicksWhoWantsTheEvent(t *testing.T) {
	t.Parallel()
	hook := &jobs.Webhook{URL: "https://example.com/h"}
	filtered := func(events ...string) *jobs.Webhook { return &jobs.Webhook{URL: hook.URL, Events: events} }
	off, gone := endpoint("off", "*"), endpoint("gone", "*")
	off.IsActive, gone.IsActive, gone.DeletedAt = false, false, 5
	deletedOnly := endpoint("deleted", "*")
	deletedOnly.DeletedAt = 5
	picky := func(patterns ...string) Endpoint {
		e := endpoint("picky", "*")
		e.Models = patterns
		return e
	}
	filed := event("file.created", "")
	filed.JobID = ""
	for name, c := range map[string]struct {
		event *jobs.Event
		to    Receivers
		want  []string
	}{
		"nobody":                              {event("batch.completed", "m"), Receivers{}, nil},
		"a one-off at the end":                {event("batch.completed", "m"), Receivers{WebhookID: "whk", Webhook: hook}, []string{"whk"}},
		"a one-off on the way":                {event("batch.progress", "m"), Receivers{WebhookID: "whk", Webhook: hook}, nil},
		"a one-off that filters":              {event("batch.progress", "m"), Receivers{WebhookID: "whk", Webhook: filtered("batch.progress")}, []string{"whk"}},
		"a one-off of another family":         {event("batch.completed", "m"), Receivers{WebhookID: "whk", Webhook: filtered("generation.*")}, nil},
		"a type":                              {event("batch.progress", "m"), Receivers{Endpoints: []Endpoint{endpoint("a", "batch.progress")}}, []string{"a"}},
		"another type":                        {event("batch.progress", "m"), Receivers{Endpoints: []Endpoint{endpoint("a", "batch.completed")}}, nil},
		"a family":                            {event("batch.progress", "m"), Receivers{Endpoints: []Endpoint{endpoint("a", "batch.*")}}, []string{"a"}},
		"all":                                 {filed, Receivers{Endpoints: []Endpoint{endpoint("a", "*")}}, []string{"a"}},
		"twice over is once":                  {event("batch.completed", "m"), Receivers{Endpoints: []Endpoint{endpoint("a", "*", "batch.*", "batch.completed")}}, []string{"a"}},
		"each once":                           {event("batch.completed", "m"), Receivers{WebhookID: "whk", Webhook: hook, Endpoints: []Endpoint{endpoint("a", "*"), endpoint("b", "*")}}, []string{"whk", "a", "b"}},
		"one that is off":                     {event("batch.completed", "m"), Receivers{Endpoints: []Endpoint{off, gone, deletedOnly}}, nil},
		"named: it need not subscribe":        {event("batch.failed", "m"), Receivers{Named: jobs.Texts{"a"}, Endpoints: []Endpoint{endpoint("a", "file.*")}}, []string{"a"}},
		"named: not what it does not ask for": {event("batch.progress", "m"), Receivers{Named: jobs.Texts{"a"}, Endpoints: []Endpoint{endpoint("a", "file.*")}}, nil},
		"named: what it asks for too":         {event("batch.progress", "m"), Receivers{Named: jobs.Texts{"a"}, Endpoints: []Endpoint{endpoint("a", "*")}}, []string{"a"}},
		"named and off: its row says why":     {event("batch.completed", "m"), Receivers{Named: jobs.Texts{"off", "gone"}, Endpoints: []Endpoint{off, gone}}, []string{"off", "gone"}},
		"named: its models do not count":      {event("batch.completed", "m"), Receivers{Named: jobs.Texts{"picky"}, Endpoints: []Endpoint{picky("x")}}, []string{"picky"}},
		"named, but the event is of no job":   {filed, Receivers{Named: jobs.Texts{"a"}, Endpoints: []Endpoint{endpoint("a", "file.*")}}, []string{"a"}},
		"named, and of no job: not asked":     {filed, Receivers{Named: jobs.Texts{"a"}, Endpoints: []Endpoint{endpoint("a", "batch.*")}}, nil},
		"a model":                             {event("batch.completed", "gpt-4o"), Receivers{Endpoints: []Endpoint{picky("gpt-4o")}}, []string{"picky"}},
		"a pattern of models":                 {event("batch.completed", "org/gpt-4o"), Receivers{Endpoints: []Endpoint{picky("x", "org/*")}}, []string{"picky"}},
		"another model":                       {event("batch.completed", "gpt-4o"), Receivers{Endpoints: []Endpoint{picky("gpt-4")}}, nil},
		"no model yet":                        {event("batch.created", ""), Receivers{Endpoints: []Endpoint{picky("*")}}, []string{"picky"}},
		"no model yet is not among some":      {event("batch.created", ""), Receivers{Endpoints: []Endpoint{picky("gpt-*")}}, nil},
		"an end without a model is told":      {event("batch.failed", ""), Receivers{Endpoints: []Endpoint{picky("gpt-*")}}, []string{"picky"}},
		"the one that the event is about":     {event("endpoint.disabled", ""), Receivers{Except: "a", Endpoints: []Endpoint{endpoint("a", "*"), endpoint("b", "*")}}, []string{"b"}},
		"what is about callbacks, by family":  {event("endpoint.disabled", ""), Receivers{Endpoints: []Endpoint{endpoint("a", "endpoint.*"), endpoint("b", "batch.*")}}, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, receiversOf(Fan(c.event, c.to)))
		})
	}
}

func TestFanWritesTheDelivery(t *testing.T) {
	t.Parallel()
	e := event("batch.completed", "m")
	ep, quick := endpoint("a", "*"), endpoint("b", "*")
	quick.Schedule = Schedule{2 * time.Second, time.Minute}
	owed := Fan(e, Receivers{
		WebhookID: "whk", Webhook: &jobs.Webhook{URL: "https://Example.COM:8443/h?k=canary"}, Endpoints: []Endpoint{ep, quick},
		First: 5 * time.Second,
	})
	require.Len(t, owed, 3)
	ids := map[string]bool{}
	for _, d := range owed {
		ids[d.ID] = true
		require.Regexp(t, "^dlv_", d.ID)
		require.Equal(t, "p", d.ProjectID)
		require.Equal(t, "evt_1", d.EventID)
		require.Equal(t, jobs.EventType("batch.completed"), d.EventType)
		require.Equal(t, "batch_1", d.JobID)
		require.Equal(t, Waiting, d.State)
		require.Equal(t, e.CreatedAt, d.CreatedAt)
		require.False(t, d.Manual)
	}
	require.Len(t, ids, 3)
	oneOff, first, own := owed[0], owed[1], owed[2]
	require.Equal(t, "https://Example.COM:8443/h?k=***", oneOff.URL)
	require.Equal(t, "example.com:8443", oneOff.Gate)
	require.Equal(t, "whk", oneOff.WebhookID)
	require.Equal(t, e.CreatedAt.Add(5*time.Second), oneOff.DueAt, "the setting's first wait")
	require.Equal(t, "a", first.Gate)
	require.Equal(t, ep.URL, first.URL)
	require.Equal(t, e.CreatedAt.Add(5*time.Second), first.DueAt)
	require.Equal(t, e.CreatedAt.Add(2*time.Second), own.DueAt, "its own first wait")
}

func TestAgainIsDueAtOnceAndByHand(t *testing.T) {
	t.Parallel()
	ep := endpoint("a", "batch.*")
	ep.Schedule = Schedule{time.Hour}
	d := ep.Again(event("file.created", ""), 1700000009000)
	require.True(t, d.Manual)
	require.Equal(t, jobs.Time(1700000009000), d.DueAt)
	require.Equal(t, jobs.Time(1700000009000), d.CreatedAt)
	require.Equal(t, "a", d.EndpointID)
	require.Equal(t, "a", d.Gate)
	require.Equal(t, Waiting, d.State)
}

func TestHostGate(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://Example.com/a?b":  "example.com",
		"https://example.com:444":  "example.com:444",
		"https://example.com.:443": "example.com",
		"http://example.com:443":   "example.com:443",
		"http://[::1]:80/":         "::1",
		"http://[::1]:81/":         "[::1]:81",
		"://":                      "nowhere",
		"/path":                    "nowhere",
	} {
		require.Equal(t, want, hostGate(url), url)
	}
}
