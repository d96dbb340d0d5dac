package store

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// wire is a TCP connection to a server that somebody cuts.
type wire struct {
	listener net.Listener
	to       string
	conns    atomic.Int64
	down     atomic.Int64 // bytes of the server's that a new connection lets through; negative means all
	up       atomic.Int64 // the same of the client's
	group    sync.WaitGroup
}

// throughWire leads the requests of these options over a wire.
func throughWire(t *testing.T, o *S3Options) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{listener: listener, to: strings.TrimPrefix(o.Endpoint, "http://")}
	w.down.Store(-1)
	w.up.Store(-1)
	w.group.Go(w.serve)
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		w.group.Wait()
	})
	o.Endpoint = "http://" + listener.Addr().String()
	return w
}

func (w *wire) serve() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.conns.Add(1)
		w.group.Go(func() { w.carry(client) })
	}
}

func (w *wire) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer server.Close()
	var both sync.WaitGroup
	pass := func(to, from net.Conn, most int64) {
		var r io.Reader = from
		if most >= 0 {
			r = io.LimitReader(from, most)
		}
		_, _ = io.Copy(to, r)
		_ = client.Close()
		_ = server.Close()
	}
	both.Go(func() { pass(client, server, w.down.Load()) })
	both.Go(func() { pass(server, client, w.up.Load()) })
	both.Wait()
}

// fault is what a proxy does to a request: nil passes it on.
type fault func(http.ResponseWriter, *http.Request)

// busy is the answer of a server that has too much to do.
func busy(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, `<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`)
}

// lose passes a request on and loses the answer.
func lose(to http.Handler) fault {
	return func(w http.ResponseWriter, r *http.Request) {
		to.ServeHTTP(httptest.NewRecorder(), r)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}
}

// throughProxy leads the requests of these options over a proxy; choose says what happens to each. It is told how to pass
// a request on.
func throughProxy(t *testing.T, o *S3Options, choose func(pass http.Handler, r *http.Request) fault) {
	t.Helper()
	target, err := url.Parse(o.Endpoint)
	require.NoError(t, err)
	transport := &http.Transport{DisableCompression: true}
	pass := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is part of the signature
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := choose(pass, r); f != nil {
			f(w, r)
			return
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
	})
	o.Endpoint = server.URL
}
