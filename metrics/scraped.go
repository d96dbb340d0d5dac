package metrics

import "github.com/prometheus/client_golang/prometheus"

// The metrics that are read when they are asked for.
var (
	unfinished = desc("ringback_jobs_unfinished",
		"Jobs that have not ended, by kind and status, in the whole database: the same from every process, so take max, not sum. At most 20000 are counted. Alert when it only grows.", "kind", "status")
	oldestDue = desc("ringback_queue_oldest_due_age_seconds",
		"How long the longest due row of a lane has waited for a worker, in the whole database (take max); callbacks to receivers that do not answer are left out. Above a minute: add workers, or look at the providers' limits.", "lane")
	shutGates = desc("ringback_gates_shut",
		"Receivers of callbacks that do not answer and are only probed, in the whole database (take max), 10000 at most. See which in GET /v1/deliveries?state=waiting.")

	queueWaiting = desc("ringback_queue_waiting_tasks",
		"Wake-ups that wait in a lane of the queue, over all processes (take max). At the window the lane's workers are what work waits for.", "lane")
	queueWindow = desc("ringback_queue_window_tasks",
		"Wake-ups that may wait in a lane; what is due beyond them waits in the database.", "lane")
	busyWorkers = desc("ringback_queue_busy_workers",
		"Workers of a lane that are at work in this process. Where it stays at ringback_queue_workers, raise that lane's workers or add a process.", "lane")
	workers = desc("ringback_queue_workers",
		"Workers of a lane in this process.", "lane")
	dropped = desc("ringback_queue_dropped_ids_total",
		"Wake-ups left to the sweeper: the window was full, or Redis away. No work is lost by it; a steady rate says that the lane is behind.", "lane")
	malformed = desc("ringback_queue_malformed_tasks_total",
		"Tasks in the queue that are none of Ringback's. Alert on any: another program writes to the same Redis database.", "lane")
	panics = desc("ringback_queue_panics_total",
		"Panics of work, which were caught. Alert on any, and report it with the stack in the log.", "lane")

	callsInFlight = desc("ringback_provider_calls_in_flight",
		"Model calls that are open now, by provider. Compare with the provider's concurrency.", "provider")
	callsWaiting = desc("ringback_provider_calls_waiting",
		"Callers that wait for the provider's limiter. Long lines say that its limits are what work waits for.", "provider")
	providerDown = desc("ringback_provider_down",
		"1 while the provider has failed several times in a row for some model and is only probed; its jobs wait. Alert when it lasts.", "provider")

	inHand = desc("ringback_deliveries_in_hand",
		"Callbacks that this process has claimed and not recorded yet. Where it stays at ringback_deliveries_in_hand_limit, raise callbacks.workers.")
	inHandLimit = desc("ringback_deliveries_in_hand_limit",
		"Callbacks that this process may have in hand: callbacks.workers.")
	gatesKnown = desc("ringback_gates_known",
		"Receivers of callbacks that this process remembers; 65536 at most.")
)

var scraped = []*prometheus.Desc{
	unfinished, oldestDue, shutGates, queueWaiting, queueWindow, busyWorkers, workers, dropped, malformed, panics,
	callsInFlight, callsWaiting, providerDown, inHand, inHandLimit, gatesKnown,
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// sink turns what sources say into metrics.
type sink struct{ to chan<- prometheus.Metric }

func (s sink) gauge(d *prometheus.Desc, value float64, labels ...string) {
	s.to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func (s sink) counter(d *prometheus.Desc, value int64, labels ...string) {
	s.to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}

func (s sink) heard(h heard) {
	for _, j := range h.jobs {
		s.gauge(unfinished, float64(j.N), j.Kind, j.Status)
	}
	for lane, age := range h.oldest {
		s.gauge(oldestDue, age.Seconds(), lane)
	}
	for lane, n := range h.waiting {
		s.gauge(queueWaiting, float64(n), lane)
	}
	if h.shutGates != nil {
		s.gauge(shutGates, float64(*h.shutGates))
	}
}

func (s sink) lanes(lanes []Lane) {
	for _, l := range lanes {
		s.gauge(queueWindow, float64(l.Window), l.Name)
		s.gauge(busyWorkers, float64(l.Busy), l.Name)
		s.gauge(workers, float64(l.Workers), l.Name)
		s.counter(dropped, l.Dropped, l.Name)
		s.counter(malformed, l.Malformed, l.Name)
		s.counter(panics, l.Panics, l.Name)
	}
}

func (s sink) providers(providers []Provider) {
	for _, p := range providers {
		s.gauge(callsInFlight, float64(p.Calls), p.Name)
		s.gauge(callsWaiting, float64(p.Waiting), p.Name)
		down := 0.0
		if p.Down {
			down = 1
		}
		s.gauge(providerDown, down, p.Name)
	}
}

func (s sink) callbacks(c Callbacks) {
	s.gauge(inHand, float64(c.InHand))
	s.gauge(inHandLimit, float64(c.Room))
	s.gauge(gatesKnown, float64(c.Gates))
}
