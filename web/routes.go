package web

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/jobs"
)

// route registers every route. A GET answers HEAD too.
func (s *Server) route(o Options) {
	f := &files{&s.core, o.Jobs, o.Facts}
	b := &batches{&s.core, o.Jobs, o.Facts, o.Callbacks}
	g := &generations{&s.core, o.Jobs, o.Facts, o.Callbacks}
	j := &jobRoutes{&s.core, o.Jobs, o.Facts, o.Callbacks}
	e := &events{&s.core, o.Facts}
	w := &webhooks{&s.core, o.Callbacks}
	for _, r := range []struct {
		method, path string
		handler      handler
	}{
		{http.MethodGet, livePath, live(o.Version)},
		{http.MethodGet, readyPath, s.ready(o.Ready)},

		{http.MethodPost, "/v1/files", f.create},
		{http.MethodGet, "/v1/files", f.list},
		{http.MethodGet, "/v1/files/:id", f.get},
		{http.MethodDelete, "/v1/files/:id", f.delete},
		{http.MethodGet, "/v1/files/:id/content", f.content},

		{http.MethodPost, "/v1/batches", b.create},
		{http.MethodGet, "/v1/batches", b.list},
		{http.MethodGet, "/v1/batches/:id", b.get},
		{http.MethodPost, "/v1/batches/:id/cancel", b.cancel},

		{http.MethodPost, "/v1/generate", g.create},
		{http.MethodGet, "/v1/generate/:id", g.get},
		{http.MethodPost, "/v1/generate/:id/cancel", g.cancel},

		{http.MethodGet, "/v1/jobs", j.list},
		{http.MethodGet, "/v1/jobs/:id", j.get},
		{http.MethodPost, "/v1/jobs/:id/cancel", j.cancel},
		{http.MethodGet, "/v1/jobs/:id/deliveries", j.listDeliveries},

		{http.MethodGet, "/v1/events", e.list},
		{http.MethodGet, "/v1/webhooks/default/secret", w.secret},
	} {
		s.engine.Handle(r.method, r.path, s.handle(r.handler))
		if r.method == http.MethodGet {
			s.engine.Handle(http.MethodHead, r.path, s.handle(r.handler))
		}
	}
}

func noRoute(c *gin.Context) error {
	return jobs.Errorf(codeNoRoute, "", "Invalid URL (%s %s)", c.Request.Method, c.Request.URL.Path)
}

// noMethod answers a known path; gin has set Allow.
func noMethod(c *gin.Context) error {
	return jobs.Errorf(codeNoMethod, "", "Not allowed to %s on %s. Use one of: %s.",
		c.Request.Method, c.Request.URL.Path, c.Writer.Header().Get("Allow"))
}
