// Package pages shows people what Ringback knows, and lets them do what its API does: HTML made on the server, kept live by
// server-sent events, usable without a script.
//
// A page is what it reads (load) and a template that shows it. The parts of the template that change are templates of
// their own, named "live:…": the whole page and its stream of changes are rendered from the same ones, at the same address.
// What a form asks for goes to the JSON API as a client's request would: there is one way to do a thing.
package pages

import (
	"context"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/ringback/ringback/jobs"
)

// Options are the parts that Pages work with.
type Options struct {
	Facts     Facts
	API       http.Handler                                    // answers what forms ask for, with the authority of who sent them
	Project   func(*http.Request) string                      // whose pages they are
	Streaming func() (leave func(), err error)                // takes one of the places for streams
	Until     context.Context                                 // done when streams are to end
	Login     func(key string) (cookie *http.Cookie, ok bool) // nil: nobody has to log in
	Providers func() []Provider                               // as this process sees them
	// Check looks at an input file as it comes in (jobs.Service.CheckInput).
	Check     func(ctx context.Context, project string, kind jobs.Kind, path string, in io.Reader, tell func(jobs.InputCheck)) (jobs.InputCheck, error)
	Settings  func() []byte   // the configuration in force as YAML, secrets hidden
	Schedule  []time.Duration // of deliveries, unless an endpoint has its own
	Timeout   time.Duration   // of an attempt, unless an endpoint has its own
	FileBytes int64           // of an upload, at most
	PublicURL string          // where clients reach the API
	Version   string
	Mode      string // "single process", or what this process does among others
	Now       func() time.Time
	Log       *slog.Logger
}

// Provider is a configured upstream. Calls, Waiting and Down are what this process sees; another may see more.
type Provider struct {
	Name    string
	BaseURL string
	Models  []string
	Slots   int // calls at once for each model
	Calls   int // in flight
	Waiting int
	Down    bool
	Works   bool // this process calls it at all
}

// Pages are the pages.
type Pages struct {
	Options
	sets   map[string]*template.Template // by file, each with the layout and the parts
	assets *assets
	memo   memo
	checks checks
}

// New makes Pages. The templates are part of the program: it panics where one is broken.
func New(o Options) *Pages {
	p := &Pages{Options: o, assets: readAssets()}
	p.sets = p.parse()
	return p
}

// Handler answers one request or fails.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Route is one address of the pages. IDs in its path come as path values.
type Route struct {
	Method, Path string
	Handler      Handler
	Open         bool // for those who have not logged in too
	Streams      bool // reads its form as it comes: it brings a file
}

// Routes are all of them, with paths in gin's form.
func (p *Pages) Routes() []Route {
	get := func(path string, h Handler) Route { return Route{Method: http.MethodGet, Path: path, Handler: h} }
	post := func(path string, h Handler) Route { return Route{Method: http.MethodPost, Path: path, Handler: h} }
	show := func(path, file string, l load) Route { return get(path, p.show(page{file, l})) }
	open := func(r Route) Route { r.Open = true; return r }
	return []Route{
		show("/", "overview.html", p.overview),

		show("/jobs", "jobs.html", p.jobList),
		show("/jobs/:id", "job.html", p.job),
		get("/jobs/:id/lines", p.lines),
		post("/jobs/:id/cancel", p.cancelJob),
		post("/jobs/:id/retry", p.retryJob),
		post("/jobs/:id/pause", p.moveTuning("pause")),
		post("/jobs/:id/resume", p.moveTuning("resume")),

		show("/new", "new.html", p.composer),
		post("/new", p.submit),
		post("/new/code", p.composerCode),
		{Method: http.MethodPost, Path: "/new/file", Handler: p.checkFile, Streams: true},
		get("/new/file", p.checkProgress),

		show("/webhooks", "webhooks.html", p.webhooks),
		post("/webhooks", p.addWebhook),
		show("/webhooks/:id", "webhook.html", p.webhook),
		post("/webhooks/:id", p.changeWebhook),
		post("/webhooks/:id/rotate", p.rotateSecret),
		post("/webhooks/:id/test", p.testFire),
		post("/webhooks/:id/active", p.switchWebhook),
		post("/webhooks/:id/delete", p.deleteWebhook),

		show("/deliveries", "deliveries.html", p.deliveries),
		post("/deliveries/retry", p.retryDeliveries),
		show("/deliveries/:id", "delivery.html", p.delivery),
		post("/deliveries/:id/retry", p.retryDelivery),
		post("/deliveries/:id/cancel", p.cancelDelivery),

		show("/files", "files.html", p.files),
		show("/files/:id", "file.html", p.file),
		post("/files/:id/delete", p.deleteFile),

		show("/events", "events.html", p.events),
		show("/events/:id", "event.html", p.event),
		show("/providers", "providers.html", p.providers),
		show("/settings", "settings.html", p.settings),

		open(get("/assets/:name", p.asset)),
		open(get(LoginPath, p.loginPage)),
		open(post(LoginPath, p.login)),
		open(post("/logout", p.logout)),
	}
}

func (p *Pages) now() jobs.Time {
	if p.Now == nil {
		return jobs.At(time.Now())
	}
	return jobs.At(p.Now())
}

func (p *Pages) ref(r *http.Request) jobs.Ref {
	return jobs.Ref{ProjectID: p.Project(r), ID: r.PathValue("id")}
}
