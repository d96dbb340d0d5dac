package web

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/telemetry/span"
	"github.com/ringback/ringback/web/pages"
)

// Jobs is the whole of what this package commands about jobs. Each resource declares its own part beside its handlers.
type Jobs interface {
	FileService
	UploadService
	BatchService
	ResponseService
	GenerationService
	TuningService
	ModelService
	JobService
}

// Facts is what it reads, straight from the store.
type Facts interface {
	FileReader
	UploadReader
	JobReader
	ResultReader
	TuningReader
	ResponseReader
	EventReader
}

// Callbacks is the whole of what this package asks about callbacks.
type Callbacks interface {
	WebhookParser
	EndpointService
	DeliveryLister
	DeliveryService
	ReplayService
	SecretService
	KeyReader
}

// Options are the parts a Server works with.
type Options struct {
	Jobs      Jobs
	Facts     Facts
	Callbacks Callbacks

	// People are the pages for people; nil: there are none.
	People *People

	// Keys are the API keys that clients send as bearer tokens. None means no authentication: then only loopback and
	// PublicURL's host are served, and no web page of another origin (guard.go).
	Keys      []string
	PublicURL string // where clients reach this server: scheme, host and port

	ProbesOnly bool // of a process that takes no requests: it tells how it is, and nothing else

	BodyBytes int64 // of a JSON body; 0 is 16 MiB
	FileBytes int64 // of an upload; refused early when the client declares more. 0 leaves it to Jobs.Spool

	UploadPartBytes int64 // of one part of a file; 0 leaves it to Jobs.SpoolPart

	Tracer *span.Tracer // tells requests as spans and passes clients' traces on; nil passes on alone

	Ready []Check // the dependencies that /readyz looks at; their errors go to the log alone

	// Metrics answers scrapes; nil: there is no such route.
	Metrics http.Handler
	// Requests gives, once for each route, what hears of its requests; nil: nobody hears.
	Requests func(method, route string) func(status int, took time.Duration)

	Log     *slog.Logger
	Now     func() time.Time
	Version string
}

const defaultBodyBytes = 16 << 20

// Server is the HTTP API. It starts no goroutine of its own but those of the readiness probes (see Check).
type Server struct {
	core
	engine   *gin.Engine
	sessions *sessions
	pages    *pages.Pages    // nil where there are none
	paged    map[string]bool // the routes of pages: whether they are open to all
}

// New makes a Server: an http.Handler that answers every route, unknown ones too, in OpenAI's envelope.
func New(o Options) *Server {
	gin.SetMode(gin.ReleaseMode) // its debug mode prints to standard output
	s := &Server{core: newCore(o), engine: gin.New(), paged: map[string]bool{}}
	s.sessions = newSessions(o, s.now)
	s.engine.UseRawPath = true // IDs arrive percent-encoded
	s.engine.HandleMethodNotAllowed = true
	s.engine.RedirectTrailingSlash = false // gin redirects before any middleware
	s.engine.Use(s.measure, s.follow, s.logAccess, s.recoverPanic, s.handle(stopLoops), s.handle(s.guard(o)), s.handle(s.authenticate(o.Keys)))
	s.engine.NoRoute(s.handle(noRoute))
	s.engine.NoMethod(s.handle(noMethod))
	s.route(o)
	s.routePages(o)
	s.meter = newMeter(s.engine, o.Requests)
	return s
}

// ServeHTTP answers one request. Every answer carries its ID and the time it took.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t := &traced{ResponseWriter: w, began: s.now(), now: s.now}
	h := w.Header()
	h.Set(requestIDHeader, jobs.NewID("req_"))
	h.Set("openai-version", "2020-10-01")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	s.engine.ServeHTTP(t, r)
}

// EndWaits answers all long polls at once with what they know, and ends all streams. Call it when the server shuts down.
func (s *Server) EndWaits() { s.endWaits() }

// HTTPServer makes the http.Server around s, without an address. There is no limit on a whole answer: uploads,
// long polls and streams take their time. Its Shutdown ends long polls and streams.
func HTTPServer(s *Server) *http.Server {
	server := &http.Server{
		Handler:                      s,
		ReadHeaderTimeout:            10 * time.Second,
		IdleTimeout:                  2 * time.Minute,
		MaxHeaderBytes:               64 << 10,
		DisableGeneralOptionsHandler: true, // no route past the guard
		ErrorLog:                     slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	server.RegisterOnShutdown(s.EndWaits)
	return server
}
