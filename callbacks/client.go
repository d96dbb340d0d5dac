package callbacks

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// ClientOptions say how a Client reaches receivers.
type ClientOptions struct {
	Rules    Rules
	CAFile   string        // PEM certificates trusted beside the system's; empty for none
	Resolver *net.Resolver // nil for the system's
}

// Client makes every outbound call. It calls only what its Rules allow, judged at each call and again for the very
// address dialled; it follows no redirect, knows no cookies and takes no proxy from the environment.
type Client struct {
	guard     *guard
	transport *http.Transport
}

// NewClient makes a Client. It fails when the CA file cannot be read or holds no certificate.
func NewClient(o ClientOptions) (*Client, error) {
	roots, err := trusted(o.CAFile)
	if err != nil {
		return nil, err
	}
	g := newGuard(o.Rules)
	dialer := &net.Dialer{Control: g.control, Resolver: o.Resolver, KeepAlive: 15 * time.Second}
	return &Client{guard: g, transport: newTransport(dialer, roots)}, nil
}

// newTransport keeps connections for the next callback, since a handshake costs more than the POST. It sets no bound
// on the connections of a host: a caller that waited for one would spend its attempt's deadline on waiting.
func newTransport(dialer *net.Dialer, roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		Proxy:                  nil, // a proxy would choose the address; the environment's is nobody's decision
		DialContext:            dialUntil(dialer),
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:    maxTimeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // asks for no gzip; one that comes all the same is unpacked within bounds
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns:           1024,
		MaxIdleConnsPerHost:    128,
		IdleConnTimeout:        30 * time.Second,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 5 * time.Second},
	}
}

// trusted is the system's certificate authorities and those of a file; nil, the system's, without one.
func trusted(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("callbacks.ca_file cannot be read: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("callbacks.ca_file %s holds no PEM certificate", file)
	}
	return pool, nil
}

// Do makes one call under ctx and its deadline. The answer's body is the caller's to close.
func (c *Client) Do(ctx context.Context, req *http.Request) (*http.Response, error) {
	if _, refused := c.guard.url(req.URL.String()); refused != nil {
		return nil, refused
	}
	if deadline, ok := ctx.Deadline(); ok {
		ctx = context.WithValue(ctx, deadlineKey{}, deadline)
	}
	return c.transport.RoundTrip(req.WithContext(ctx))
}

// Close closes the connections that nothing uses.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

type deadlineKey struct{}

// dialUntil ends a dial at its call's deadline. http.Transport detaches dials from the calls that begin them: they
// would go on for minutes, and a dialer that knows no deadline does not share the time out among several addresses.
func dialUntil(dialer *net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if deadline, ok := ctx.Value(deadlineKey{}).(time.Time); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline)
			defer cancel()
		}
		return dialer.DialContext(ctx, network, address)
	}
}
