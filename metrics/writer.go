package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// writerMetrics tell how the database keeps up: SQLite's one writer, or this process's transactions on PostgreSQL.
type writerMetrics struct{ groups, commits prometheus.Histogram }

func newWriterMetrics() writerMetrics {
	return writerMetrics{
		groups: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "ringback_writer_group_size",
			Help:    "Writes that shared one commit: on SQLite many, on PostgreSQL always one. On SQLite it grows by itself under load; at 256 the writer is at its limit: move to PostgreSQL, or to a faster disk.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256},
		}),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "ringback_writer_commit_duration_seconds",
			Help:    "One commit with its fsync. Every submission waits for one: above 50 ms look at the disk under the database.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5},
		}),
	}
}

func (m *writerMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.groups, m.commits}
}

// Committed counts one commit of the writer.
func (m *Metrics) Committed(writes int, took time.Duration) {
	m.writer.groups.Observe(float64(writes))
	m.writer.commits.Observe(took.Seconds())
}
