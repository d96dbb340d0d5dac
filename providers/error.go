package providers

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"
)

// Kind says what went wrong with a call.
type Kind string

// The kinds, with the rule that leads to each. "Again" means that [Error.Retry]
// is set, unless the upstream's x-should-retry header says otherwise.
const (
	RateLimited    Kind = "rate_limited"     // 429; again
	QuotaExceeded  Kind = "quota_exceeded"   // 402, or 429 with code insufficient_quota
	Overloaded     Kind = "overloaded"       // 5xx; again
	Timeout        Kind = "timeout"          // no answer within the timeout, or 408; again
	Connection     Kind = "connection"       // refused, reset or cut in mid-answer; again
	InvalidAnswer  Kind = "invalid_answer"   // 2xx without a JSON object, or with an error in it; again
	AnswerTooLarge Kind = "answer_too_large" // 2xx over the size limit
	Rejected       Kind = "rejected"         // 3xx and other 4xx; 409 and 425 again
	Unauthorized   Kind = "unauthorized"     // 401, 403
	NoProvider     Kind = "no_provider"      // no pattern matches the model
	Canceled       Kind = "canceled"         // the caller's context ended
)

// Error is a call that gave no answer. All errors of a call have this type.
type Error struct {
	Kind  Kind
	Retry bool // whether the same call may succeed later
	// After is how long the upstream asked to wait before the next call, from
	// its Retry-After: 0 where it said nothing, at most an hour.
	After  time.Duration
	Status int // the upstream's HTTP status; 0 where there was none
	// Answer is the upstream's own answer, to be recorded verbatim. It is nil
	// where there was none, where it was not JSON, and where it could show the
	// operator's credentials: on every 401, and when it repeats a configured key.
	Answer *Answer
	// Message is a sentence for the client: what happened and what to do, without
	// addresses or anything that the upstream wrote freely.
	Message string
	// Err is the cause, for the log only: it may hold addresses.
	Err error
}

// Error returns the sentence for the client; the cause is left to the log.
func (e *Error) Error() string { return string(e.Kind) + ": " + e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Unreached tells that no connection came about: whatever was to be sent, it was
// not to blame.
func (e *Error) Unreached() bool {
	var dial *net.OpError
	var certificate *tls.CertificateVerificationError
	return errors.As(e.Err, &dial) && dial.Op == "dial" || errors.As(e.Err, &certificate)
}

// LogValue adds the cause to what a client sees.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", string(e.Kind)), slog.Int("status", e.Status), slog.String("message", e.Message)}
	if e.After > 0 {
		attrs = append(attrs, slog.Duration("after", e.After))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("cause", e.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

// AsError returns the *Error in err's chain, or nil where there is none: the
// form in which [Slot.Release] and [Provider.Retry] take it.
func AsError(err error) *Error {
	var e *Error
	errors.As(err, &e)
	return e
}
