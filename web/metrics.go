package web

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// metricsPath is where Prometheus scrapes. It asks for a key as the API does: Prometheus sends one as its authorization's
// credentials. Without keys it answers on loopback alone, as everything does.
const metricsPath = "/metrics"

// scrape passes a request on to what answers scrapes.
func scrape(h http.Handler) handler {
	return func(c *gin.Context) error {
		h.ServeHTTP(c.Writer, c.Request)
		return nil
	}
}

// routeKey names a route by its pattern.
type routeKey struct{ method, route string }

// meter counts requests by route.
type meter struct {
	routes    map[routeKey]func(status int, took time.Duration) // complete before the first request
	unmatched func(status int, took time.Duration)              // whatever its method: that may be any text
}

// newMeter asks once for each route what counts its requests; count may be nil.
func newMeter(engine *gin.Engine, count func(method, route string) func(status int, took time.Duration)) *meter {
	m := &meter{routes: map[routeKey]func(int, time.Duration){}, unmatched: func(int, time.Duration) {}}
	if count == nil {
		return m
	}
	m.unmatched = count("any", "unmatched")
	for _, r := range engine.Routes() {
		m.routes[routeKey{r.Method, r.Path}] = count(r.Method, r.Path)
	}
	return m
}

func (m *meter) note(c *gin.Context, took time.Duration) {
	count := m.unmatched
	if known := m.routes[routeKey{c.Request.Method, c.FullPath()}]; known != nil {
		count = known
	} else if c.FullPath() != "" {
		return // nobody counts
	}
	count(c.Writer.Status(), took)
}

// measure counts each request with the time until its answer began: streams go on for as long as their clients like.
func (s *core) measure(c *gin.Context) {
	began := s.now()
	defer func() {
		took := s.now().Sub(began)
		if w, ok := c.Writer.(interface{ Unwrap() http.ResponseWriter }); ok {
			if t, ok := w.Unwrap().(*traced); ok && t.wrote {
				took = t.took
			}
		}
		s.meter.note(c, took)
	}()
	c.Next()
}
