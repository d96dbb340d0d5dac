package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// advice says what is wrong with a receiver's answer and what to do; "" where
// the callback was delivered.
func advice(r forwarded) string {
	switch {
	case r.Err != nil:
		return errorAdvice(r.Err)
	case r.delivered():
		return ""
	case r.Status/100 == 3:
		return redirectAdvice(r.Location)
	case r.Status >= 500:
		return "your program failed: look in its log"
	}
	return refusalAdvice(r.Status)
}

func refusalAdvice(status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "your program refused the signature: does it have this secret? `ringback verify` shows what is wrong"
	case http.StatusBadRequest:
		return "your program could not use it: it may verify with another secret, or over a body that it parsed and wrote anew; `ringback verify` shows which"
	case http.StatusNotFound:
		return "your program has nothing at this path: check the URL"
	case http.StatusMethodNotAllowed:
		return "your program does not take a POST at this path: check the URL and its route"
	case http.StatusGone:
		return "your program wants no more callbacks: Ringback would end the delivery and disable a registered endpoint"
	case http.StatusRequestEntityTooLarge:
		return "your program's limit on a body is too small: callbacks are up to 256 KiB"
	case http.StatusUnsupportedMediaType:
		return "your program does not take application/json at this path"
	case http.StatusTooManyRequests:
		return "your program limits its rate: Ringback would try again later"
	}
	return "your program refused it: only a 2xx counts as delivered"
}

func redirectAdvice(location string) string {
	if location == "" {
		return "a redirect is never followed: answer 2xx at the URL itself"
	}
	return fmt.Sprintf("a redirect is never followed: name %s itself, or answer 2xx", location)
}

// errorAdvice is for where no answer came.
func errorAdvice(err error) string {
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err
	}
	var timeout net.Error
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.Canceled):
		return "stopped"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time: answer 2xx first, work afterwards"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: start your program, or check the port"
	case errors.As(err, &certificate):
		return "its certificate is not trusted here: use http, or name its CA in SSL_CERT_FILE"
	case errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS: use http:// in the URL"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "your program closed the connection without an answer: look in its log"
	}
	return err.Error()
}
