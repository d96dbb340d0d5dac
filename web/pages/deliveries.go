package pages

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

type deliveriesPage struct {
	Tabs           []tab
	Query          string
	State          string
	Receivers      []option
	Types          []option
	Times          []option
	Rows           []deliveryRow
	Older, First   string
	Filtered, None bool
	Dialog         string // "retry": which to send again is asked
	GivenUp        int64
}

type deliveryRow struct {
	ID, Type  string
	Href      string
	About     string
	AboutHref string
	Receiver  receiver
	State     badge
	Next      jobs.Time
	Tries     string
	CreatedAt jobs.Time
	Retriable bool
}

// since are the spans of time that a list can be held to.
var since = []struct {
	value, word string
	span        time.Duration
}{{"", "Any time", 0}, {"1h", "Last hour", time.Hour}, {"24h", "24 hours", 24 * time.Hour}, {"7d", "7 days", 7 * 24 * time.Hour}, {"30d", "30 days", 30 * 24 * time.Hour}}

var deliveryTabs = []struct{ state, word string }{
	{"", "All"}, {"waiting", "Waiting"}, {"failed", "Gave up"}, {"delivered", "Delivered"}, {"cancelled", "Cancelled"},
}

// filterOf reads a list's filters from its address.
func (p *Pages) filterOf(r *http.Request) (f callbacks.DeliveryFilter) {
	q := r.URL.Query()
	f = callbacks.DeliveryFilter{
		ProjectID: p.Project(r), EndpointID: clean(q.Get("endpoint")), EventType: jobs.EventType(clean(q.Get("type"))), JobID: clean(q.Get("job")), EventID: clean(q.Get("event")),
	}
	if state := callbacks.State(q.Get("state")); slices.Contains([]callbacks.State{callbacks.Waiting, callbacks.Failed, callbacks.Delivered, callbacks.Cancelled}, state) {
		f.State = state
	}
	for _, s := range since {
		if s.value != "" && s.value == q.Get("since") {
			f.Since = p.now().Add(-s.span)
		}
	}
	switch text := clean(strings.TrimSpace(q.Get("q"))); {
	case strings.HasPrefix(text, "evt_"):
		f.EventID = text
	case text != "":
		f.JobID = text
	}
	return f
}

func (p *Pages) deliveries(ctx context.Context, r *http.Request) (any, error) {
	q, f := r.URL.Query(), p.filterOf(r)
	known, err := p.receivers(ctx, f.ProjectID)
	if err != nil {
		return nil, err
	}
	shown := &deliveriesPage{Query: clean(q.Get("q")), State: string(f.State), Receivers: receiverOptions(known, f.EndpointID), Types: typeOptions(string(f.EventType)), Dialog: q.Get("dialog")}
	for _, s := range since {
		shown.Times = append(shown.Times, option{s.value, s.word, s.value == q.Get("since")})
	}
	shown.Query = cmp.Or(shown.Query, f.JobID, f.EventID)
	shown.Filtered = f.EndpointID != "" || f.EventType != "" || f.JobID != "" || f.EventID != "" || f.State != "" || f.Since > 0
	if shown.Tabs, err = p.deliveryCounts(ctx, q, f); err != nil {
		return nil, err
	}
	var page []callbacks.Delivery
	var attempts []callbacks.Attempt
	more := false
	if strings.HasPrefix(f.JobID, "dlv_") {
		page, attempts, err = p.oneDelivery(ctx, jobs.Ref{ProjectID: f.ProjectID, ID: f.JobID})
	} else {
		page, attempts, more, err = p.Facts.Deliveries(ctx, callbacks.DeliveryQuery{DeliveryFilter: f, After: clean(q.Get("after")), Limit: pageRows})
	}
	if err != nil {
		return nil, err
	}
	shown.Rows = deliveryRows(page, attempts, known)
	if more {
		shown.Older = with(q, "/deliveries", "after", page[len(page)-1].ID)
	}
	if q.Get("after") != "" {
		shown.First = with(q, "/deliveries", "after", "")
	}
	shown.None = !shown.Filtered && len(page) == 0
	if shown.Dialog == "retry" {
		shown.GivenUp, err = p.Facts.CountDeliveries(ctx, callbacks.DeliveryFilter{ProjectID: f.ProjectID, NeverArrived: true, EndpointID: f.EndpointID})
	}
	return shown, err
}

func (p *Pages) oneDelivery(ctx context.Context, ref jobs.Ref) ([]callbacks.Delivery, []callbacks.Attempt, error) {
	d, attempts, err := p.Facts.Delivery(ctx, ref)
	if jobs.IsCode(err, jobs.CodeNotFound) {
		return nil, nil, nil
	}
	return []callbacks.Delivery{d}, attempts, err
}

// deliveryCounts are the tabs, each with how many it has under the other filters.
func (p *Pages) deliveryCounts(ctx context.Context, q url.Values, f callbacks.DeliveryFilter) (tabs []tab, err error) {
	key := "deliveries/" + f.ProjectID + "/" + with(url.Values{
		"endpoint": {f.EndpointID}, "type": {string(f.EventType)}, "job": {f.JobID}, "event": {f.EventID}, "since": {q.Get("since")},
	}, "", "", "")
	counts, err := remember(&p.memo, key, func() (map[callbacks.State]int64, error) { return p.Facts.StatesOfDeliveries(ctx, f) })
	if err != nil {
		return nil, err
	}
	for _, t := range deliveryTabs {
		state := callbacks.State(t.state)
		tabs = append(tabs, tab{Href: with(q, "/deliveries", "state", t.state), Word: t.word, Count: upTo(counts[state]), Current: state == f.State})
	}
	return tabs, nil
}

func receiverOptions(known receivers, chosen string) []option {
	options := []option{}
	for id, e := range known {
		options = append(options, option{id, endpointName(&e), id == chosen})
	}
	slices.SortFunc(options, func(a, b option) int {
		return cmp.Or(strings.Compare(a.Word, b.Word), strings.Compare(a.Value, b.Value))
	})
	return append([]option{{"", "Any endpoint", chosen == ""}}, options...)
}

func typeOptions(chosen string) []option {
	options := []option{{"", "Any event type", chosen == ""}}
	for _, t := range callbacks.EventTypes() {
		options = append(options, option{t, t, t == chosen})
	}
	return options
}

func deliveryRows(page []callbacks.Delivery, attempts []callbacks.Attempt, known receivers) (rows []deliveryRow) {
	byDelivery := map[string][]callbacks.Attempt{}
	for _, a := range attempts {
		byDelivery[a.DeliveryID] = append(byDelivery[a.DeliveryID], a)
	}
	for i := range page {
		d := &page[i]
		mine := byDelivery[d.ID]
		var last *callbacks.Attempt
		if len(mine) > 0 {
			last = &mine[len(mine)-1]
		}
		row := deliveryRow{
			ID: d.ID, Type: string(d.EventType), Href: "/deliveries/" + d.ID, Receiver: known.of(d), State: deliveryBadge(d, last),
			Tries: triesNote(mine), CreatedAt: d.CreatedAt, Retriable: d.State != callbacks.Sending,
		}
		if d.JobID != "" {
			row.About, row.AboutHref = kindWord(kindOfID(d.JobID))+" "+tail(d.JobID), "/jobs/"+d.JobID
		}
		if d.State == callbacks.Waiting && d.HeldSince == 0 {
			row.Next = d.DueAt
		}
		rows = append(rows, row)
	}
	return rows
}

// deliveryPage is one delivery with its attempts.
type deliveryPage struct {
	ID, Type   string
	Receiver   receiver
	Status     badge
	JobID      string
	JobName    string
	EventID    string
	Sequence   int64
	HappenedAt jobs.Time
	Delivered  string // how long after
	Next       jobs.Time
	HeldSince  jobs.Time
	SentTo     string
	Attempts   []attemptView
	Most       int
	Schedule   []moment
	Payload    []byte
	Headers    []fact
	Others     []deliveryRow
	Gone       bool // its event is no longer kept
	Retriable  bool
	Cancelable bool
}

type attemptView struct {
	N          int
	Badge      badge
	At         jobs.Time
	Took       string
	Phases     []phase
	Answer     string
	Next, Why  string
	Todo, Rule string
	Manual     bool
}

// phase is a part of an attempt's time.
type phase struct {
	Class, Word string
	At, Width   string
}

func (p *Pages) delivery(ctx context.Context, r *http.Request) (any, error) {
	ref := p.ref(r)
	if clean(ref.ID) != ref.ID {
		return nil, jobs.NotFound("There is no such delivery.")
	}
	d, attempts, err := p.Facts.Delivery(ctx, ref)
	if jobs.IsCode(err, jobs.CodeNotFound) {
		return nil, jobs.NotFound("There is no delivery %s. Its time may be over (retention.attempts).", ref.ID)
	}
	if err != nil {
		return nil, err
	}
	known, err := p.receivers(ctx, ref.ProjectID)
	if err != nil {
		return nil, err
	}
	var last *callbacks.Attempt
	if len(attempts) > 0 {
		last = &attempts[len(attempts)-1]
	}
	shown := &deliveryPage{
		ID: d.ID, Type: string(d.EventType), Receiver: known.of(&d), Status: deliveryBadge(&d, last), JobID: d.JobID, EventID: d.EventID,
		HappenedAt: d.CreatedAt, HeldSince: d.HeldSince, SentTo: d.URL,
		Retriable: d.State != callbacks.Sending, Cancelable: d.State == callbacks.Waiting,
	}
	if d.JobID != "" {
		shown.JobName = kindWord(kindOfID(d.JobID)) + " " + tail(d.JobID)
	}
	if d.State == callbacks.Waiting {
		shown.Next = d.DueAt
	}
	if d.DeliveredAt > 0 {
		shown.Delivered = milliseconds(int64(d.DeliveredAt - d.CreatedAt))
	}
	schedule := p.Schedule
	if e, ok := known[d.EndpointID]; ok && len(e.Schedule) > 0 {
		schedule = e.Schedule
	}
	shown.Most = len(schedule)
	shown.Schedule = scheduleOf(&d, attempts, schedule)
	shown.addAttempts(&d, attempts)
	if err := p.addEvent(ctx, shown, ref.ProjectID); err != nil {
		return nil, err
	}
	return shown, p.addOthers(ctx, shown, &d, known)
}

func (v *deliveryPage) addAttempts(d *callbacks.Delivery, attempts []callbacks.Attempt) {
	for i := len(attempts) - 1; i >= 0; i-- {
		a, last := &attempts[i], i == len(attempts)-1
		shown := attemptView{
			N: a.Number, At: a.StartedAt, Took: milliseconds(a.DurationMS), Phases: phasesOf(a), Rule: a.Rule, Manual: a.Manual,
			Badge: badge{"bad", "s-bad", answerTitle(a)}, Answer: clipped(strings.ToValidUTF8(string(a.Snippet), "\uFFFD")),
		}
		if a.StatusCode/100 == 2 && a.ErrorClass == "" {
			shown.Badge.Tone, shown.Badge.Icon = "ok", "s-ok"
		}
		if a.Truncated {
			shown.Answer += "\n… the rest is not kept"
		}
		shown.Next, shown.Why = nextWords(d, a, last)
		if last && d.State != callbacks.Delivered {
			shown.Todo = todoWords(a)
		}
		v.Attempts = append(v.Attempts, shown)
	}
	if n := len(attempts); n > 0 {
		v.Headers = sentHeaders(attempts[n-1].Request)
		var sent struct {
			Method, URL string
		}
		if json.Unmarshal(attempts[n-1].Request, &sent) == nil && sent.URL != "" {
			v.SentTo = sent.Method + " " + sent.URL
		}
	}
}

func sentHeaders(request json.RawMessage) (facts []fact) {
	var sent struct {
		Headers map[string]json.RawMessage
	}
	if json.Unmarshal(request, &sent) != nil {
		return nil
	}
	for name, value := range sent.Headers {
		text := string(value)
		var one string
		if json.Unmarshal(value, &one) == nil {
			text = one
		}
		facts = append(facts, fact{Name: name, Value: text})
	}
	slices.SortFunc(facts, func(a, b fact) int { return strings.Compare(a.Name, b.Name) })
	return facts
}

// phasesOf splits an attempt's time into what it went to.
func phasesOf(a *callbacks.Attempt) (all []phase) {
	var t map[string]float64
	if json.Unmarshal(a.Timings, &t) != nil || a.DurationMS <= 0 {
		return nil
	}
	total, at := float64(a.DurationMS), 0.0
	waited := "first byte"
	if a.StatusCode == 0 {
		waited = "waited"
	}
	for _, one := range []struct{ key, class, word string }{{"dns", "p1", "DNS"}, {"connect", "p2", "connect"}, {"tls", "p3", "TLS"}, {"first_byte", "p4", waited}} {
		ms, ok := t[one.key]
		if !ok {
			continue
		}
		ms = min(ms, total-at)
		all = append(all, phase{one.class, one.word + " " + milliseconds(ms), percent(100 * at / total), percent(max(100*ms/total, .3))})
		at += ms
	}
	if rest := total - at; rest >= 1 && len(all) > 0 {
		word, class := "body", "p5"
		if a.StatusCode == 0 {
			word, class = "waited", "p4"
		}
		all = append(all, phase{class, word + " " + milliseconds(rest), percent(100 * at / total), percent(100 * rest / total)})
	}
	return all
}

// scheduleOf is when each attempt of this round was, or would be.
func scheduleOf(d *callbacks.Delivery, attempts []callbacks.Attempt, schedule []time.Duration) (all []moment) {
	round := attempts
	if d.Tries > 0 && d.Tries < len(round) {
		round = round[len(round)-d.Tries:]
	}
	for i := range max(len(round), len(schedule)) {
		m := moment{Tone: "off", Icon: "s-todo", Title: "At once", Todo: true}
		switch {
		case i >= len(schedule):
			m.Title = "By hand"
		case schedule[i] > 0:
			m.Title = "After " + span(schedule[i])
		}
		switch {
		case i < len(round):
			a := &round[i]
			m = moment{Tone: "bad", Icon: "s-bad", Title: m.Title, Notes: answerWord(a), At: a.StartedAt}
			if a.StatusCode/100 == 2 && a.ErrorClass == "" {
				m.Tone, m.Icon, m.Notes = "ok", "s-ok", m.Notes+", delivered"
			}
			if a.Manual {
				m.Title = "By hand"
			}
		case d.State == callbacks.Waiting && i == len(round):
			m.At = d.DueAt
		case d.State == callbacks.Delivered || d.EndedAt > 0:
			m.Notes = "not needed"
			if d.State != callbacks.Delivered {
				continue
			}
		}
		all = append(all, m)
	}
	return all
}

func (p *Pages) addEvent(ctx context.Context, v *deliveryPage, project string) error {
	e, err := p.Facts.Event(ctx, jobs.Ref{ProjectID: project, ID: v.EventID})
	if jobs.IsCode(err, jobs.CodeNotFound) {
		v.Gone, v.Retriable = true, false
		return nil
	}
	v.Payload, v.Sequence = e.Body, e.Sequence
	return err
}

// addOthers are the same event's other receivers.
func (p *Pages) addOthers(ctx context.Context, v *deliveryPage, d *callbacks.Delivery, known receivers) error {
	page, attempts, _, err := p.Facts.Deliveries(ctx, callbacks.DeliveryQuery{DeliveryFilter: callbacks.DeliveryFilter{ProjectID: d.ProjectID, EventID: d.EventID}, Limit: 20})
	for _, row := range deliveryRows(page, attempts, known) {
		if row.ID != d.ID {
			v.Others = append(v.Others, row)
		}
	}
	return err
}
