package pages

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/history"
	"github.com/ringback/ringback/jobs"
)

type filesPage struct {
	Purposes     []tab
	Rows         []fileRow
	Older, First string
	None         bool
}

type fileRow struct {
	ID, Name, Purpose string
	Size              string
	CreatedAt         jobs.Time
	ExpiresAt         jobs.Time
}

var purposes = []struct{ value, word string }{
	{"", "All"}, {jobs.PurposeBatch, "Batch inputs"}, {jobs.PurposeBatchOutput, "Batch outputs"}, {"fine-tune", "Training"}, {"fine-tune-results", "Training results"},
}

func (p *Pages) files(ctx context.Context, r *http.Request) (any, error) {
	q := r.URL.Query()
	ask := jobs.FileQuery{ProjectID: p.Project(r), Purpose: clean(q.Get("purpose")), After: clean(q.Get("after")), Limit: pageRows}
	found, more, err := p.Facts.Files(ctx, ask)
	if err != nil {
		return nil, err
	}
	shown := &filesPage{None: len(found) == 0 && ask.Purpose == "" && ask.After == ""}
	for _, one := range purposes {
		shown.Purposes = append(shown.Purposes, tab{Href: with(q, "/files", "purpose", one.value), Word: one.word, Current: one.value == ask.Purpose})
	}
	for _, f := range found {
		shown.Rows = append(shown.Rows, fileRowOf(&f))
	}
	if more {
		shown.Older = with(q, "/files", "after", found[len(found)-1].ID)
	}
	if ask.After != "" {
		shown.First = with(q, "/files", "after", "")
	}
	return shown, nil
}

func fileRowOf(f *jobs.File) fileRow {
	return fileRow{ID: f.ID, Name: f.Filename, Purpose: f.Purpose, Size: size(f.Bytes), CreatedAt: f.CreatedAt, ExpiresAt: f.ExpiresAt}
}

type filePage struct {
	fileRow
	Again  string
	Dialog string
}

func (p *Pages) file(ctx context.Context, r *http.Request) (any, error) {
	ref := p.ref(r)
	if clean(ref.ID) != ref.ID {
		return nil, jobs.NotFound("There is no such file.")
	}
	f, err := p.Facts.File(ctx, ref)
	if jobs.IsCode(err, jobs.CodeNotFound) {
		return nil, jobs.NotFound("There is no file %s. It may have been deleted, or its time is over.", ref.ID)
	}
	if err != nil {
		return nil, err
	}
	shown := &filePage{fileRow: fileRowOf(&f), Dialog: r.URL.Query().Get("dialog")}
	if f.Purpose == jobs.PurposeBatch || f.Purpose == "fine-tune" {
		shown.Again = "/new?file=" + f.ID
	}
	return shown, nil
}

type eventsPage struct {
	Types        []option
	Rows         []eventRow
	Older, First string
	Filtered     bool
	None         bool
}

type eventRow struct {
	ID, Type  string
	Tone      badge
	About     string
	AboutHref string
	Model     string
	Position  int64
	At        jobs.Time
}

func (p *Pages) events(ctx context.Context, r *http.Request) (any, error) {
	q := r.URL.Query()
	before, _ := strconv.ParseInt(q.Get("after"), 10, 64) // what is no number begins at the newest
	ask := jobs.EventQuery{ProjectID: p.Project(r), Type: clean(q.Get("type")), JobID: clean(strings.TrimSpace(q.Get("job"))), Before: max(before, 0), Limit: pageRows}
	found, more, err := p.Facts.RecentEvents(ctx, ask)
	if err != nil {
		return nil, err
	}
	shown := &eventsPage{Types: eventFilters(ask.Type), Filtered: ask.Type != "" || ask.JobID != ""}
	for i := range found {
		shown.Rows = append(shown.Rows, eventRowOf(&found[i]))
	}
	if more {
		shown.Older = with(q, "/events", "after", strconv.FormatInt(found[len(found)-1].Position, 10))
	}
	if ask.Before > 0 {
		shown.First = with(q, "/events", "after", "")
	}
	shown.None = len(found) == 0 && !shown.Filtered
	return shown, nil
}

func eventFilters(chosen string) []option {
	options := []option{{"", "Any type", chosen == ""}}
	for _, f := range families {
		options = append(options, option{f.prefix + "*", f.word, f.prefix+"*" == chosen})
	}
	for _, t := range callbacks.EventTypes() {
		options = append(options, option{t, t, t == chosen})
	}
	return options
}

func eventRowOf(e *jobs.Event) eventRow {
	row := eventRow{ID: e.ID, Type: string(e.Type), Model: e.Model, Position: e.Position, At: e.CreatedAt, Tone: badge{Tone: "off", Icon: "event"}}
	if m, ok := eventMoments[e.Type]; ok {
		row.Tone = badge{Tone: m.Tone, Icon: m.Icon}
	}
	switch e.Type {
	case callbacks.EventEndpointDisabled, callbacks.EventDeliveryExhausted:
		row.Tone = badge{Tone: "bad", Icon: "s-bad"}
	case callbacks.EventEndpointRecovered:
		row.Tone = badge{Tone: "ok", Icon: "s-ok"}
	}
	if e.JobID != "" {
		row.About, row.AboutHref = kindWord(kindOfID(e.JobID))+" "+tail(e.JobID), "/jobs/"+e.JobID
	}
	return row
}

type eventPage struct {
	eventRow
	Body   []byte
	Others []deliveryRow
}

func (p *Pages) event(ctx context.Context, r *http.Request) (any, error) {
	ref := p.ref(r)
	if clean(ref.ID) != ref.ID {
		return nil, jobs.NotFound("There is no such event.")
	}
	e, err := p.Facts.Event(ctx, ref)
	if jobs.IsCode(err, jobs.CodeNotFound) {
		return nil, jobs.NotFound("There is no event %s. Its time may be over (retention.events).", ref.ID)
	}
	if err != nil {
		return nil, err
	}
	known, err := p.receivers(ctx, ref.ProjectID)
	if err != nil {
		return nil, err
	}
	page, attempts, _, err := p.Facts.Deliveries(ctx, callbacks.DeliveryQuery{DeliveryFilter: callbacks.DeliveryFilter{ProjectID: ref.ProjectID, EventID: ref.ID}, Limit: 100})
	return &eventPage{eventRow: eventRowOf(&e), Body: e.Body, Others: deliveryRows(page, attempts, known)}, err
}

type providersPage struct{ Rows []providerRow }

type providerRow struct {
	Name, BaseURL string
	Models        []string
	State         badge
	Note          string
	InFlight      string
	Slots         int
	P50, P95      string
	Errors        string
	Calls         int64
	Chart         chart
}

// traffic is what a provider's calls were like.
type traffic struct {
	ok, failed, limited int64
	spread              history.Spread
	byMinute            map[jobs.Time][2]int64
}

// lately is how far back a provider's health is looked at.
const lately = 5 * 60 * 1000

// trafficOf reads the last hour of calls, by provider: whole, and of the last minutes alone.
func (p *Pages) trafficOf(ctx context.Context, project string) (map[string]*traffic, error) {
	return remember(&p.memo, "traffic/"+project, func() (map[string]*traffic, error) {
		now := p.now()
		points, err := p.Facts.History(ctx, history.Query{
			ProjectID: project, Series: []string{history.CallsOK, history.CallsFailed, history.CallsLimited}, AnyAbout: true, Since: now - 3600*1000, Step: history.SpanGauges,
		})
		all := map[string]*traffic{}
		for _, point := range points {
			t := all[point.About]
			if t == nil {
				t = &traffic{byMinute: map[jobs.Time][2]int64{}}
				all[point.About] = t
			}
			minute := t.byMinute[point.At]
			recent := point.At >= now-lately
			switch point.Series {
			case history.CallsOK:
				minute[0] += point.N
				if recent {
					t.ok += point.N
					t.spread.Merge(point.Spread)
				}
			case history.CallsLimited:
				minute[1] += point.N
				if recent {
					t.limited += point.N
				}
			default:
				minute[1] += point.N
				if recent {
					t.failed += point.N
				}
			}
			t.byMinute[point.At] = minute
		}
		return all, err
	})
}

func (p *Pages) providerRows(ctx context.Context, project string) (rows []providerRow, err error) {
	all, err := p.trafficOf(ctx, project)
	if err != nil {
		return nil, err
	}
	for _, one := range p.Providers() {
		rows = append(rows, p.providerRow(one, all[one.Name]))
	}
	return rows, nil
}

func (p *Pages) providerRow(one Provider, t *traffic) providerRow {
	if t == nil {
		t = &traffic{}
	}
	row := providerRow{Name: one.Name, BaseURL: one.BaseURL, Models: one.Models, P50: "–", P95: "–", Errors: "–", InFlight: "–", Slots: one.Slots, Calls: t.ok + t.failed + t.limited}
	if one.Works {
		row.InFlight = grouped(one.Calls)
	}
	if p50, ok := t.spread.Quantile(0.5); ok {
		p95, _ := t.spread.Quantile(0.95)
		row.P50, row.P95 = milliseconds(p50), milliseconds(p95)
	}
	if row.Calls > 0 {
		row.Errors = strconv.FormatFloat(100*float64(t.failed+t.limited)/float64(row.Calls), 'f', 1, 64) + " %"
	}
	switch {
	case one.Down, row.Calls >= 5 && t.ok == 0 && t.limited == 0:
		row.State, row.Note = badge{"bad", "s-bad", "Down"}, "calls are paused, and one at a time is let out to see"
	case t.limited > 0 && t.limited*20 >= row.Calls:
		row.State, row.Note = badge{"wait", "s-warn", "Rate limited"}, plural(t.limited, "call was", "calls were")+" refused in 5 min; Ringback goes slower by itself"
	case t.failed > 0 && t.failed*10 >= row.Calls:
		row.State, row.Note = badge{"wait", "s-warn", "Failing at times"}, plural(t.failed, "call", "calls")+" failed in 5 min"
	case row.Calls > 0:
		row.State = badge{"ok", "s-ok", "Healthy"}
	default:
		row.State = badge{"off", "s-todo", "Idle"}
	}
	row.Chart = p.callsChart(one.Name, t)
	return row
}

// callsChart is an hour of a provider's calls a minute.
func (p *Pages) callsChart(name string, t *traffic) chart {
	c := chart{Label: "Calls a minute to " + name + " over the last hour"}
	minute := jobs.Time(60_000)
	now := p.now()
	ok, bad := series{Name: "answered", Kind: "area"}, series{Name: "failed", Kind: "line", Tone: "bad"}
	for at := now - now%minute - 59*minute; at <= now; at += minute {
		c.X = append(c.X, at.Unix())
		n := t.byMinute[at]
		ok.Values, bad.Values = append(ok.Values, known(float64(n[0]))), append(bad.Values, known(float64(n[1])))
	}
	c.Lines = []series{ok, bad}
	return c.scaled()
}

func (p *Pages) providers(ctx context.Context, r *http.Request) (any, error) {
	rows, err := p.providerRows(ctx, p.Project(r))
	return &providersPage{rows}, err
}

type settingsPage struct{ Sections []settingsSection }

type settingsSection struct {
	Name, Text string
}

// settings shows the configuration that is in force, a section at a time.
func (p *Pages) settings(context.Context, *http.Request) (any, error) {
	shown := &settingsPage{}
	for line := range strings.Lines(string(p.Settings())) {
		name, _, isKey := strings.Cut(line, ":")
		if isKey && !strings.ContainsRune(" -#", rune(line[0])) {
			shown.Sections = append(shown.Sections, settingsSection{Name: name})
		}
		if n := len(shown.Sections); n > 0 {
			shown.Sections[n-1].Text += line
		}
	}
	return shown, nil
}
