package web

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
)

const requestIDHeader = "X-Request-Id"

// requestID is the ID that ServeHTTP gave; clients' own are not taken.
func requestID(c *gin.Context) string { return c.Writer.Header().Get(requestIDHeader) }

// traced says in each answer how long it took until its first byte.
type traced struct {
	http.ResponseWriter
	began time.Time
	now   func() time.Time
	wrote bool
	took  time.Duration // until its first byte, once it wrote
}

func (t *traced) WriteHeader(status int) {
	t.wrote, t.took = true, t.now().Sub(t.began)
	t.Header().Set("openai-processing-ms", strconv.FormatInt(t.took.Milliseconds(), 10))
	t.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (t *traced) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// logAccess writes a line for each request: never query values, headers or bodies. Probes are for debugging only.
func (s *core) logAccess(c *gin.Context) {
	began := s.now()
	defer func() {
		level := slog.LevelInfo
		if route := c.FullPath(); route == livePath || route == readyPath || route == metricsPath {
			level = slog.LevelDebug
		}
		s.log.Log(c.Request.Context(), level, "request", "method", c.Request.Method, "route", c.FullPath(),
			"status", c.Writer.Status(), "ms", s.now().Sub(began).Milliseconds(), "request", requestID(c))
	}()
	c.Next()
}

// recoverPanic answers a panic with a neutral 500. http.ErrAbortHandler cuts the connection, as it is meant to.
func (s *core) recoverPanic(c *gin.Context) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			s.log.Error("request panicked", "request", requestID(c), "stack", string(debug.Stack()))
			s.fail(c, fmt.Errorf("panic: %v", p))
		}
	}()
	c.Next()
}
