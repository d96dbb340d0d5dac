package web

import (
	"context"
	"log/slog"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/telemetry/span"
)

// core is what the handlers of all resources share.
type core struct {
	log       *slog.Logger
	now       func() time.Time
	bodyBytes int64
	fileBytes int64
	partBytes int64
	flights   *flights
	meter     *meter
	tracer    *span.Tracer
	asPage    func(c *gin.Context, status int, message string) bool // shows a person an error, where one asked; nil: nobody does

	waits    context.Context // done when long polls and streams are to end
	endWaits context.CancelFunc
	pace     pace
	public   string        // host and port of PublicURL; empty where it is not set
	streams  chan struct{} // holds one for each open stream
	open     chan struct{} // and one for each page that is open live
}

func newCore(o Options) core {
	c := core{
		public: hostOf(o.PublicURL),
		log:    o.Log, now: o.Now, bodyBytes: o.BodyBytes, fileBytes: o.FileBytes, partBytes: o.UploadPartBytes, flights: newFlights(),
		tracer: o.Tracer,
		pace:   defaultPace(), streams: make(chan struct{}, maxStreams), open: make(chan struct{}, maxStreams),
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.bodyBytes == 0 {
		c.bodyBytes = defaultBodyBytes
	}
	c.waits, c.endWaits = context.WithCancel(context.Background())
	return c
}

// waiting gives a context that ends when the client goes away or the server shuts down. The caller releases it.
func (s *core) waiting(c *gin.Context) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancel(c.Request.Context())
	stop := context.AfterFunc(s.waits, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// project is whose request this is. Every key belongs to the default project as yet; this is the one place that says so.
func (*core) project(*gin.Context) string { return jobs.DefaultProject }

// ref names the row that the path's ID speaks of.
func (s *core) ref(c *gin.Context) jobs.Ref {
	return jobs.Ref{ProjectID: s.project(c), ID: c.Param("id")}
}

// handler binds a request, calls a service and renders its answer, or returns the error.
type handler func(c *gin.Context) error

// handle gives gin a handler; what it returns ends the request in the envelope.
func (s *core) handle(h handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := h(c); err != nil {
			s.fail(c, err)
		}
	}
}
