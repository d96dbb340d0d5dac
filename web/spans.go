package web

import (
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/telemetry/span"
)

// follow puts a request into its client's trace, and tells it as a span. Without a traceparent a trace begins where the
// request may change something: reads, most of which are polls, would be nearly all traces. Probes are never told.
func (s *core) follow(c *gin.Context) {
	route := c.FullPath()
	parent := span.Read(c.Request.Header)
	reads := route == "" || c.Request.Method == http.MethodGet || c.Request.Method == http.MethodHead
	if route == livePath || route == readyPath || parent == "" && (reads || !s.tracer.Records()) {
		return
	}
	name := "unknown route" // whose method may be any text
	if route != "" {
		name = c.Request.Method + " " + route
	}
	ctx, told := s.tracer.Begin(c.Request.Context(), parent, span.Server, name,
		span.Text("http.route", route), span.Text("ringback.request.id", requestID(c)))
	defer told.End()
	c.Request = c.Request.WithContext(ctx)
	c.Next()
	status := c.Writer.Status()
	told.Note(span.Number("http.response.status_code", int64(status)))
	if status >= http.StatusInternalServerError {
		told.Fail(strconv.Itoa(status))
	}
}
