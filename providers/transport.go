package providers

import (
	"net"
	"net/http"
	"time"
)

// newTransport makes a provider's own connections. It is used through RoundTrip,
// so redirects are never followed and no cookie is kept. Answers are asked for
// uncompressed: the size limit then counts the bytes that are read, and nothing
// is spent on unpacking.
func newTransport(c Config) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		// Providers are the operator's own choice, and so is a proxy on the way.
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		// A ping finds a dead HTTP/2 connection within 45 s, long before a call's timeout.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
		// The concurrency is for each model and several models share a host.
		MaxIdleConnsPerHost:    max(4*c.Concurrency, 64),
		IdleConnTimeout:        90 * time.Second,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 1 << 20,
		ReadBufferSize:         16 << 10,
		WriteBufferSize:        16 << 10,
	}
}
