package web

import (
	"context"
	"net/http"

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
	Status string            `json:"status"`
	Checks map[string]string `json:"checks"`
}

// ready answers 503 while a dependency does not work, with the state of each. Why stands in the log: an error's text
// may name addresses.
func (s *core) ready(check func(context.Context) map[string]error) handler {
	return func(c *gin.Context) error {
		r, status := readiness{Status: "ok", Checks: map[string]string{}}, http.StatusOK
		if check == nil {
			return ok(c, encode(r))
		}
		for name, err := range check(c.Request.Context()) {
			r.Checks[name] = "ok"
			if err != nil {
				r.Checks[name], r.Status, status = "failed", "unavailable", http.StatusServiceUnavailable
				s.log.Warn("not ready", "dependency", name, "err", err)
			}
		}
		send(c, status, encode(r))
		return nil
	}
}
