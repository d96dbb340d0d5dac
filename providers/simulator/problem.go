package simulator

import (
	"fmt"
	"net/http"
)

// The error types of OpenAI's envelope.
const (
	invalidRequest = "invalid_request_error"
	rateLimited    = "rate_limit_error"
	serverError    = "server_error"
)

// A problem is an error answer: a status and OpenAI's envelope. An empty param
// or code is null.
type problem struct {
	status            int
	message, typ      string
	param, code       string
	retryAfter, allow string // headers, left out when empty
}

func (c *call) refuse(p *problem) {
	h := c.w.Header()
	if p.retryAfter != "" {
		h.Set("Retry-After", p.retryAfter)
	}
	if p.allow != "" {
		h.Set("Allow", p.allow)
	}
	c.out = p.appendTo(c.out[:0])
	c.sendAs(p.status, "application/json")
}

func (p *problem) appendTo(dst []byte) []byte {
	dst = append(dst, `{"error":{"message":`...)
	dst = appendString(dst, p.message)
	dst = append(dst, `,"type":`...)
	dst = appendString(dst, p.typ)
	dst = append(dst, `,"param":`...)
	dst = appendStringOrNull(dst, p.param)
	dst = append(dst, `,"code":`...)
	dst = appendStringOrNull(dst, p.code)
	return append(dst, `}}`...)
}

func badRequest(param, code, format string, args ...any) *problem {
	return &problem{
		status: http.StatusBadRequest, typ: invalidRequest,
		param: param, code: code, message: fmt.Sprintf(format, args...),
	}
}

func missing(param string) *problem {
	return badRequest(param, "missing_required_parameter", "Missing required parameter: '%s'.", param)
}

func wrongType(param, want string) *problem {
	return badRequest(param, "invalid_type", "Invalid type for '%s': expected %s.", param, want)
}

// failure is the error that a status stands for, as OpenAI types it.
func failure(status int) *problem {
	p := &problem{status: status, typ: invalidRequest, message: "Simulated error: " + http.StatusText(status) + "."}
	switch {
	case status == http.StatusTooManyRequests:
		p.typ, p.code = rateLimited, "rate_limit_exceeded"
	case status >= 500:
		p.typ = serverError
		p.message = "The server had an error while processing your request (simulated). Retry it."
	}
	return p
}
