package pages

import (
	"context"
	"net/http"
	"net/url"

	"github.com/ringback/ringback/jobs"
)

// pageRows is how many rows a list shows at once.
const pageRows = 30

// jobRow is a job in a list.
type jobRow struct {
	ID, Name, Href string
	Kind, Icon     string
	Status         badge
	Bar            *bar // nil: one call, which has no parts
	Progress       string
	Failed         string
	Model          string
	CreatedAt      jobs.Time
	EndedAt        jobs.Time
}

type jobListPage struct {
	Tabs         []tab
	Group        string
	Text         string
	Kinds        []option
	Rows         []jobRow
	Older, First string
	Filtered     bool
	None         bool // there is no job at all
	PublicURL    string
}

// tab is one of a few views of a list.
type tab struct {
	Href, Word, Count string
	Current           bool
}

// option is one of a field's values.
type option struct {
	Value, Word string
	Chosen      bool
}

var groupWords = map[jobs.Group]string{
	jobs.GroupAll: "All", jobs.GroupRunning: "Running", jobs.GroupQueued: "Queued", jobs.GroupStuck: "Stuck",
	jobs.GroupCompleted: "Completed", jobs.GroupFailed: "Failed", jobs.GroupStopped: "Cancelled, expired",
}

func (p *Pages) jobList(ctx context.Context, r *http.Request) (any, error) {
	q, project := r.URL.Query(), p.Project(r)
	search := jobs.Search{
		ProjectID: project, Text: clean(q.Get("q")), Kind: jobs.Kind(clean(q.Get("kind"))), Group: jobs.Group(clean(q.Get("status"))),
		After: clean(q.Get("after")), Limit: pageRows,
	}
	if _, ok := groupWords[search.Group]; !ok {
		search.Group = jobs.GroupAll
	}
	counts, err := remember(&p.memo, "jobs/"+project, func() (map[jobs.Group]int64, error) { return p.Facts.CountJobs(ctx, project) })
	if err != nil {
		return nil, err
	}
	found, more, err := p.Facts.SearchJobs(ctx, search)
	if err != nil {
		return nil, err
	}
	shown := jobListPage{
		Text: search.Text, Group: string(search.Group), Filtered: search.Text != "" || search.Kind != "" || search.Group != jobs.GroupAll,
		None: counts[jobs.GroupAll] == 0, PublicURL: p.PublicURL, Kinds: kindOptions(search.Kind),
	}
	for _, g := range jobs.Groups() {
		if g == jobs.GroupStuck && counts[g] == 0 && search.Group != g {
			continue
		}
		shown.Tabs = append(shown.Tabs, tab{Href: with(q, "/jobs", "status", string(g)), Word: groupWords[g], Count: upTo(counts[g]), Current: g == search.Group})
	}
	for i := range found {
		shown.Rows = append(shown.Rows, rowOf(&jobs.Snapshot{Job: found[i]}))
	}
	if more {
		shown.Older = with(q, "/jobs", "after", found[len(found)-1].ID)
	}
	if search.After != "" {
		shown.First = with(q, "/jobs", "after", "")
	}
	return shown, nil
}

func kindOptions(chosen jobs.Kind) []option {
	options := []option{{Word: "Any kind", Chosen: chosen == ""}}
	for _, k := range []jobs.Kind{jobs.KindBatch, jobs.KindTuning, jobs.KindGeneration, jobs.KindResponse} {
		options = append(options, option{string(k), kindWord(k), chosen == k})
	}
	return options
}

// clean drops what no text of a database can hold.
func clean(text string) string {
	if len(text) > 500 {
		text = text[:500]
	}
	out := make([]rune, 0, len(text))
	for _, c := range text {
		if c != 0 && c != '\uFFFD' {
			out = append(out, c)
		}
	}
	return string(out)
}

// with is an address with one of its parameters changed; the place in the list goes with any but itself.
func with(q url.Values, path, name, value string) string {
	changed := url.Values{}
	for key, values := range q {
		if key != name && key != "done" && (key != "after" || name == "after") {
			changed[key] = values
		}
	}
	if name == "after" {
		changed.Del("after")
	}
	if value != "" {
		changed.Set(name, value)
	}
	if len(changed) == 0 {
		return path
	}
	return path + "?" + changed.Encode()
}

func rowOf(s *jobs.Snapshot) jobRow {
	j := &s.Job
	row := jobRow{
		ID: j.ID, Name: nameOf(j), Href: "/jobs/" + url.PathEscape(j.ID), Kind: kindWord(j.Kind), Icon: kindIcon(j.Kind),
		Status: statusBadge(j), Model: j.Model, CreatedAt: j.CreatedAt, EndedAt: j.EndedAt,
	}
	row.Progress, row.Failed = progressWords(j)
	if !j.Status.Terminal() && (j.Kind == jobs.KindBatch || j.Kind == jobs.KindTuning) && j.Total > 0 {
		row.Bar = barOf(j, row.Name)
	}
	return row
}

// barOf draws a job's progress. Grey says that nothing moves.
func barOf(j *jobs.Job, label string) *bar {
	tone := "run"
	switch {
	case j.Status.Terminal() && (j.Status == jobs.Completed || j.Status == jobs.Succeeded):
		tone = "ok"
	case j.Status.Terminal() || j.BlockedBy == jobs.BlockedByProvider || j.Status == jobs.Queued || j.Status == jobs.Paused:
		tone = "off"
	}
	return newBar(label, j.Completed, j.Failed, 0, j.Total, tone)
}

// progressWords says how far a job is, and how many of it failed.
func progressWords(j *jobs.Job) (text, failed string) {
	switch j.Kind {
	case jobs.KindBatch:
		if j.Failed > 0 {
			failed = grouped(j.Failed) + " failed"
		}
		switch {
		case j.Total == 0 && j.Status == jobs.Failed:
			return "input not valid", ""
		case j.Total == 0:
			return "checking the input", ""
		case j.Status == jobs.Completed:
			return plural(j.Total, "line", "lines"), failed
		}
		return grouped(j.Completed+j.Failed) + " of " + grouped(j.Total), failed
	case jobs.KindTuning:
		switch {
		case j.Status.Terminal() && j.Completed > 0:
			return plural(j.Completed, "step", "steps"), ""
		case j.Total > 0:
			return "step " + grouped(j.Completed) + " of " + grouped(j.Total), ""
		}
		return "", ""
	}
	if j.OutputTokens > 0 {
		return plural(j.OutputTokens, "token out", "tokens out"), ""
	}
	return "1 call", ""
}
