package metrics

import "github.com/prometheus/client_golang/prometheus"

// jobMetrics count what jobs and the lines of batches come to.
type jobMetrics struct {
	finished *prometheus.CounterVec
	lines    *prometheus.CounterVec
	sets     prometheus.Histogram

	ends        *children[end, prometheus.Counter]
	ok, refused prometheus.Counter
}

type end struct{ kind, status string }

func newJobMetrics() jobMetrics {
	m := jobMetrics{
		finished: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ringback_jobs_finished_total",
			Help: "Jobs that this process has brought to their end, by kind and final status. Sum over processes; alert where failed or expired grow against completed.",
		}, []string{"kind", "status"}),
		lines: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ringback_lines_total",
			Help: "Lines of batches whose outcome this process has kept, each line once: ok, or failed. Its rate is the throughput of batches; alert on a rising share of failed.",
		}, []string{"result"}),
		sets: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "ringback_flushed_lines",
			Help:    "Lines in one write of results. Near 1000 the database is what batches wait for: see the writer's commit time.",
			Buckets: []float64{1, 2, 5, 10, 25, 50, 100, 250, 500, 1000},
		}),
	}
	m.ends = newChildren(func(e end) prometheus.Counter { return m.finished.WithLabelValues(e.kind, e.status) })
	m.ok, m.refused = m.lines.WithLabelValues("ok"), m.lines.WithLabelValues("failed")
	return m
}

func (m *jobMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.finished, m.lines, m.sets}
}

// JobEnded counts a job whose end has been committed.
func (m *Metrics) JobEnded(kind, status string) { m.jobs.ends.of(end{kind, status}).Inc() }

// LinesKept counts a set of outcomes that has been committed: its length, and the lines that had no outcome before.
func (m *Metrics) LinesKept(set int, ok, failed int64) {
	m.jobs.sets.Observe(float64(set))
	m.jobs.ok.Add(float64(ok))
	m.jobs.refused.Add(float64(failed))
}
