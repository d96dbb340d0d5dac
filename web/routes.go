package web

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/jobs"
)

// route registers every route. A GET answers HEAD too.
func (s *Server) route(o Options) {
	f := &files{&s.core, o.Jobs, o.Facts}
	u := &uploads{&s.core, o.Jobs, o.Facts, f}
	b := &batches{&s.core, o.Jobs, o.Facts, o.Facts, o.Callbacks}
	rs := &responses{&s.core, o.Jobs, o.Facts, o.Facts, o.Callbacks}
	g := &generations{&s.core, o.Jobs, o.Facts, o.Callbacks}
	t := &tunings{&s.core, o.Jobs, o.Facts, o.Facts, o.Callbacks}
	m := &modelRoutes{&s.core, o.Jobs}
	j := &jobRoutes{&s.core, o.Jobs, o.Facts, o.Callbacks, o.Callbacks}
	ev := &events{&s.core, o.Facts}
	ep := &endpoints{&s.core, o.Callbacks}
	re := &replays{&s.core, o.Callbacks}
	d := &deliveries{&s.core, o.Callbacks}
	w := &webhooks{&s.core, o.Callbacks}
	k := &jwks{o.Callbacks}
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

		{http.MethodPost, "/v1/uploads", u.create},
		{http.MethodGet, "/v1/uploads/:id", u.get},
		{http.MethodPost, "/v1/uploads/:id/parts", u.addPart},
		{http.MethodPost, "/v1/uploads/:id/complete", u.complete},
		{http.MethodPost, "/v1/uploads/:id/cancel", u.cancel},

		{http.MethodPost, "/v1/batches", b.create},
		{http.MethodGet, "/v1/batches", b.list},
		{http.MethodGet, "/v1/batches/:id", b.get},
		{http.MethodPost, "/v1/batches/:id/cancel", b.cancel},
		{http.MethodPost, "/v1/batches/:id/retry", b.retry},
		{http.MethodGet, "/v1/batches/:id/results", b.results},

		{http.MethodPost, "/v1/responses", rs.create},
		{http.MethodGet, "/v1/responses/:id", rs.get},
		{http.MethodDelete, "/v1/responses/:id", rs.delete},
		{http.MethodPost, "/v1/responses/:id/cancel", rs.cancel},
		{http.MethodGet, "/v1/responses/:id/input_items", rs.listItems},

		{http.MethodPost, "/v1/generate", g.create},
		{http.MethodGet, "/v1/generate/:id", g.get},
		{http.MethodPost, "/v1/generate/:id/cancel", g.cancel},

		{http.MethodPost, "/v1/jobs", j.create},
		{http.MethodPost, "/v1/fine_tuning/jobs", t.create},
		{http.MethodGet, "/v1/fine_tuning/jobs", t.list},
		{http.MethodGet, "/v1/fine_tuning/jobs/:id", t.get},
		{http.MethodPost, "/v1/fine_tuning/jobs/:id/cancel", t.cancel},
		{http.MethodPost, "/v1/fine_tuning/jobs/:id/pause", t.pause},
		{http.MethodPost, "/v1/fine_tuning/jobs/:id/resume", t.resume},
		{http.MethodGet, "/v1/fine_tuning/jobs/:id/events", t.events},
		{http.MethodGet, "/v1/fine_tuning/jobs/:id/checkpoints", t.checkpoints},

		{http.MethodGet, "/v1/models", m.list},
		{http.MethodGet, "/v1/models/*id", m.get},
		{http.MethodDelete, "/v1/models/*id", m.delete},

		{http.MethodGet, "/v1/jobs", j.list},
		{http.MethodGet, "/v1/jobs/:id", j.get},
		{http.MethodPost, "/v1/jobs/:id/cancel", j.cancel},
		{http.MethodGet, "/v1/jobs/:id/deliveries", j.listDeliveries},

		{http.MethodGet, "/v1/webhook_event_types", ep.eventTypes},
		{http.MethodPost, "/v1/webhook_endpoints", ep.create},
		{http.MethodGet, "/v1/webhook_endpoints", ep.list},
		{http.MethodGet, "/v1/webhook_endpoints/:id", ep.get},
		{http.MethodPost, "/v1/webhook_endpoints/:id", ep.update},
		{http.MethodDelete, "/v1/webhook_endpoints/:id", ep.delete},
		{http.MethodPost, "/v1/webhook_endpoints/:id/rotate_secret", ep.rotateSecret},
		{http.MethodPost, "/v1/webhook_endpoints/:id/test", ep.test},
		{http.MethodPost, "/v1/webhook_endpoints/:id/replay", re.replay},

		{http.MethodGet, "/v1/deliveries", d.list},
		{http.MethodPost, "/v1/deliveries/retry", d.retryAll},
		{http.MethodGet, "/v1/deliveries/:id", d.get},
		{http.MethodPost, "/v1/deliveries/:id/retry", d.retry},
		{http.MethodPost, "/v1/deliveries/:id/cancel", d.cancel},

		{http.MethodGet, "/v1/events", ev.list},
		{http.MethodGet, "/v1/events/stream", ev.stream},
		{http.MethodGet, "/v1/events/:id", ev.get},

		{http.MethodGet, "/v1/webhooks/default/secret", w.secret},
		{http.MethodPost, "/v1/webhooks/default/secret/rotate", w.rotateSecret},
		{http.MethodGet, jwksPath, k.ofDefault},
		{http.MethodGet, projectJWKSPath, k.ofProject},

		{http.MethodGet, documentPath, apiDocument},
		{http.MethodGet, docsPath, docs},
		{http.MethodGet, scriptPath, docsScript()},
	} {
		if o.ProbesOnly && strings.HasPrefix(r.path, "/v1/") {
			continue
		}
		s.engine.Handle(r.method, r.path, s.handle(r.handler))
		if r.method == http.MethodGet {
			s.engine.Handle(http.MethodHead, r.path, s.handle(r.handler))
		}
	}
	if o.Metrics != nil {
		s.engine.GET(metricsPath, s.handle(scrape(o.Metrics)))
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
