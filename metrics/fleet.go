package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// fleetMetrics tell how this process fares among others. Alone they stay zero.
type fleetMetrics struct{ tookOver, lost prometheus.Counter }

func newFleetMetrics() fleetMetrics {
	return fleetMetrics{
		tookOver: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ringback_take_overs_total",
			Help: "Times that this process found others dead and freed what they had in hand. Look why they ended: memory, a crash, a network that was cut.",
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ringback_taken_for_dead_total",
			Help: "Times that this process was not heard of for 15 s and lost its work to others. Look at its pauses, its CPU and its way to the database.",
		}),
	}
}

func (m *fleetMetrics) collectors(heartbeat func() time.Duration) []prometheus.Collector {
	all := []prometheus.Collector{m.tookOver, m.lost}
	if heartbeat == nil {
		return all
	}
	return append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ringback_heartbeat_age_seconds",
		Help: "Since this process could last say that it lives. Above 10 s it begins nothing new; at 15 s others take over.",
	}, func() float64 { return heartbeat().Seconds() }))
}

// TookOver counts a take-over by this process.
func (m *Metrics) TookOver() { m.fleet.tookOver.Inc() }

// TakenForDead counts one from it.
func (m *Metrics) TakenForDead() { m.fleet.lost.Inc() }
