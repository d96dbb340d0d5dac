package callbacks

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"time"
)

// ClientOptions say how a Client reaches receivers.
type ClientOptions struct {
	Rules    Rules
	CAFile   string        // PEM certificates trusted beside the system's; empty for none
	Proxy    string        // http(s)://[user:password@]host:port, see CheckProxy; empty for none
	Resolver *net.Resolver // nil for the system's
}

// Client makes every outbound call. It calls only what its Rules allow, judged at each call and again for the very
// address dialled, or asked of the configured proxy; it follows no redirect, knows no cookies and takes no proxy from the
// environment.
type Client struct {
	guard     *guard
	transport *http.Transport
	uses      *uses
	proxy     *proxy // nil for none
}

// NewClient makes a Client. It fails when the CA file cannot be read or holds no certificate, and when the proxy's URL is
// none.
func NewClient(o ClientOptions) (*Client, error) {
	roots, err := trusted(o.CAFile)
	if err != nil {
		return nil, err
	}
	g := newGuard(o.Rules)
	proxy, err := newProxy(o, g, roots)
	if err != nil {
		return nil, err
	}
	connect := (&net.Dialer{Control: g.control, Resolver: o.Resolver, KeepAlive: keepAlive}).DialContext
	if proxy != nil {
		connect = proxy.dial
	}
	return &Client{guard: g, transport: newTransport(connect, roots), uses: &uses{n: map[net.Conn]int{}}, proxy: proxy}, nil
}

// keepAlive is how often a connection that says nothing is asked whether it still stands.
const keepAlive = 15 * time.Second

// newTransport keeps connections for the next callback, since a handshake costs more than the POST. It sets no bound
// on the connections of a host: a caller that waited for one would spend its attempt's deadline on waiting.
func newTransport(connect dial, roots *x509.CertPool) *http.Transport {
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, NextProtos: []string{"h2", "http/1.1"}}
	return &http.Transport{
		Proxy:                  nil, // it would give names away unjudged; the environment's is nobody's decision
		DialContext:            dialUntil(connect),
		DialTLSContext:         dialUntil(dialTLS(connect, config)),
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
	ctx, end := c.uses.follow(ctx)
	ctx, blame := c.proxy.follow(ctx)
	resp, err := c.transport.RoundTrip(req.WithContext(ctx))
	end(err != nil)
	return resp, blame(err)
}

// Close closes the connections that nothing uses.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

type deadlineKey struct{}

type dial func(ctx context.Context, network, address string) (net.Conn, error)

// dialUntil ends a dial at its call's deadline. http.Transport detaches dials from the calls that begin them: they
// would go on for minutes, and a dialer that knows no deadline does not share the time out among several addresses.
func dialUntil(next dial) dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if deadline, ok := ctx.Value(deadlineKey{}).(time.Time); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline)
			defer cancel()
		}
		conn, err := next(ctx, network, address)
		if err == nil {
			note(ctx, conn)
		}
		return conn, err
	}
}

// dialTLS makes the handshake a part of the dial, so that a receiver that never shakes hands keeps its socket no longer
// than the call lasts. What it finds it tells the call's trace, as http.Transport would.
func dialTLS(connect dial, config *tls.Config) dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		plain, err := connect(ctx, network, address)
		if err != nil {
			return nil, err
		}
		config := config.Clone()
		config.ServerName, _, _ = net.SplitHostPort(address) // it was dialled: it is host and port
		conn := tls.Client(plain, config)
		if err := shakeHands(ctx, conn); err != nil {
			_ = plain.Close()
			return nil, err
		}
		return conn, nil
	}
}

func shakeHands(ctx context.Context, conn *tls.Conn) error {
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.TLSHandshakeStart != nil {
		trace.TLSHandshakeStart()
	}
	err := conn.HandshakeContext(ctx)
	if trace != nil && trace.TLSHandshakeDone != nil {
		trace.TLSHandshakeDone(conn.ConnectionState(), err)
	}
	return err
}
