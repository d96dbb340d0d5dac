package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options say what is measured.
type Options struct {
	Version   string // of this program
	GoVersion string
	Sources   Sources
	Now       func() time.Time // nil means time.Now
}

// Metrics are all the numbers of one process. Its methods are the other ends of the packages' hooks: they cost some tens of
// nanoseconds, and are safe for many goroutines at once.
type Metrics struct {
	registry *prometheus.Registry

	jobs      jobMetrics
	calls     *prometheus.HistogramVec
	callbacks callbackMetrics
	writer    writerMetrics
	http      httpMetrics
	fleet     fleetMetrics
}

// New makes the metrics, with those of the Go runtime and of the process.
func New(o Options) *Metrics {
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		jobs:     newJobMetrics(), calls: newCallMetrics(), callbacks: newCallbackMetrics(), writer: newWriterMetrics(), http: newHTTPMetrics(),
		fleet: newFleetMetrics(),
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(m.ours(o)...)
	return m
}

// ours are the metrics that docs/metrics.md lists. A new section is one more line here.
func (m *Metrics) ours(o Options) []prometheus.Collector {
	all := []prometheus.Collector{buildInfo(o), m.calls, newScrape(o.Sources, o.Now)}
	all = append(all, m.jobs.collectors()...)
	all = append(all, m.callbacks.collectors()...)
	all = append(all, m.writer.collectors()...)
	all = append(all, m.fleet.collectors(o.Sources.Heartbeat)...)
	return append(all, m.http.collectors()...)
}

func buildInfo(o Options) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "ringback_build_info",
		Help:        "Always 1: what this process was built from. Join with it to see which version a number came from.",
		ConstLabels: prometheus.Labels{"version": o.Version, "goversion": o.GoVersion},
	}, func() float64 { return 1 })
}

// scrapesAtOnce bounds what scrapes cost; more are answered 503.
const scrapesAtOnce = 4

// Handler answers scrapes. A number that cannot be read now is left out, and the others are given.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: scrapesAtOnce,
	})
}
