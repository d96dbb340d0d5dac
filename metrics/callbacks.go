package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// callbackMetrics count what becomes of callbacks.
type callbackMetrics struct {
	ended    *prometheus.CounterVec
	attempts *prometheus.HistogramVec

	delivered, failed prometheus.Counter
	outcomes          *children[string, prometheus.Observer]
}

func newCallbackMetrics() callbackMetrics {
	m := callbackMetrics{
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ringback_deliveries_total",
			Help: "Callbacks that this process has delivered, or given up (failed): the dead letters. Alert on any failed; find them with GET /v1/deliveries?state=failed and retry them once the receiver is mended.",
		}, []string{"result"}),
		attempts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ringback_delivery_attempt_duration_seconds",
			Help:    "Attempts at callbacks by outcome: the answer's class (2xx), or why there was none. internal_error, local_error and unreadable are this side's own: look at the log.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"outcome"}),
	}
	m.delivered, m.failed = m.ended.WithLabelValues("delivered"), m.ended.WithLabelValues("failed")
	m.outcomes = newChildren(func(outcome string) prometheus.Observer { return m.attempts.WithLabelValues(outcome) }, "2xx")
	return m
}

func (m *callbackMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.ended, m.attempts}
}

// DeliveriesEnded counts deliveries whose end has been committed.
func (m *Metrics) DeliveriesEnded(delivered, failed int) {
	m.callbacks.delivered.Add(float64(delivered))
	m.callbacks.failed.Add(float64(failed))
}

// Attempted counts one attempt at a callback. Outcomes are few: a class of status, or of errors.
func (m *Metrics) Attempted(outcome string, took time.Duration) {
	m.callbacks.outcomes.of(outcome).Observe(took.Seconds())
}
