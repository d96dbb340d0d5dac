package callbacks

import (
	"context"
	"errors"
	"io"
	"net"
)

// Class is what went wrong with an attempt, in one word. Tenants see it, so it tells nothing about the network: no
// address, no resolver, no proxy.
type Class string

// The classes of failed attempts.
const (
	ClassDNS        Class = "dns_error"
	ClassConnect    Class = "connect_error"
	ClassTLS        Class = "tls_error"
	ClassTimeout    Class = "timeout"
	ClassReset      Class = "reset"           // the connection ended before an answer came
	ClassInvalid    Class = "invalid_answer"  // what came is no HTTP answer, or one that the request did not ask for
	ClassRedirect   Class = "redirect"        // answered with a 3xx, which is never followed
	ClassBlocked    Class = "blocked_address" // the address is not one that callbacks may reach
	ClassSelf       Class = "self_address"    // the callback points at Ringback itself
	ClassClosed     Class = "not_allowed"     // the scheme, port or form of the URL is not allowed (any more)
	ClassSecret     Class = "invalid_secret"  // nothing to sign with
	ClassUnreadable Class = "unreadable"      // what a POST needs cannot be read; nothing was sent
	ClassClaims     Class = "claimed_too_often"
	ClassInternal   Class = "internal_error"
)

// classify names an error of the client by what it is and, where errors look alike, by how far the attempt had come.
func classify(err error, at progress) Class {
	var (
		refused *refusal
		dns     *net.DNSError
		network *net.OpError
	)
	switch {
	case errors.As(err, &refused):
		return refused.class
	case errors.As(err, &dns), at.phase == phaseDNS:
		return ClassDNS
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return ClassTimeout
	case at.phase == phaseTLS, isAlert(network):
		return ClassTLS
	case at.phase == phaseConnect:
		return ClassConnect
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), network != nil:
		return ClassReset
	case at.answered:
		return ClassInvalid
	}
	return ClassReset
}

// isAlert finds the alerts of TLS, which name themselves by the operation. They may come after the handshake: in TLS 1.3
// those about the client do.
func isAlert(err *net.OpError) bool {
	return err != nil && (err.Op == "remote error" || err.Op == "local error")
}
