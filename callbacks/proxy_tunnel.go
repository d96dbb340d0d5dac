package callbacks

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// maxProxyHeader bounds what is read of a proxy's answer.
const maxProxyHeader = 64 << 10

// proxyFault is a failure of the proxy that says nothing about the receiver.
type proxyFault struct{ err error }

func (f *proxyFault) Error() string { return "callbacks: the proxy: " + f.err.Error() }
func (f *proxyFault) Unwrap() error { return f.err }

// unreachable is a proxy's word that it could not connect to the receiver.
type unreachable struct{ status int }

func (u *unreachable) Error() string {
	return fmt.Sprintf("callbacks: the proxy could not reach the receiver: %d", u.status)
}

// tunnel asks the proxy for a connection to an address.
func (p *proxy) tunnel(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	w := waiting(ctx)
	w.enter(stageReaching, 0)
	conn, raw, err := p.reach(ctx)
	if err != nil {
		return nil, &proxyFault{err}
	}
	w.enter(stageAsking, p.opened.Load())
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	opened, err := p.ask(conn, raw, to)
	switch {
	case !stop():
		err = ctx.Err() // whatever the closed connection said
	case err == nil:
		p.opened.Add(1)
		w.enter(stageAnswered, 0)
		return opened, nil
	}
	_ = raw.Close()
	if _, ok := errors.AsType[*unreachable](err); ok {
		w.enter(stageAnswered, 0)
	}
	return nil, err
}

// ask sends the CONNECT and reads the answer. 502, 503 and 504 are how proxies say that the receiver did not let itself
// be connected to, though some say so of themselves: both look the same from here. Taken for the proxy's fault, a dead
// receiver would be called every minute for ever, and never shut its gate; so it is the receiver's.
func (p *proxy) ask(conn, raw net.Conn, to netip.AddrPort) (net.Conn, error) {
	if _, err := io.WriteString(conn, p.request(to)); err != nil {
		return nil, &proxyFault{err}
	}
	r := bufio.NewReader(io.LimitReader(conn, maxProxyHeader))
	status, err := readStatus(r)
	switch {
	case err != nil:
		return nil, &proxyFault{err}
	case status/100 == 2:
		early, _ := r.Peek(r.Buffered())
		return &tunnelled{Conn: conn, raw: raw, r: io.MultiReader(bytes.NewReader(early), conn)}, nil
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		return nil, &unreachable{status}
	}
	return nil, &proxyFault{fmt.Errorf("answered %d", status)}
}

// readStatus reads an answer's header, and those of the interim answers before it.
func readStatus(r *bufio.Reader) (int, error) {
	for {
		resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect}) //nolint:bodyclose // what follows is the tunnel
		if err != nil {
			return 0, err
		}
		if resp.StatusCode/100 != 1 {
			return resp.StatusCode, nil
		}
	}
}

// tunnelled is a connection through the proxy. What the receiver said before it was asked is not lost, and closing waits
// for no farewell between us and the proxy.
type tunnelled struct {
	net.Conn
	raw net.Conn
	r   io.Reader
}

func (t *tunnelled) Read(b []byte) (int, error) { return t.r.Read(b) }
func (t *tunnelled) Close() error               { return t.raw.Close() }

// stage is what a call waits for the proxy to do.
type stage int

const (
	stageAnswered stage = iota // nothing (any more)
	stageReaching              // to be connected to
	stageAsking                // to answer
)

// wait is how far a call has come with the proxy. http.Transport tells a call whose deadline has passed no more than
// that, not what its dial was waiting for.
type wait struct {
	mu     sync.Mutex
	stage  stage
	opened uint64 // tunnels that the proxy had opened when it was asked
	lives  bool   // it has answered this call
}

type waitKey struct{}

// waiting is the wait of the call that a dial began for.
func waiting(ctx context.Context) *wait {
	if w, ok := ctx.Value(waitKey{}).(*wait); ok {
		return w
	}
	return &wait{}
}

func (w *wait) enter(s stage, opened uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stage, w.opened = s, opened
	w.lives = w.lives || s == stageAnswered
}

// follow gives a context that knows its call, and what to say of the call's error.
func (p *proxy) follow(ctx context.Context) (context.Context, func(error) error) {
	if p == nil {
		return ctx, func(err error) error { return err }
	}
	w := &wait{}
	return context.WithValue(ctx, waitKey{}, w), func(err error) error {
		if errors.Is(err, context.DeadlineExceeded) && p.silent(w) {
			return &proxyFault{err}
		}
		return err
	}
}

// silent tells whether a call that ran out of time waited for the proxy. One that was asked may be waiting for the
// receiver itself: it does when it has opened a tunnel for others since, or answered this call for another address.
func (p *proxy) silent(w *wait) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stage == stageReaching || w.stage == stageAsking && !w.lives && w.opened == p.opened.Load()
}
