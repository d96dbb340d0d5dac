package pages

import (
	"context"
	"slices"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// addTimeline tells what happened to a job, and what is to come.
func (p *Pages) addTimeline(ctx context.Context, s *jobs.Snapshot, to *jobPage) error {
	events, err := p.Facts.JobEvents(ctx, s.Ref())
	if err != nil {
		return err
	}
	all := []moment{}
	if len(events) == 0 || events[0].Type != jobs.BatchCreated && events[0].Type != jobs.TuningCreated {
		first := eventMoments[jobs.BatchCreated]
		first.At = s.CreatedAt
		all = append(all, first)
	}
	for i := range events {
		m, ok := eventMoments[events[i].Type]
		if !ok {
			continue
		}
		m.At = events[i].CreatedAt
		if last := len(all) - 1; (events[i].Type == jobs.BatchProgress || events[i].Type == jobs.TuningProgress || events[i].Type == jobs.GenerationProgress) && all[last].Title == m.Title {
			all[last].At = m.At // one entry says how far, not twenty
			continue
		}
		all = append(all, m)
	}
	if s.CancellingAt > 0 {
		all = append(all, moment{Tone: "off", Icon: "s-run", Title: "Cancel was asked for", Notes: "calls in flight are broken off", At: s.CancellingAt})
	}
	if s.FinalizingAt > 0 {
		all = append(all, moment{Tone: "run", Icon: "s-run", Title: "All lines done", Notes: "output files are written", At: s.FinalizingAt})
	}
	slices.SortStableFunc(all, func(a, b moment) int { return int(a.At - b.At) })
	if last := len(all) - 1; s.Kind == jobs.KindBatch && all[last].Title == eventMoments[jobs.BatchCompleted].Title {
		all[last].Notes = progressNote(&s.Job)
	}
	if !s.Status.Terminal() {
		all = append(all, p.toCome(s)...)
	}
	to.Timeline = all
	return nil
}

func progressNote(j *jobs.Job) string {
	text, failed := progressWords(j)
	return join(text, failed)
}

func (p *Pages) toCome(s *jobs.Snapshot) (all []moment) {
	if _, until, _ := s.Waits(); until > p.now() {
		all = append(all, moment{Icon: "s-todo", Title: "Goes on", At: until, Todo: true})
	}
	eta := s.ETA()
	if s.Kind == jobs.KindBatch && s.FinalizingAt == 0 {
		all = append(all, moment{Icon: "s-todo", Title: "Write output files", At: eta, About: true, Todo: true})
	}
	return append(all, moment{Icon: "s-todo", Title: "Done, callbacks sent", At: eta, About: true, Todo: true})
}

// callbackGroup is what one receiver gets of a job.
type callbackGroup struct {
	Receiver receiver
	Sub      string
	Rows     []callbackRow
	More     int // older ones that are not shown
	Retry    string
}

type callbackRow struct {
	Tone, Icon string
	Type       string
	Href       string
	Note       string
	Next       jobs.Time
}

// mostRows is how many of a receiver's deliveries a job's page shows.
const mostRows = 6

// addCallbacks tells what became of a job's callbacks, by receiver.
func (p *Pages) addCallbacks(ctx context.Context, s *jobs.Snapshot, to *jobPage) error {
	deliveries, attempts, err := p.Facts.JobDeliveries(ctx, s.Ref())
	if err != nil {
		return err
	}
	known, err := p.receivers(ctx, s.ProjectID)
	if err != nil {
		return err
	}
	byDelivery := map[string][]callbacks.Attempt{}
	for _, a := range attempts {
		byDelivery[a.DeliveryID] = append(byDelivery[a.DeliveryID], a)
	}
	groups, order := map[string]*callbackGroup{}, []string{}
	for i := range deliveries {
		d := &deliveries[i]
		key := d.EndpointID + d.WebhookID
		g := groups[key]
		if g == nil {
			g = &callbackGroup{Receiver: known.of(d), Sub: "endpoint"}
			if d.EndpointID == "" {
				g.Sub = "this job’s own webhook"
			}
			groups[key], order = g, append(order, key)
		}
		g.Rows = append(g.Rows, callbackRowOf(d, byDelivery[d.ID]))
		if d.State == callbacks.Failed || d.State == callbacks.Waiting && len(byDelivery[d.ID]) > 0 {
			g.Retry = d.ID
		}
	}
	hook := callbacks.Hook(s.Webhook)
	if hook != nil && !s.Status.Terminal() {
		p.promise(s, hook, groups, &order)
	}
	for _, key := range order {
		g := groups[key]
		if n := len(g.Rows) - mostRows; n > 0 {
			g.Rows, g.More = g.Rows[n:], n
		}
		to.Callbacks = append(to.Callbacks, *g)
	}
	return nil
}

// ends are the events of jobs that end well.
var ends = map[jobs.Kind]jobs.EventType{
	jobs.KindBatch: jobs.BatchCompleted, jobs.KindTuning: jobs.TuningSucceeded, jobs.KindGeneration: jobs.GenerationCompleted, jobs.KindResponse: jobs.ResponseCompleted,
}

// promise adds what the job's own webhook gets at the end.
func (p *Pages) promise(s *jobs.Snapshot, hook *jobs.Webhook, groups map[string]*callbackGroup, order *[]string) {
	row := callbackRow{Tone: "off", Icon: "s-todo", Type: string(ends[s.Kind]), Note: "at the end"}
	for key, g := range groups {
		if g.Sub != "endpoint" {
			groups[key].Rows = append(g.Rows, row)
			return
		}
	}
	groups["promised"] = &callbackGroup{Receiver: receiver{Name: withoutScheme(hook.URL)}, Sub: "this job’s own webhook", Rows: []callbackRow{row}}
	*order = append(*order, "promised")
}

func callbackRowOf(d *callbacks.Delivery, attempts []callbacks.Attempt) callbackRow {
	var last *callbacks.Attempt
	if len(attempts) > 0 {
		last = &attempts[len(attempts)-1]
	}
	b := deliveryBadge(d, last)
	row := callbackRow{Tone: b.Tone, Icon: b.Icon, Type: string(d.EventType), Href: "/deliveries/" + d.ID, Note: triesNote(attempts)}
	if d.State == callbacks.Waiting && d.HeldSince == 0 {
		row.Next = d.DueAt
	}
	if row.Note == "" {
		row.Note = b.Word
	}
	return row
}

// triesNote says how a delivery went: "200 in 84 ms", "503, then 200".
func triesNote(attempts []callbacks.Attempt) string {
	switch n := len(attempts); n {
	case 0:
		return ""
	case 1:
		return answerWord(&attempts[0]) + " in " + milliseconds(attempts[0].DurationMS)
	case 2:
		return answerWord(&attempts[0]) + ", then " + answerWord(&attempts[1])
	default:
		return answerWord(&attempts[n-1]) + ", attempt " + grouped(n)
	}
}

// receivers names all endpoints of a project.
func (p *Pages) receivers(ctx context.Context, project string) (receivers, error) {
	return remember(&p.memo, "receivers/"+project, func() (receivers, error) {
		found, _, err := p.Facts.Endpoints(ctx, project, "", mostEndpoints)
		known := receivers{}
		for _, e := range found {
			known[e.ID] = e
		}
		return known, err
	})
}

// mostEndpoints is more than a project can have.
const mostEndpoints = 1000
