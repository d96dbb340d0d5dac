package jobs

import (
	"errors"
	"fmt"
)

// Code is what went wrong, in one word that programs may compare. Where OpenAI has a code, it is OpenAI's.
type Code string

// The codes of domain errors. Package web maps each to a status and an envelope.
const (
	CodeMissing      Code = "missing_required_parameter"
	CodeType         Code = "invalid_type"
	CodeValue        Code = "invalid_value"
	CodeUnsupported  Code = "unsupported_parameter"
	CodeInvalid      Code = "invalid_request" // shown with code null, as OpenAI does
	CodeNotFound     Code = "not_found"
	CodeModel        Code = "model_not_found"
	CodePrevious     Code = "previous_response_not_found"
	CodeContext      Code = "context_length_exceeded"
	CodeConflict     Code = "conflict" // a settled state: sending it again changes nothing
	CodeInFlight     Code = "idempotency_key_in_flight"
	CodeCompleting   Code = "upload_in_flight"
	CodeKeyReused    Code = "idempotency_key_reused"
	CodeTooLarge     Code = "request_too_large"
	CodeExpired      Code = "expired"     // it was there, and is kept no longer
	CodeUnavailable  Code = "unavailable" // could not be kept now; may work later
	CodeUnauthorized Code = "invalid_api_key"
	CodeForbidden    Code = "forbidden"
)

// Error is a domain error: a code, a sentence for the client, the parameter it is about, and the cause for the log.
type Error struct {
	Code    Code
	Message string
	Param   string
	Err     error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes a domain error about a parameter (empty for none).
func Errorf(code Code, param, format string, args ...any) *Error {
	return &Error{Code: code, Param: param, Message: fmt.Sprintf(format, args...)}
}

// NotFound is the error of an ID that names nothing in the project.
func NotFound(format string, args ...any) *Error { return Errorf(CodeNotFound, "id", format, args...) }

// ErrStale is the answer to a move whose fence no longer holds: another process, or the client, was first.
var ErrStale = errors.New("jobs: the row has moved on")

// ErrUnknown is in the chain of an error that leaves open whether a write stands: the database went away under its commit.
// Making the write again is safe; undoing what it may have named is not.
var ErrUnknown = errors.New("jobs: whether the write stands is not known")

// IsCode tells whether err is a domain error with this code.
func IsCode(err error, code Code) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}
