package pages

import (
	"context"
	"net/http"
	"strings"

	"github.com/ringback/ringback/jobs"
)

// frame is what stands around every page.
type frame struct {
	Nav     []navItem
	Still   bool   // nothing on it changes
	At      string // where the page stands, if the address that made it is another
	Theme   string // system, light or dark
	Project string
	Version string
	Mode    string
	Login   bool // there is something to log out of
	Toast   *toast
	Now     int64 // Unix milliseconds, for a browser whose clock is wrong
}

type navItem struct {
	Href, Icon, Word string
	Current          bool
	Live             string // the name of its count's live part; empty for none
	Count            string
	Bad              string // what is wrong, in a word; empty while all is well
}

// toast confirms what was just done.
type toast struct{ Tone, Icon, Text string }

// noted are the sentences that a page begins with after something was done, by the key in its address.
var noted = map[string]string{
	"cancelled":    "Cancelling. Lines that are done stay.",
	"retried":      "Sent again. The answer shows here in a moment.",
	"deleted":      "Deleted.",
	"saved":        "Saved.",
	"disabled":     "Switched off. It gets no more events.",
	"enabled":      "Switched on. It gets what happens from now on.",
	"paused":       "Pausing at the provider.",
	"resumed":      "Going on.",
	"given-up":     "Cancelled. It is not sent any more.",
	"submitted":    "Accepted and stored. It goes on without you.",
	"some-retried": "Sent again, but for some: their event is no longer kept, or their endpoint is off or deleted.",
}

func (p *Pages) frame(ctx context.Context, r *http.Request) (frame, error) {
	f := frame{
		Theme: themeOf(r), Project: p.Project(r), Version: p.Version, Mode: p.Mode, Login: p.Login != nil,
		Now: int64(p.now()), Nav: navigation(r.URL.Path),
	}
	if text, ok := noted[r.URL.Query().Get("done")]; ok {
		f.Toast = &toast{Tone: "ok", Icon: "s-ok", Text: text}
	}
	s, err := remember(&p.memo, "standing/"+f.Project, func() (jobs.Standing, error) { return p.Facts.Standing(ctx, f.Project) })
	if err != nil {
		return f, err
	}
	f.count("/jobs", upTo(s.Open), "")
	f.count("/deliveries", upTo(s.Waiting), "")
	if s.Failing > 0 {
		f.count("/webhooks", upTo(s.Failing), "failing")
	}
	return f, nil
}

// themeOf is what the browser was told to show.
func themeOf(r *http.Request) string {
	if c, err := r.Cookie("theme"); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return "system"
}

func navigation(at string) []navItem {
	items := []navItem{
		{Href: "/", Icon: "overview", Word: "Overview"},
		{Href: "/jobs", Icon: "jobs", Word: "Jobs", Live: "nav.jobs"},
		{Href: "/webhooks", Icon: "webhook", Word: "Webhooks", Live: "nav.webhooks"},
		{Href: "/deliveries", Icon: "delivery", Word: "Deliveries", Live: "nav.deliveries"},
		{Href: "/events", Icon: "event", Word: "Events"},
		{Href: "/files", Icon: "file", Word: "Files"},
		{Href: "/providers", Icon: "provider", Word: "Providers"},
		{Href: "/settings", Icon: "settings", Word: "Settings"},
	}
	for i := range items {
		href := items[i].Href
		items[i].Current = at == href || href != "/" && strings.HasPrefix(at, href+"/") || href == "/jobs" && at == "/new"
	}
	return items
}

func (f *frame) count(href, count, bad string) {
	for i := range f.Nav {
		if f.Nav[i].Href == href {
			f.Nav[i].Count, f.Nav[i].Bad = count, bad
		}
	}
}
