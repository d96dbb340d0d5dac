package pages

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// How many lines a batch's page shows at first, and with each "Show more".
const (
	firstLines = 5
	moreLines  = 20
)

// lineList is some of a batch's outcomes.
type lineList struct {
	Lines    []lineRow
	CustomID string // that was looked for
	More     string // where the next ones are; empty for none
	Job      string
}

type lineRow struct {
	N        int64
	CustomID string
	OK       bool
	Answer   string // its last line
	Tokens   int64
	Text     []byte
}

func (p *Pages) lineList(ctx context.Context, q jobs.OutcomeQuery) (*lineList, error) {
	found, more, err := p.Facts.Outcomes(ctx, q)
	if err != nil {
		return nil, err
	}
	list := &lineList{CustomID: q.CustomID, Job: "/jobs/" + url.PathEscape(q.Job.ID)}
	for i := range found {
		list.Lines = append(list.Lines, lineOf(&found[i]))
	}
	if more {
		next := url.Values{"after": {strconv.FormatInt(found[len(found)-1].Line, 10)}}
		if q.CustomID != "" {
			next.Set("custom_id", q.CustomID)
		}
		list.More = list.Job + "/lines?" + next.Encode()
	}
	return list, nil
}

func lineOf(l *jobs.Line) lineRow {
	r := gjson.GetManyBytes(l.Text, "custom_id", "response.body.usage.completion_tokens", "response.body.usage.output_tokens", "error.message", "response.body.error.message")
	row := lineRow{N: l.Line, CustomID: r[0].String(), OK: l.OK, Tokens: r[1].Int() + r[2].Int(), Text: l.Text}
	answer := &jobs.Snapshot{Result: []byte(gjson.GetBytes(l.Text, "response.body").Raw)}
	text := answer.ModelOutput()
	if !l.OK {
		text = r[3].String() + r[4].String()
	}
	row.Answer = lastLine(text)
	return row
}

// lastLine is where most answers say what they come to.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	last := []rune(strings.TrimSpace(lines[len(lines)-1]))
	if len(last) > 120 {
		return string(last[:120]) + "…"
	}
	return string(last)
}

// lines answers more of a batch's lines, for a script to put below the others, or for a browser its page.
func (p *Pages) lines(w http.ResponseWriter, r *http.Request) error {
	ref := p.ref(r)
	if _, err := p.findJob(r.Context(), ref); err != nil {
		return err
	}
	after, _ := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64) // what is no number begins at the first
	q := jobs.OutcomeQuery{Job: ref, CustomID: clean(r.URL.Query().Get("custom_id")), After: max(after, 0), Limit: moreLines}
	list, err := p.lineList(r.Context(), q)
	if err != nil {
		return err
	}
	if inPlace(r) {
		return p.part(w, r, http.StatusOK, "job.html", "lines", list)
	}
	f, err := p.frame(r.Context(), r)
	if err != nil {
		return err
	}
	return p.render(w, r, http.StatusOK, "lines.html", view{f, list})
}
