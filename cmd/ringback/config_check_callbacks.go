package main

import (
	"crypto/x509"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/callbacks/signature"
)

// longestTimeout bounds one attempt of a callback, so that slow receivers do
// not hold the senders.
const longestTimeout = 30 * time.Second

func (l *configLoader) checkCallbacks(c CallbacksConfig) {
	l.require(len(c.Schedule) > 0, "callbacks.schedule", "is empty: no callback would ever be sent; write [0s] for a single attempt")
	for i, wait := range c.Schedule {
		l.require(wait >= 0, "callbacks.schedule["+strconv.Itoa(i)+"]", "is below zero")
	}
	l.require(c.Timeout > 0 && c.Timeout <= longestTimeout, "callbacks.timeout", "is %s: it must be above 0s and at most 30s", shortDuration(c.Timeout))
	l.checkSignatureHeader(c.BodySignatureHeader)
	if c.SigningSecret != "" {
		l.require(signature.CheckSecret(c.SigningSecret.Reveal()) == nil, "callbacks.signing_secret", "is not whsec_ and the base64 of 24 to 64 bytes")
	}
	if c.CAFile != "" {
		l.checkCAFile(c.CAFile)
	}
	if c.Proxy != "" {
		err := callbacks.CheckProxy(c.Proxy.Reveal())
		l.require(err == nil, "callbacks.proxy", "%v", err)
	}
}

func (l *configLoader) checkSignatureHeader(name string) {
	const key = "callbacks.body_signature_header"
	l.require(isHeaderName(name), key, "%q is not a header name", name)
	lower := strings.ToLower(name)
	switch lower {
	case "host", "content-length", "content-type", "transfer-encoding", "connection", "user-agent":
		l.require(false, key, "%s has a meaning of its own: choose another name", name)
	}
	l.require(!strings.HasPrefix(lower, "webhook-"), key, "names that begin with webhook- belong to Standard Webhooks: choose another name")
}

// isHeaderName follows RFC 9110, section 5.6.2: a token.
func isHeaderName(name string) bool {
	const token = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	return name != "" && strings.Trim(name, token) == ""
}

func (l *configLoader) checkCAFile(path string) {
	text, err := os.ReadFile(path)
	l.require(err == nil, "callbacks.ca_file", "cannot be read: %v", err)
	l.require(x509.NewCertPool().AppendCertsFromPEM(text), "callbacks.ca_file", "%s holds no certificate in PEM form", path)
}
