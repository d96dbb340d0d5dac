package callbacks

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptrace"
	"slices"
	"sync"
)

// uses count the calls under way on each connection. Over HTTP/1 a call that fails takes its connection along. Over
// HTTP/2 http.Transport keeps it: a peer that hangs or floods would get the next call too, and go on in between.
type uses struct {
	mu sync.Mutex
	n  map[net.Conn]int
}

// dialled are the connections that were made for one call. Not each of them serves it: one that an HTTP/2 peer allows no
// stream on is put aside, and http.Transport never closes it.
type dialled struct {
	mu    sync.Mutex
	conns []net.Conn
}

type dialledKey struct{}

// note keeps a connection that was made for the call of ctx.
func note(ctx context.Context, conn net.Conn) {
	if d, ok := ctx.Value(dialledKey{}).(*dialled); ok {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.conns = append(d.conns, conn)
	}
}

func (d *dialled) all() []net.Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.conns)
}

// follow gives a context that notes which connections a call makes and gets, and what the call does at its end: when it
// has failed, those on which no other call is under way are closed. While others are, the last of them tells.
func (u *uses) follow(ctx context.Context) (context.Context, func(failed bool)) {
	var conn net.Conn // http.Transport calls GotConn and returns in turn
	made := &dialled{}
	ctx = context.WithValue(ctx, dialledKey{}, made)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		u.leave(conn)
		conn = got.Conn
		u.enter(conn)
	}})
	return ctx, func(failed bool) {
		if u.leave(conn) && failed {
			drop(conn)
		}
		for _, c := range made.all() {
			if failed && u.free(c) {
				drop(c)
			}
		}
	}
}

func (u *uses) free(conn net.Conn) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.n[conn] == 0
}

func (u *uses) enter(conn net.Conn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.n[conn]++
}

// leave tells whether the connection is nobody's now.
func (u *uses) leave(conn net.Conn) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if conn == nil {
		return false
	}
	u.n[conn]--
	if u.n[conn] > 0 {
		return false
	}
	delete(u.n, conn)
	return true
}

// drop closes without TLS's farewell, for which a peer that reads nothing would be waited for.
func drop(conn net.Conn) {
	if over, ok := conn.(*tls.Conn); ok {
		conn = over.NetConn()
	}
	_ = conn.Close()
}
