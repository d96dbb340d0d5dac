package callbacks

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks/signature"
	"github.com/ringback/ringback/jobs"
)

const (
	testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	testBody   = `{"id":"evt_1","object":"event","type":"batch.completed"}`
)

// openRules let callbacks reach this machine over http, on every port.
func openRules() Rules {
	return Rules{
		AllowHTTP:  true,
		AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		AllowPorts: []PortRange{{1, 65535}},
	}
}

// poster makes a Poster over a real client.
func poster(t *testing.T, o ClientOptions) *Poster {
	t.Helper()
	c, err := NewClient(o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return NewPoster(PosterOptions{Client: c, Timeout: 5 * time.Second, Now: time.Now})
}

func openPoster(t *testing.T) *Poster {
	t.Helper()
	return poster(t, ClientOptions{Rules: openRules()})
}

// claim is a delivery to a URL, claimed for the first time.
func claim(url string) Claimed {
	d := Delivery{
		ProjectID: jobs.DefaultProject, ID: jobs.NewID("dlv_"), EventID: "evt_1", EventType: "batch.completed",
		JobID: "batch_1", URL: ShownURL(url), State: Sending,
	}
	d.Attempt, d.Claims = 1, 1
	return Claimed{Delivery: d, Body: []byte(testBody), Receiver: Receiver{URL: url, Method: "POST", Keys: signature.Keys{Secrets: []string{testSecret}}}}
}

// withoutSecret is a claim that nothing can sign.
func withoutSecret(c Claimed) Claimed {
	c.Receiver.Keys = signature.Keys{}
	return c
}

// postOnce makes the n-th attempt at a delivery.
func postOnce(ctx context.Context, p *Poster, c Claimed, n int) Result {
	c.Recorded = n - 1
	return p.Post(ctx, c)
}

// requireSigned holds a message to its signatures: made with the test's secret, within a minute of now.
func requireSigned(t *testing.T, m message, now time.Time) {
	t.Helper()
	require.NoError(t, signature.Verify(m.Header, m.Body, []string{testSecret}, now, time.Minute))
	require.Equal(t, signature.BodySignature(testSecret, m.Body), m.Header.Get("X-Ringback-Signature"))
}

func withTimeout(c Claimed, d time.Duration) Claimed {
	c.Receiver.Timeout = d
	return c
}

// message is what a receiver got.
type message struct {
	Method string
	Header http.Header
	Body   []byte
	Proto  string
	Host   string
}

// receiver is an HTTP server that keeps what it gets.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	got []message
}

// receive starts a receiver; nil answers 204.
func receive(t *testing.T, answer http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(r.keep(answer))
	t.Cleanup(r.Close)
	return r
}

// receiveAt starts a receiver at an address of its own.
func receiveAt(t *testing.T, addr string, answer http.HandlerFunc) *receiver {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	r := &receiver{}
	r.Server = &httptest.Server{Listener: l, Config: &http.Server{Handler: r.keep(answer)}}
	r.Start()
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) keep(answer http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.got = append(r.got, message{req.Method, req.Header.Clone(), body, req.Proto, req.Host})
		r.mu.Unlock()
		if answer == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		answer(w, req)
	})
}

func (r *receiver) messages() []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]message(nil), r.got...)
}

// rawServer hands each connection to serve and counts them.
type rawServer struct {
	url   string
	addr  netip.AddrPort
	mu    sync.Mutex
	conns []net.Conn
}

func listenRaw(t *testing.T, serve func(c *net.TCPConn, r *bufio.Reader)) *rawServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &rawServer{url: "http://" + l.Addr().String() + "/hook", addr: netip.MustParseAddrPort(l.Addr().String())}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			all.Go(func() {
				defer c.Close()
				serve(c.(*net.TCPConn), bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.mu.Lock()
		for _, c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		all.Wait()
	})
	return s
}

func (s *rawServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// readRequest reads one whole request and tells whether there was one.
func readRequest(r *bufio.Reader) bool {
	req, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err == nil
}

// answers reads a request and writes the text.
func answers(text string) func(c *net.TCPConn, r *bufio.Reader) {
	return func(c *net.TCPConn, r *bufio.Reader) {
		if readRequest(r) {
			_, _ = io.Copy(c, strings.NewReader(text))
		}
	}
}

// hang waits until the peer or the test closes the connection.
func hang(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) }
