package pages

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/history"
	"github.com/ringback/ringback/jobs"
)

type webhooksPage struct {
	Rows []endpointRow
	Form *endpointForm // of the dialog; nil while it is shut
}

type endpointRow struct {
	ID, Name, URL string
	State         badge
	Types         string
	Spark         spark
	Delivered     string
	Trouble       string
	P95           string
	rank          int
}

// health of a receiver: what arrived and what did not, hour by hour.
type health struct {
	up, down            [24]int64
	delivered, attempts int64
	gaveUp              int64
	spread              history.Spread
}

var callbackSeries = []string{history.CallbacksDelivered, history.CallbacksRetried, history.CallbacksGaveUp}

// healths are the last day of each endpoint.
func (p *Pages) healths(ctx context.Context, project string) (map[string]*health, error) {
	return remember(&p.memo, "healths/"+project, func() (map[string]*health, error) {
		begin := p.now().Add(-23 * time.Hour)
		begin -= begin % jobs.Time(time.Hour.Milliseconds())
		points, err := p.Facts.History(ctx, history.Query{
			ProjectID: project, Series: callbackSeries, AnyAbout: true, Since: begin, Step: time.Hour,
		})
		if err != nil {
			return nil, err
		}
		whole, err := p.Facts.History(ctx, history.Query{ProjectID: project, Series: callbackSeries, Since: begin, Step: time.Hour})
		points = append(points, whole...)
		all := map[string]*health{}
		for _, point := range points {
			h := all[point.About]
			if h == nil {
				h = &health{}
				all[point.About] = h
			}
			hour := int((point.At - begin) / jobs.Time(time.Hour.Milliseconds()))
			if hour < 0 || hour > 23 {
				continue
			}
			switch point.Series {
			case history.CallbacksDelivered:
				h.up[hour] += point.N
				h.delivered += point.N
				h.spread.Merge(point.Spread)
			case history.CallbacksGaveUp:
				h.gaveUp += point.N
				h.down[hour] += point.N
			default:
				h.down[hour] += point.N
			}
			h.attempts += point.N
		}
		return all, err
	})
}

func (h *health) spark(name string) spark {
	if h == nil {
		return spark{}
	}
	return spark{
		Label: fmt.Sprintf("Last 24 hours of %s: %s attempts delivered, %s failed", name, grouped(h.delivered), grouped(h.attempts-h.delivered)),
		Up:    h.up[:], Down: h.down[:],
	}
}

func (p *Pages) webhooks(ctx context.Context, r *http.Request) (any, error) {
	shown, err := p.webhookList(ctx, p.Project(r))
	if err == nil && r.URL.Query().Get("dialog") == "add" {
		shown.Form = newEndpointForm(nil)
	}
	return shown, err
}

func (p *Pages) webhookList(ctx context.Context, project string) (*webhooksPage, error) {
	found, _, err := p.Facts.Endpoints(ctx, project, "", mostEndpoints)
	if err != nil {
		return nil, err
	}
	healths, err := p.healths(ctx, project)
	if err != nil {
		return nil, err
	}
	backlogs, err := p.backlogs(ctx, project)
	if err != nil {
		return nil, err
	}
	shown := &webhooksPage{}
	for i := range found {
		e := &found[i]
		shown.Rows = append(shown.Rows, endpointRowOf(e, healths[e.ID], backlogs[e.ID]))
	}
	slices.SortStableFunc(shown.Rows, func(a, b endpointRow) int { return a.rank - b.rank })
	return shown, nil
}

func (p *Pages) backlogs(ctx context.Context, project string) (map[string]callbacks.Backlog, error) {
	return remember(&p.memo, "backlogs/"+project, func() (map[string]callbacks.Backlog, error) { return p.Facts.Backlogs(ctx, project) })
}

func endpointRowOf(e *callbacks.Endpoint, h *health, waits callbacks.Backlog) endpointRow {
	row := endpointRow{ID: e.ID, Name: endpointName(e), URL: e.URL, Types: strings.Join(e.EventTypes, ", "), P95: "–", Delivered: "–"}
	row.State, row.rank = endpointBadge(e)
	row.Spark = h.spark(row.Name)
	if h != nil && h.attempts > 0 {
		row.Delivered = upTo(h.delivered)
		if p95, ok := h.spread.Quantile(0.95); ok {
			row.P95 = milliseconds(p95)
		}
	}
	var trouble []string
	if waits.N > 0 && e.Failures > 0 {
		trouble = append(trouble, upTo(waits.N)+" waiting")
	}
	if h != nil && h.gaveUp > 0 {
		trouble = append(trouble, upTo(h.gaveUp)+" gave up")
	}
	row.Trouble = strings.Join(trouble, ", ")
	return row
}

// endpointBadge says how an endpoint does; worse ones have a lower rank.
func endpointBadge(e *callbacks.Endpoint) (badge, int) {
	switch {
	case e.Disabled == callbacks.DisabledFailing:
		return badge{"bad", "s-off", "Switched off, failing"}, 0
	case e.Disabled != "":
		return badge{"bad", "s-off", "Switched off, " + e.Disabled}, 0
	case !e.IsActive:
		return badge{"off", "s-off", "Off"}, 4
	case e.Failures > 0:
		return badge{"bad", "s-bad", "Failing"}, 1
	case e.LastSuccessAt > 0:
		return badge{"ok", "s-ok", "Healthy"}, 2
	}
	return badge{"off", "s-todo", "Ready"}, 3
}

// webhookPage is one endpoint.
type webhookPage struct {
	ID, Name, URL string
	Active        bool
	State         badge
	Trouble       string // what is wrong with it, in plain words
	Facts         []fact
	Types         []string
	Headers       []string
	Secret        string // just made: shown once
	Rotated       bool   // it takes the place of one that goes on for a day
	SecretHint    string
	TestTypes     []option
	Chart         chart
	Delivered     int64
	Rows          []deliveryRow
	Waiting       int64
	Form          *endpointForm
	Dialog        string
	WrongName     bool
}

func (p *Pages) webhook(ctx context.Context, r *http.Request) (any, error) {
	shown, e, err := p.loadWebhook(ctx, p.ref(r))
	if err != nil {
		return nil, err
	}
	shown.Dialog = r.URL.Query().Get("dialog")
	if shown.Dialog == "edit" {
		shown.Form = newEndpointForm(e)
	}
	return shown, nil
}

func (p *Pages) loadWebhook(ctx context.Context, ref jobs.Ref) (*webhookPage, *callbacks.Endpoint, error) {
	if clean(ref.ID) != ref.ID {
		return nil, nil, jobs.NotFound("There is no such endpoint.")
	}
	e, err := p.Facts.VisibleEndpoint(ctx, ref)
	if jobs.IsCode(err, jobs.CodeNotFound) {
		return nil, nil, jobs.NotFound("There is no endpoint %s. It may have been deleted.", ref.ID)
	}
	if err != nil {
		return nil, nil, err
	}
	healths, err := p.healths(ctx, ref.ProjectID)
	if err != nil {
		return nil, nil, err
	}
	backlogs, err := p.backlogs(ctx, ref.ProjectID)
	if err != nil {
		return nil, nil, err
	}
	shown := &webhookPage{
		ID: e.ID, Name: endpointName(&e), URL: e.URL, Active: e.IsActive, Types: e.EventTypes, Headers: e.HeaderNames, SecretHint: e.SecretHint,
		TestTypes: testTypes(&e), Waiting: backlogs[e.ID].N,
	}
	shown.State, _ = endpointBadge(&e)
	shown.Trouble = p.troubleOf(&e, backlogs[e.ID])
	shown.Facts = p.endpointFacts(&e)
	shown.Chart = callbacksChart(healths[e.ID], p.now())
	if h := healths[e.ID]; h != nil {
		shown.Delivered = h.delivered
	}
	page, attempts, _, err := p.Facts.Deliveries(ctx, callbacks.DeliveryQuery{DeliveryFilter: callbacks.DeliveryFilter{ProjectID: ref.ProjectID, EndpointID: e.ID}, Limit: 8})
	shown.Rows = deliveryRows(page, attempts, receivers{e.ID: e})
	return shown, &e, err
}

// troubleOf says what is wrong with an endpoint, what happens next and what to do; empty while it works.
func (p *Pages) troubleOf(e *callbacks.Endpoint, waits callbacks.Backlog) string {
	switch {
	case e.Disabled == callbacks.DisabledFailing:
		return "It failed for five days without a success, so it was switched off. Mend it, switch it on, and send what it missed with “Retry all that never arrived”."
	case e.Disabled != "":
		return "Its receiver asked for it: the last answer said “" + e.Disabled + "”. Switch it on again if that was not meant."
	case !e.IsActive:
		return "It is off: nothing is sent to it, and events that happen meanwhile are not kept for it. “Replay” in the API sends them later."
	case e.Failures == 0:
		return ""
	}
	text := plural(int64(e.Failures), "call in a row has failed.", "calls in a row have failed.")
	if waits.N > 0 {
		text += " " + several(waits.N, "delivery waits and goes out by itself", "deliveries wait and go out by themselves") + " once it answers 2xx."
	}
	if e.FailingSince > 0 {
		text += " If it only fails until " + e.FailingSince.Add(5*24*time.Hour).Time().UTC().Format("2 Jan 15:04 UTC") + ", it is switched off and an endpoint.disabled event fires."
	}
	return text
}

func (p *Pages) endpointFacts(e *callbacks.Endpoint) []fact {
	timeout, schedule := span(p.Timeout), p.Schedule
	if e.Timeout > 0 {
		timeout = span(time.Duration(e.Timeout) * time.Millisecond)
	}
	if len(e.Schedule) > 0 {
		schedule = e.Schedule
	}
	facts := []fact{{Name: "Timeout", Value: timeout + ", over the whole call"}, {Name: "Schedule", Value: scheduleWords(schedule)}}
	if len(e.Models) > 0 {
		facts = append(facts, fact{Name: "Models", Value: strings.Join(e.Models, ", ")})
	}
	if e.Description != "" {
		facts = append(facts, fact{Name: "Description", Value: e.Description})
	}
	if e.LastSuccessAt > 0 {
		facts = append(facts, fact{Name: "Last success", At: e.LastSuccessAt})
	}
	if e.LastFailureAt > 0 {
		facts = append(facts, fact{Name: "Last failure", At: e.LastFailureAt})
	}
	return append(facts, fact{Name: "Made", At: e.CreatedAt})
}

func scheduleWords(schedule []time.Duration) string {
	words := make([]string, len(schedule))
	for i, d := range schedule {
		words[i] = span(d)
		if d == 0 {
			words[i] = "now"
		}
	}
	return strings.Join(words, ", ")
}

// testTypes are the events that a test can be of: a plain one first, then those that the endpoint asks for.
func testTypes(e *callbacks.Endpoint) []option {
	options := []option{{Value: string(callbacks.EventTest), Word: string(callbacks.EventTest), Chosen: true}}
	for _, t := range callbacks.EventTypes() {
		if jobs.EventType(t).Wanted(e.EventTypes) {
			options = append(options, option{Value: t, Word: t})
		}
	}
	return options
}

// callbacksChart is a day of callbacks: what arrived stands up, what did not hangs down.
func callbacksChart(h *health, now jobs.Time) chart {
	if h == nil {
		h = &health{}
	}
	begin := now.Add(-23 * time.Hour)
	begin -= begin % jobs.Time(time.Hour.Milliseconds())
	c := chart{Label: fmt.Sprintf("Callbacks by the hour: %s delivered, %s attempts failed", grouped(h.delivered), grouped(h.attempts-h.delivered))}
	up, down := series{Name: "delivered", Kind: "bars", Tone: "quiet-fill"}, series{Name: "failed", Kind: "bars", Tone: "bad"}
	for i := range 24 {
		c.X = append(c.X, begin.Unix()+int64(i)*3600)
		up.Values, down.Values = append(up.Values, some(float64(h.up[i]))), append(down.Values, some(-float64(h.down[i])))
	}
	c.X = append(c.X, begin.Unix()+24*3600) // where the last bar ends
	up.Values, down.Values = append(up.Values, nil), append(down.Values, nil)
	c.Lines = []series{up, down}
	return c.scaled()
}

// endpointPath is an endpoint's page, and endpointAPI what its forms ask.
func endpointPath(r *http.Request) string { return "/webhooks/" + url.PathEscape(r.PathValue("id")) }

func endpointAPI(r *http.Request) string {
	return "/v1/webhook_endpoints/" + url.PathEscape(r.PathValue("id"))
}
