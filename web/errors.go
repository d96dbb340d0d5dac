package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// The codes of errors that only HTTP has, beside those of package jobs. Where OpenAI has a code, it is OpenAI's.
const (
	codeUnknownField jobs.Code = "unknown_parameter"
	codeBelow        jobs.Code = "integer_below_min_value"
	codeAbove        jobs.Code = "integer_above_max_value"
	codeLow          jobs.Code = "decimal_below_min_value"
	codeHigh         jobs.Code = "decimal_above_max_value"
	codeTooLong      jobs.Code = "string_above_max_length"
	codeTooShort     jobs.Code = "string_below_min_length"
	codeTooMany      jobs.Code = "object_above_max_properties"
	codeLongArray    jobs.Code = "array_above_max_length"
	codeMediaType    jobs.Code = "unsupported_media_type"
	codeNoTuning     jobs.Code = "fine_tune_not_found"
	codeNoRoute      jobs.Code = "unknown_url"
	codeNoMethod     jobs.Code = "method_not_supported"
	codeLoop         jobs.Code = "loop_detected"
	codeStreams      jobs.Code = "too_many_streams"
	codeInternal     jobs.Code = "internal_error"
)

// shape is how a code is answered.
type shape struct {
	status int
	typ    string
	hidden bool      // the envelope's code is null, as at OpenAI
	header [2]string // one more header, if any
}

const (
	typeRequest = "invalid_request_error"
	typeAuth    = "authentication_error"
	typeAccess  = "permission_error"
	typeRate    = "rate_limit_error"
	typeServer  = "server_error"
)

// statusGone is written for clients that went away before their answer (nginx's number); it is seen in the log only.
const statusGone = 499

// shapes is the one table of errors. SDKs retry 409, 429 and 5xx: a settled conflict and a loop say that it makes no
// sense, the others say when.
var shapes = map[jobs.Code]shape{
	jobs.CodeMissing:      {status: http.StatusBadRequest, typ: typeRequest},
	jobs.CodeType:         {status: http.StatusBadRequest, typ: typeRequest},
	jobs.CodeValue:        {status: http.StatusBadRequest, typ: typeRequest},
	jobs.CodeUnsupported:  {status: http.StatusBadRequest, typ: typeRequest},
	jobs.CodeInvalid:      {status: http.StatusBadRequest, typ: typeRequest, hidden: true},
	codeUnknownField:      {status: http.StatusBadRequest, typ: typeRequest},
	codeBelow:             {status: http.StatusBadRequest, typ: typeRequest},
	codeAbove:             {status: http.StatusBadRequest, typ: typeRequest},
	codeLow:               {status: http.StatusBadRequest, typ: typeRequest},
	codeHigh:              {status: http.StatusBadRequest, typ: typeRequest},
	jobs.CodePrevious:     {status: http.StatusBadRequest, typ: typeRequest},
	jobs.CodeContext:      {status: http.StatusBadRequest, typ: typeRequest},
	codeTooLong:           {status: http.StatusBadRequest, typ: typeRequest},
	codeTooShort:          {status: http.StatusBadRequest, typ: typeRequest},
	codeTooMany:           {status: http.StatusBadRequest, typ: typeRequest},
	jobs.CodeUnauthorized: {status: http.StatusUnauthorized, typ: typeAuth, header: [2]string{"WWW-Authenticate", "Bearer"}},
	jobs.CodeForbidden:    {status: http.StatusForbidden, typ: typeAccess},
	jobs.CodeNotFound:     {status: http.StatusNotFound, typ: typeRequest, hidden: true},
	jobs.CodeModel:        {status: http.StatusNotFound, typ: typeRequest},
	codeNoTuning:          {status: http.StatusNotFound, typ: typeRequest},
	codeNoRoute:           {status: http.StatusNotFound, typ: typeRequest},
	codeNoMethod:          {status: http.StatusMethodNotAllowed, typ: typeRequest},
	jobs.CodeConflict:     {status: http.StatusConflict, typ: typeRequest, hidden: true, header: [2]string{"x-should-retry", "false"}},
	jobs.CodeInFlight:     {status: http.StatusConflict, typ: typeRequest, header: [2]string{"Retry-After", "1"}},
	jobs.CodeCompleting:   {status: http.StatusConflict, typ: typeRequest, header: [2]string{"Retry-After", "1"}},
	callbacks.CodeExpired: {status: http.StatusGone, typ: typeRequest},
	jobs.CodeTooLarge:     {status: http.StatusRequestEntityTooLarge, typ: typeRequest},
	codeLongArray:         {status: http.StatusBadRequest, typ: typeRequest},
	codeMediaType:         {status: http.StatusUnsupportedMediaType, typ: typeRequest},
	jobs.CodeKeyReused:    {status: http.StatusUnprocessableEntity, typ: typeRequest},
	codeStreams:           {status: http.StatusTooManyRequests, typ: typeRate, header: [2]string{"Retry-After", "1"}},
	codeInternal:          {status: http.StatusInternalServerError, typ: typeServer},
	codeLoop:              {status: http.StatusLoopDetected, typ: typeRequest, header: [2]string{"x-should-retry", "false"}},
	jobs.CodeUnavailable:  {status: http.StatusServiceUnavailable, typ: typeServer, header: [2]string{"Retry-After", "5"}},
}

// envelope is OpenAI's error body: all four keys, always.
type envelope struct {
	Error struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	} `json:"error"`
}

// fail ends a request with an error: the one writer of error answers. An answer that has begun is cut off instead,
// so that nobody takes it for whole.
func (s *core) fail(c *gin.Context, err error) {
	c.Abort()
	e, sh := domain(err, requestID(c))
	if e.Code == codeInternal && c.Request.Context().Err() != nil {
		c.Writer.WriteHeader(statusGone) // the error is that its client left
		return
	}
	if sh.status >= http.StatusInternalServerError {
		s.log.Error("request failed", "request", requestID(c), "method", c.Request.Method, "route", c.FullPath(), "err", err)
	}
	if c.Writer.Written() {
		panic(http.ErrAbortHandler)
	}
	if sh.header[0] != "" {
		c.Header(sh.header[0], sh.header[1])
	}
	if s.asPage != nil && s.asPage(c, sh.status, e.Message) {
		return
	}
	send(c, sh.status, encodeError(e, sh))
}

// domain finds the error that the client is shown, and its shape.
func domain(err error, id string) (*jobs.Error, shape) {
	var e *jobs.Error
	if errors.As(err, &e) {
		if sh, ok := shapes[e.Code]; ok {
			return e, sh
		}
	}
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return jobs.Errorf(jobs.CodeTooLarge, "", "The request body is larger than %d bytes, the most that is accepted.", long.Limit), shapes[jobs.CodeTooLarge]
	}
	return jobs.Errorf(codeInternal, "", "The server had an error while processing your request. Try again; if it stays, tell the operator this request ID: %s.", id), shapes[codeInternal]
}

func encodeError(e *jobs.Error, sh shape) []byte {
	var v envelope
	v.Error.Message, v.Error.Type = clip(e.Message), sh.typ
	if e.Param != "" {
		param := clip(e.Param)
		v.Error.Param = &param
	}
	if !sh.hidden {
		code := string(e.Code)
		v.Error.Code = &code
	}
	return encode(v)
}

// clipBytes bounds an error's text: it may quote what the client sent.
const clipBytes = 1000

func clip(s string) string {
	if len(s) <= clipBytes {
		return s
	}
	s = s[:clipBytes]
	for len(s) > 0 && !utf8.RuneStart(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s[:len(s)-1] + "…"
}

// encode renders a value of this package's own shapes; they always encode.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("web: cannot encode: " + err.Error())
	}
	return b
}
