// Package metrics says in numbers how Ringback fares, for Prometheus.
//
// It imports nothing of ours: the packages that are measured declare hooks of plain types, which cmd/ringback joins with the
// methods here, and what is asked for at a scrape comes through Sources. No label holds what a client chose: an ID, a URL, a
// host, a model. So the number of series is bounded by the configuration.
//
// This package is the only home of Prometheus's client. Each metric stands in docs/metrics.md; a test holds the two together.
package metrics
