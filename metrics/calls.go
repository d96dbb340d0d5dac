package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func newCallMetrics() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "ringback_provider_call_duration_seconds",
		Help: "Model calls by provider and outcome (ok, rate_limited, overloaded, timeout, connection, …), streams to their end. " +
			"rate_limited says to lower the provider's limits, unauthorized or quota_exceeded to look at its account.",
		Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600},
	}, []string{"provider", "outcome"})
}

// Calls gives what counts a provider's calls; ask once for each provider. An empty outcome is an answer.
func (m *Metrics) Calls(provider string) func(outcome string, took time.Duration) {
	outcomes := newChildren(func(outcome string) prometheus.Observer { return m.calls.WithLabelValues(provider, outcome) }, "ok")
	return func(outcome string, took time.Duration) {
		if outcome == "" {
			outcome = "ok"
		}
		outcomes.of(outcome).Observe(took.Seconds())
	}
}
