package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	askedAtMost = 2 * time.Second // how long a scrape waits for what it asks
	standsFor   = 5 * time.Second // how long an answer is good
)

// scrape asks the sources and turns what they say into metrics. What fails is left out and counted.
type scrape struct {
	from     Sources
	now      func() time.Time
	failures *prometheus.CounterVec

	mu    sync.Mutex // one scrape asks, the others wait for what it hears
	at    time.Time
	heard heard
}

// heard is what the database and the queue said; nil where they did not.
type heard struct {
	jobs      []Jobs
	oldest    map[string]time.Duration
	waiting   map[string]int64
	shutGates *int64
}

func newScrape(from Sources, now func() time.Time) *scrape {
	s := &scrape{from: from, now: now, failures: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ringback_scrape_failures_total",
		Help: "Numbers that a scrape could not read, by source; they are missing then. Look at /readyz: the database or the queue does not answer.",
	}, []string{"source"})}
	for _, source := range []string{"jobs", "oldest_due", "gates", "queue"} {
		s.failures.WithLabelValues(source)
	}
	return s
}

// Describe implements prometheus.Collector.
func (s *scrape) Describe(to chan<- *prometheus.Desc) {
	s.failures.Describe(to)
	for _, d := range scraped {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (s *scrape) Collect(to chan<- prometheus.Metric) {
	out := sink{to}
	out.heard(s.listen())
	if s.from.Lanes != nil {
		out.lanes(s.from.Lanes())
	}
	if s.from.Providers != nil {
		out.providers(s.from.Providers())
	}
	if s.from.Callbacks != nil {
		out.callbacks(s.from.Callbacks())
	}
	s.failures.Collect(to) // last: it counts this scrape's too
}

// listen gives what was heard lately, or asks.
func (s *scrape) listen() heard {
	s.mu.Lock()
	defer s.mu.Unlock()
	if past := s.now().Sub(s.at); s.at.IsZero() || past < 0 || past >= standsFor {
		s.heard, s.at = s.ask(), s.now()
	}
	return s.heard
}

func (s *scrape) ask() (h heard) {
	ctx, cancel := context.WithTimeout(context.Background(), askedAtMost)
	defer cancel()
	var wg sync.WaitGroup
	begin(ctx, &wg, s, "jobs", s.from.Jobs, func(jobs []Jobs) { h.jobs = jobs })
	begin(ctx, &wg, s, "oldest_due", s.from.OldestDue, func(ages map[string]time.Duration) { h.oldest = ages })
	begin(ctx, &wg, s, "queue", s.from.Waiting, func(tasks map[string]int64) { h.waiting = tasks })
	begin(ctx, &wg, s, "gates", s.from.ShutGates, func(n int64) { h.shutGates = &n })
	wg.Wait()
	return h
}

// begin asks one source beside the others. A source that is nil, or fails, says nothing.
func begin[T any](ctx context.Context, wg *sync.WaitGroup, s *scrape, name string, source func(context.Context) (T, error), take func(T)) {
	if source == nil {
		return
	}
	wg.Go(func() {
		said, err := source(ctx)
		if err != nil {
			s.failures.WithLabelValues(name).Inc()
			return
		}
		take(said)
	})
}
