package metrics

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// httpMetrics count requests to the API. Routes are the patterns under which they were registered, never paths.
type httpMetrics struct {
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
}

func newHTTPMetrics() httpMetrics {
	return httpMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ringback_http_requests_total",
			Help: "Requests by method, route and status; what matches no route is unmatched. Alert on 5xx: 503 says that something cannot be kept now.",
		}, []string{"method", "route", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ringback_http_request_duration_seconds",
			Help:    "From a request's arrival until its answer began, uploads and long polls included. Submissions wait for the database alone: look there when they slow down.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}, []string{"method", "route"}),
	}
}

func (m *httpMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.requests, m.took}
}

// Route gives what counts a route's requests; ask once for each. It has no series before its first request.
func (m *Metrics) Route(method, route string) func(status int, took time.Duration) {
	observer := sync.OnceValue(func() prometheus.Observer { return m.http.took.WithLabelValues(method, route) })
	statuses := newChildren(func(status int) prometheus.Counter {
		return m.http.requests.WithLabelValues(method, route, strconv.Itoa(status))
	})
	return func(status int, took time.Duration) {
		statuses.of(status).Inc()
		observer().Observe(took.Seconds())
	}
}
