package callbacks

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// proxy is the operator's way out: it opens tunnels (CONNECT, RFC 9110, section 9.3.6) to receivers. Names are resolved
// and addresses judged here, so that the proxy opens no way that a dial of our own would not have, and learns no names.
// Its own address is the operator's, and is not judged.
type proxy struct {
	guard         *guard
	address       string // host:port
	authorization string // of the Proxy-Authorization header; empty for none
	secured       *tls.Config
	dialer        *net.Dialer
	resolver      *net.Resolver
	opened        atomic.Uint64 // tunnels so far
}

// CheckProxy says what is wrong with a proxy's URL: http:// or https://, a host and its port, before them a user and a
// password where the proxy wants them. The error never repeats the URL.
func CheckProxy(raw string) error {
	_, err := parseProxy(raw)
	return err
}

func parseProxy(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.Port() == "", port(u) == 0:
		return nil, errors.New("is not a proxy's URL: write http://host:port or http://user:password@host:port, " +
			"with % and two hex digits for what is no letter, digit or -._~ in them")
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return nil, errors.New("must end with its port: a proxy has no path")
	}
	return u, nil
}

// newProxy is nil where none is configured.
func newProxy(o ClientOptions, g *guard, roots *x509.CertPool) (*proxy, error) {
	if o.Proxy == "" {
		return nil, nil
	}
	u, err := parseProxy(o.Proxy)
	if err != nil {
		return nil, fmt.Errorf("callbacks.proxy %w", err)
	}
	p := &proxy{guard: g, address: u.Host, resolver: o.Resolver, dialer: &net.Dialer{Resolver: o.Resolver, KeepAlive: keepAlive}}
	if u.User != nil {
		password, _ := u.User.Password()
		p.authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))
	}
	if u.Scheme == "https" {
		p.secured = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: u.Hostname()}
	}
	if p.resolver == nil {
		p.resolver = net.DefaultResolver
	}
	return p, nil
}

// dial connects to a receiver through a tunnel. Its addresses are tried in turn, as long as it is they that fail.
func (p *proxy) dial(ctx context.Context, network, address string) (net.Conn, error) {
	targets, err := p.targets(ctx, address)
	if err != nil {
		return nil, err
	}
	var conn net.Conn
	for i, to := range targets {
		conn, err = p.try(ctx, network, to, len(targets)-i)
		var fault *proxyFault
		if err == nil || errors.As(err, &fault) || ctx.Err() != nil {
			break
		}
	}
	return conn, err
}

// targets are the addresses of a receiver that may be called: at least one, or the error says why there is none.
func (p *proxy) targets(ctx context.Context, address string) ([]netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, err
	}
	addrs, err := p.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	return p.allowed(addrs, uint16(port))
}

func (p *proxy) allowed(addrs []netip.Addr, port uint16) ([]netip.AddrPort, error) {
	var (
		allowed []netip.AddrPort
		why     error = &net.DNSError{Err: "no addresses", IsNotFound: true}
	)
	for i, addr := range addrs {
		to := netip.AddrPortFrom(addr.Unmap(), port)
		refused := p.guard.resolved(to)
		switch {
		case refused == nil:
			allowed = append(allowed, to)
		case i == 0:
			why = refused
		}
	}
	if len(allowed) == 0 {
		return nil, why
	}
	return allowed, nil
}

// leastShare is what one address of several is given at least, where that much is left: what net.Dialer gives.
const leastShare = 2 * time.Second

// try asks for a tunnel to one address, within its share of the time left. To a trace, connecting is all of that: the
// proxy's own name, address and handshake are not told.
func (p *proxy) try(ctx context.Context, network string, to netip.AddrPort, left int) (net.Conn, error) {
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.ConnectStart != nil {
		trace.ConnectStart(network, to.String())
	}
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(time.Until(deadline)/time.Duration(left), leastShare))
		defer cancel()
	}
	conn, err := p.tunnel(ctx, to)
	if trace != nil && trace.ConnectDone != nil {
		trace.ConnectDone(network, to.String(), err)
	}
	return conn, err
}

// reach connects to the proxy itself.
func (p *proxy) reach(ctx context.Context) (tunnelled, raw net.Conn, err error) {
	raw, err = p.dialer.DialContext(untold{ctx}, "tcp", p.address)
	if err != nil || p.secured == nil {
		return raw, raw, err
	}
	over := tls.Client(raw, p.secured)
	if err := over.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, nil, err
	}
	return over, raw, nil
}

// untold is a context without its values, and so without a trace.
type untold struct{ context.Context }

func (untold) Value(any) any { return nil }

// request asks for a tunnel.
func (p *proxy) request(to netip.AddrPort) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CONNECT %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\n", to, to, userAgent)
	if p.authorization != "" {
		fmt.Fprintf(&b, "Proxy-Authorization: %s\r\n", p.authorization)
	}
	return b.String() + "\r\n"
}
