package callbacks

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
)

// Class is what went wrong with an attempt, in one word. Tenants see it, so it tells nothing about the network: no
// address, and of a resolver or a proxy no more than that it failed.
type Class string

// The classes of failed attempts.
const (
	ClassDNS         Class = "dns_error"
	ClassConnect     Class = "connect_error"
	ClassTLS         Class = "tls_error"
	ClassTimeout     Class = "timeout"
	ClassReset       Class = "reset"           // the connection ended before an answer came
	ClassInvalid     Class = "invalid_answer"  // what came is no HTTP answer, or one that the request did not ask for
	ClassRedirect    Class = "redirect"        // answered with a 3xx, which is never followed
	ClassBlocked     Class = "blocked_address" // the address is not one that callbacks may reach
	ClassSelf        Class = "self_address"    // the callback points at Ringback itself
	ClassClosed      Class = "not_allowed"     // the scheme, port or form of the URL is not allowed (any more)
	ClassSecret      Class = "invalid_secret"  // nothing to sign with
	ClassUnreadable  Class = "unreadable"      // what a POST needs cannot be read; nothing was sent
	ClassClaims      Class = "claimed_too_often"
	ClassInternal    Class = "internal_error"
	ClassLocal       Class = "local_error" // this machine had no file, buffer or memory to dial with; the receiver was not called
	ClassProxy       Class = "proxy_error" // the operator's proxy opened no tunnel, by a fault of its own; the receiver was not called
	ClassInterrupted Class = "interrupted" // Ringback ended while the attempt was under way
)

// classify names an error of the client by what it is and, where errors look alike, by how far the attempt had come.
func classify(err error, at progress) Class {
	var (
		refused *refusal
		fault   *proxyFault
		dns     *net.DNSError
		network *net.OpError
	)
	switch {
	case errors.As(err, &refused):
		return refused.class
	case at.dialling() && isShortage(err):
		return ClassLocal
	case at.dialling() && errors.As(err, &fault):
		return ClassProxy
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

// isShortage tells whether a dial failed because this machine ran out of something, which is no fault of the receiver.
// The resolver keeps only the text of such an error.
func isShortage(err error) bool {
	var dns *net.DNSError
	for _, lack := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, lack) || errors.As(err, &dns) && strings.HasSuffix(dns.Err, lack.Error()) {
			return true
		}
	}
	return false
}

// isAlert finds the alerts of TLS, which name themselves by the operation. They may come after the handshake: in TLS 1.3
// those about the client do.
func isAlert(err *net.OpError) bool {
	return err != nil && (err.Op == "remote error" || err.Op == "local error")
}
