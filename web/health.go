package web

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// The probes, which need no key.
const (
	livePath  = "/healthz"
	readyPath = "/readyz"
)

// live says that the process answers.
func live(version string) handler {
	body := encode(map[string]string{"status": "ok", "version": version})
	return func(c *gin.Context) error { return ok(c, body) }
}

type readiness struct {
	Status string               `json:"status"` // ok, degraded, unavailable
	Checks map[string]checkView `json:"checks"`
}

type checkView struct {
	Status string  `json:"status"` // ok, failed
	MS     float64 `json:"ms"`     // how long it took to know
}

// ready answers with the state of each dependency: 503 and unavailable where a Vital one does not work, 200 and degraded
// where a Degrading one does not. Why stands in the log: an error's text may name addresses.
func (s *core) ready(checks []Check) handler {
	probes := make([]*prober, len(checks))
	for i, c := range checks {
		probes[i] = &prober{Check: c, now: s.now, log: s.log}
	}
	return func(c *gin.Context) error {
		r, status := readiness{Status: "ok", Checks: map[string]checkView{}}, http.StatusOK
		for i, found := range probeAll(s.waits, probes) {
			view := checkView{Status: "ok", MS: float64(found.took.Round(time.Microsecond)) / float64(time.Millisecond)}
			if found.err != nil {
				view.Status = "failed"
				switch weight := checks[i].Weight; {
				case weight == Vital:
					r.Status, status = "unavailable", http.StatusServiceUnavailable
				case weight == Degrading && r.Status == "ok":
					r.Status = "degraded"
				}
			}
			r.Checks[checks[i].Name] = view
		}
		send(c, status, encode(r))
		return nil
	}
}
