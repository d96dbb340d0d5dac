package pages

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/history"
	"github.com/ringback/ringback/jobs"
)

type overviewPage struct {
	Attention []concern
	Running   []runningRow
	Open      int64
	Queued    int64
	None      bool // no job was ever submitted
	Tiles     []tile
	Providers []providerRow
	Calls     chart // to all providers, by the minute
	Ended     []endedRow
	PublicURL string
}

// concern is something that is wrong: what, since when, what happens next, what to do.
type concern struct {
	Tone, Icon string
	Name, Href string
	Title      string // after the name
	Text       string
	Actions    []link
	RetryTo    string // an endpoint whose deliveries can be sent again
	RetryN     int64
}

type link struct{ Href, Word, Icon string }

type runningRow struct {
	jobRow
	Speed   string
	ETA     jobs.Time
	Blocked badge
	Until   jobs.Time
	Then    string // what comes at that time
}

type endedRow struct {
	jobRow
	Callback     string
	CallbackHref string
}

type tile struct {
	Title, Live    string
	Value, Context string
	Chart          chart
	Legend         []series
}

// How much an overview shows.
const (
	mostRunning = 10
	mostEnded   = 6
)

func (p *Pages) overview(ctx context.Context, r *http.Request) (any, error) {
	project := p.Project(r)
	return remember(&p.memo, "overview/"+project, func() (*overviewPage, error) { return p.loadOverview(ctx, project) })
}

func (p *Pages) loadOverview(ctx context.Context, project string) (*overviewPage, error) {
	shown := &overviewPage{PublicURL: p.PublicURL}
	for _, add := range []func(context.Context, string, *overviewPage) error{
		p.addRunning, p.addEnded, p.addProviders, p.addAttention, p.addTiles,
	} {
		if err := add(ctx, project, shown); err != nil {
			return nil, err
		}
	}
	return shown, nil
}

func (p *Pages) addRunning(ctx context.Context, project string, to *overviewPage) error {
	counts, err := remember(&p.memo, "jobs/"+project, func() (map[jobs.Group]int64, error) { return p.Facts.CountJobs(ctx, project) })
	if err != nil {
		return err
	}
	to.Open, to.Queued, to.None = counts[jobs.GroupRunning], counts[jobs.GroupQueued], counts[jobs.GroupAll] == 0
	for _, g := range []jobs.Group{jobs.GroupRunning, jobs.GroupQueued} {
		if counts[g] == 0 || len(to.Running) >= mostRunning {
			continue
		}
		found, _, err := p.Facts.SearchJobs(ctx, jobs.Search{ProjectID: project, Group: g, Limit: mostRunning - len(to.Running)})
		if err != nil {
			return err
		}
		for i := range found {
			s := &jobs.Snapshot{Job: found[i]}
			row := runningRow{jobRow: rowOf(s), ETA: s.ETA(), Speed: rateOf(&s.Job)}
			b := blockedStat(s)
			row.Blocked, row.Until = badge{orElse(b.Tone, "off"), map[string]string{"bad": "s-bad", "wait": "clock"}[b.Tone], b.Value}, b.Until
			row.Then = b.Then
			if row.Blocked.Icon == "" {
				row.Blocked.Icon = "s-todo"
			}
			to.Running = append(to.Running, row)
		}
	}
	return nil
}

func (p *Pages) addEnded(ctx context.Context, project string, to *overviewPage) error {
	found, _, err := p.Facts.SearchJobs(ctx, jobs.Search{ProjectID: project, Limit: mostEnded * 4})
	if err != nil {
		return err
	}
	known, err := p.receivers(ctx, project)
	if err != nil {
		return err
	}
	for i := range found {
		if !found[i].Status.Terminal() || len(to.Ended) == mostEnded {
			continue
		}
		row := endedRow{jobRow: rowOf(&jobs.Snapshot{Job: found[i]}), Callback: "nobody to call"}
		page, attempts, _, err := p.Facts.Deliveries(ctx, callbacks.DeliveryQuery{DeliveryFilter: callbacks.DeliveryFilter{ProjectID: project, JobID: found[i].ID}, Limit: mostEnds})
		if err != nil {
			return err
		}
		row.called(page, deliveryRows(page, attempts, known), attempts)
		to.Ended = append(to.Ended, row)
	}
	return nil
}

// mostEnds is how many receivers of a job's end are looked at.
const mostEnds = 10

// called says what became of the callbacks about a job's end, which are its newest: the worst of them.
func (row *endedRow) called(page []callbacks.Delivery, rows []deliveryRow, attempts []callbacks.Attempt) {
	rank := map[callbacks.State]int{callbacks.Failed: 3, callbacks.Waiting: 2, callbacks.Sending: 2, callbacks.Delivered: 1}
	worst := -1
	for i := range page {
		if page[i].EventID != page[0].EventID {
			break
		}
		if worst < 0 || rank[page[i].State] > rank[page[worst].State] {
			worst = i
		}
	}
	if worst < 0 {
		return
	}
	row.CallbackHref, row.Callback = rows[worst].Href, rows[worst].State.Word
	if page[worst].State == callbacks.Delivered {
		row.Callback = arrived(&page[worst], attempts)
	} else {
		row.Callback += ": " + rows[worst].Receiver.Name
	}
}

// arrived says how a callback that has arrived did.
func arrived(d *callbacks.Delivery, attempts []callbacks.Attempt) string {
	n, took := 0, int64(0)
	for i := range attempts {
		if attempts[i].DeliveryID == d.ID {
			n, took = n+1, attempts[i].DurationMS
		}
	}
	if n > 1 {
		return "Delivered, attempt " + grouped(n)
	}
	return "Delivered in " + milliseconds(took)
}

func (p *Pages) addProviders(ctx context.Context, project string, to *overviewPage) (err error) {
	if to.Providers, err = p.providerRows(ctx, project); err != nil {
		return err
	}
	all, err := p.trafficOf(ctx, project)
	whole := &traffic{byMinute: map[jobs.Time][2]int64{}}
	for _, t := range all {
		for at, n := range t.byMinute {
			sum := whole.byMinute[at]
			whole.byMinute[at] = [2]int64{sum[0] + n[0], sum[1] + n[1]}
		}
	}
	to.Calls = p.callsChart("all providers", whole)
	return err
}

// given up are looked at so far back.
const lookBack = 3 * 24 * time.Hour

// addAttention gathers what is wrong, worst first.
func (p *Pages) addAttention(ctx context.Context, project string, to *overviewPage) error {
	backlogs, err := p.backlogs(ctx, project)
	if err != nil {
		return err
	}
	known, err := p.receivers(ctx, project)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(known)) { // in one order: what moves about cannot be clicked
		e := known[id]
		if c, ok := p.concernOf(&e, backlogs[id]); ok {
			to.Attention = append(to.Attention, c)
		}
	}
	for _, gate := range slices.Sorted(maps.Keys(backlogs)) {
		waits := backlogs[gate]
		if waits.EndpointID == "" && waits.ShutAt > 0 {
			to.Attention = append(to.Attention, concern{
				Tone: "bad", Icon: "s-bad", Name: gate, Href: "/deliveries?state=waiting", Title: "does not answer",
				Text:    "It is the host of jobs’ own webhooks. " + several(waits.N, "delivery waits", "deliveries wait") + "; none is lost. It is probed until it answers, for three days at most.",
				Actions: []link{{"/deliveries?state=waiting", "See deliveries", ""}},
			})
		}
	}
	for _, row := range to.Running {
		if row.Blocked.Tone == "bad" {
			to.Attention = append(to.Attention, concern{
				Tone: "bad", Icon: "s-bad", Name: row.Name, Href: row.Href, Title: "is stuck: its provider is down",
				Text:    "It goes on by itself when the provider answers. Start it, or cancel the job and keep the lines that are done.",
				Actions: []link{{row.Href, "Open job", ""}},
			})
		}
	}
	for _, one := range to.Providers {
		if one.State.Tone == "bad" {
			to.Attention = append(to.Attention, concern{Tone: "bad", Icon: "s-bad", Name: one.Name, Href: "/providers", Title: "is down", Text: "Several calls in a row found nobody. Calls are paused, and one at a time is let out to see whether it is back."})
		}
	}
	gone, err := p.Facts.GivenUp(ctx, project, p.now().Add(-lookBack))
	for _, g := range gone {
		c := concern{Tone: "wait", Icon: "s-warn", Name: g.Gate, Href: "/deliveries?state=failed", RetryN: g.N, RetryTo: g.EndpointID}
		c.Title = "has not got " + several(g.N, "delivery: it was", "deliveries: they were") + " given up in the last three days"
		c.Text = "Mend the receiver, or correct its URL, then send them again; the payloads are kept."
		if e, ok := known[g.EndpointID]; ok {
			c.Name, c.Href = endpointName(&e), "/webhooks/"+e.ID
		} else if g.EndpointID != "" {
			continue // the endpoint is deleted: nothing can be done
		}
		c.Actions = []link{{"/deliveries?state=failed" + map[bool]string{true: "&endpoint=" + g.EndpointID}[g.EndpointID != ""], "See deliveries", ""}}
		to.Attention = append(to.Attention, c)
	}
	return err
}

func (p *Pages) concernOf(e *callbacks.Endpoint, waits callbacks.Backlog) (concern, bool) {
	text := p.troubleOf(e, waits)
	c := concern{
		Tone: "bad", Icon: "s-bad", Name: endpointName(e), Href: "/webhooks/" + e.ID, Text: text,
		Actions: []link{{"/webhooks/" + e.ID + "#test", "Test fire", "bolt"}, {"/deliveries?endpoint=" + e.ID, "See deliveries", ""}},
	}
	switch {
	case e.Disabled != "":
		c.Title = "was switched off"
	case e.IsActive && e.Failures > 0:
		c.Title = "is failing"
		if e.FailingSince > 0 {
			c.Title = "has failed since " + e.FailingSince.Time().UTC().Format("2 Jan 15:04 UTC")
		}
	default:
		return c, false
	}
	return c, true
}

// addTiles draws the charts over time.
func (p *Pages) addTiles(ctx context.Context, project string, to *overviewPage) error {
	for _, add := range []func(context.Context, string) (tile, error){p.linesTile, p.jobsTile, p.callbacksTile, p.tokensTile} {
		t, err := add(ctx, project)
		if err != nil {
			return err
		}
		to.Tiles = append(to.Tiles, t)
	}
	return nil
}

// over reads series of the project in steps, as values at each step.
func (p *Pages) over(ctx context.Context, q history.Query) (x []int64, values map[string][]float64, err error) {
	points, err := p.Facts.History(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	step := jobs.Time(q.Step.Milliseconds())
	since := q.Since - q.Since%step
	values = map[string][]float64{}
	for at := since; at < q.Until; at += step {
		x = append(x, at.Unix())
	}
	for _, name := range q.Series {
		values[name] = make([]float64, len(x))
	}
	for _, point := range points {
		if i := int((point.At - since) / step); i >= 0 && i < len(x) {
			values[point.Series][i] += float64(point.N)
		}
	}
	return x, values, nil
}

func (p *Pages) linesTile(ctx context.Context, project string) (tile, error) {
	now, step := p.now(), 30*time.Second
	x, values, err := p.over(ctx, history.Query{ProjectID: project, Series: []string{history.LinesOK, history.LinesFailed}, Since: now.Add(-time.Hour), Until: now, Step: step})
	if err != nil {
		return tile{}, err
	}
	per := series{Name: "a second", Kind: "area"}
	highest, last := 0.0, 0.0
	for i := range x {
		rate := (values[history.LinesOK][i] + values[history.LinesFailed][i]) / step.Seconds()
		if i == len(x)-1 { // the step that is not over yet
			if past := now.Time().Sub(time.Unix(x[i], 0)).Seconds(); past >= 5 {
				rate *= step.Seconds() / past
			} else if i > 0 {
				rate = last
			}
		}
		highest, last = max(highest, rate), rate
		per.Values = append(per.Values, known(rate))
	}
	c := chart{Label: fmt.Sprintf("Lines a second over the last hour: now %s, highest %s", rateText(last), rateText(highest)), X: x, Lines: []series{per}}
	return tile{Title: "Lines a second", Live: "tile.lines", Value: rateText(last), Context: "highest in the last hour " + rateText(highest), Chart: c.scaled()}, nil
}

func rateText(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 10:
		return fmt.Sprintf("%.1f", v)
	}
	return grouped(int64(v + .5))
}

func (p *Pages) jobsTile(ctx context.Context, project string) (tile, error) {
	now, step := p.now(), time.Minute
	x, values, err := p.over(ctx, history.Query{ProjectID: project, Series: []string{history.JobsRunning, history.JobsWaiting}, Since: now.Add(-time.Hour), Until: now, Step: step})
	if err != nil {
		return tile{}, err
	}
	s, err := remember(&p.memo, "jobs/"+project, func() (map[jobs.Group]int64, error) { return p.Facts.CountJobs(ctx, project) })
	if err != nil {
		return tile{}, err
	}
	running, waiting := series{Name: "running", Kind: "line"}, series{Name: "waiting", Kind: "dash", Tone: "second"}
	for i := range x {
		running.Values, waiting.Values = append(running.Values, known(values[history.JobsRunning][i])), append(waiting.Values, known(values[history.JobsWaiting][i]))
	}
	if n := len(x); n > 0 {
		running.Values[n-1], waiting.Values[n-1] = known(float64(s[jobs.GroupRunning])), known(float64(s[jobs.GroupQueued]))
	}
	c := chart{Label: fmt.Sprintf("Jobs over the last hour: now %s running, %s waiting", upTo(s[jobs.GroupRunning]), upTo(s[jobs.GroupQueued])), X: x, Lines: []series{running, waiting}}
	return tile{Title: "Jobs", Live: "tile.jobs", Value: upTo(s[jobs.GroupRunning] + s[jobs.GroupQueued]), Chart: c.scaled(), Legend: c.Lines}, nil
}

func (p *Pages) callbacksTile(ctx context.Context, project string) (tile, error) {
	all, err := p.healths(ctx, project)
	if err != nil {
		return tile{}, err
	}
	h := all[""]
	t := tile{Title: "Callbacks in 24 h", Live: "tile.callbacks", Value: "0", Chart: callbacksChart(h, p.now())}
	t.Legend = t.Chart.Lines
	if h != nil {
		t.Value = grouped(h.delivered)
		t.Context = join(plural(h.attempts-h.delivered-h.gaveUp, "attempt failed", "attempts failed"), plural(h.gaveUp, "gave up", "gave up"))
	}
	return t, nil
}

// tokensTile is what providers say was used today, hour by hour.
func (p *Pages) tokensTile(ctx context.Context, project string) (tile, error) {
	now := p.now()
	day := now.Time().UTC().Truncate(24 * time.Hour)
	points, err := p.Facts.History(ctx, history.Query{
		ProjectID: project, Series: []string{history.TokensInput, history.TokensOutput}, AnyAbout: true, Since: jobs.At(day), Step: time.Hour,
	})
	if err != nil {
		return tile{}, err
	}
	c := chart{}
	sent, got := series{Name: "in", Kind: "area"}, series{Name: "out", Kind: "line", Tone: "ok"}
	var in, out float64
	byHour := [24][2]float64{}
	for _, point := range points {
		hour := int(point.At.Time().Sub(day).Hours())
		if hour < 0 || hour > 23 {
			continue
		}
		if point.Series == history.TokensInput {
			byHour[hour][0] += float64(point.N)
		} else {
			byHour[hour][1] += float64(point.N)
		}
	}
	c.X = append(c.X, day.Unix())
	sent.Values, got.Values = append(sent.Values, known(0)), append(got.Values, known(0))
	for hour := range 24 {
		at := day.Unix() + int64(hour+1)*3600
		if begun := day.Unix() + int64(hour)*3600; begun > now.Unix() {
			c.X, sent.Values, got.Values = append(c.X, at), append(sent.Values, nil), append(got.Values, nil)
			continue
		}
		in, out = in+byHour[hour][0], out+byHour[hour][1]
		c.X = append(c.X, min(at, now.Unix()))
		sent.Values, got.Values = append(sent.Values, known(in)), append(got.Values, known(out))
	}
	c.Lines = []series{sent, got}
	c.Label = fmt.Sprintf("Tokens today: %s in, %s out", grouped(int64(in)), grouped(int64(out)))
	return tile{Title: "Tokens today", Live: "tile.tokens", Value: tokensText(in + out), Context: "since 00:00 UTC", Chart: c.scaled(), Legend: c.Lines}, nil
}

func tokensText(v float64) string {
	switch {
	case v >= 1e9:
		return fmt.Sprintf("%.2f B", v/1e9)
	case v >= 1e6:
		return fmt.Sprintf("%.2f M", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.1f k", v/1e3)
	}
	return grouped(int64(v))
}
