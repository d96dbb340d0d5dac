package callbacks

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// drip writes a text again and again, slowly, until the connection is gone. Slowness is the fault itself.
func drip(c *net.TCPConn, head, text string) {
	_, err := io.WriteString(c, head)
	for err == nil {
		time.Sleep(20 * time.Millisecond)
		_, err = io.WriteString(c, text)
	}
}

// dripping reads a request and drips its answer.
func dripping(head, text string) func(c *net.TCPConn, r *bufio.Reader) {
	return func(c *net.TCPConn, r *bufio.Reader) { readRequest(r); drip(c, head, text) }
}

// R1: whatever a receiver does, the whole attempt ends at its one deadline, its rule tells how far it came, and nothing
// is left behind: not even a connection. A status that came decides.
func TestEveryAttemptEndsAtItsDeadline(t *testing.T) {
	t.Parallel()
	const budget = 300 * time.Millisecond
	silent := func(c *net.TCPConn, _ *bufio.Reader) { hang(c) }
	for row, c := range map[string]struct {
		serve  func(c *net.TCPConn, r *bufio.Reader)
		scheme string
		body   int
		code   int
		rule   string
	}{
		"never answers":             {silent, "http", 0, 0, "timeout (answer)"},
		"reads, then never answers": {func(c *net.TCPConn, r *bufio.Reader) { readRequest(r); hang(c) }, "http", 0, 0, "timeout (answer)"},
		"never reads":               {nil, "http", 16 << 20, 0, "timeout (request)"},
		"never shakes hands":        {silent, "https", 0, 0, "timeout (tls)"},
		"trickles the handshake": {func(c *net.TCPConn, _ *bufio.Reader) {
			drip(c, "\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", "x")
		}, "https", 0, 0, "timeout (tls)"},
		"trickles the status line":       {dripping("HTTP/1.1 200 ", "x"), "http", 0, 0, "timeout (answer)"},
		"trickles headers":               {dripping("HTTP/1.1 200 OK\r\nX: ", "x"), "http", 0, 0, "timeout (answer)"},
		"trickles 1xx answers":           {dripping("", "HTTP/1.1 103 Early Hints\r\n\r\n"), "http", 0, 0, "timeout (answer)"},
		"headers, then a byte at a time": {dripping("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", "x"), "http", 0, 200, "delivered: 200"},
		"headers, then nothing": {func(c *net.TCPConn, r *bufio.Reader) {
			readRequest(r)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
			hang(c)
		}, "http", 0, 200, "delivered: 200"},
		"endless chunks, slow, of a 503": {dripping("HTTP/1.1 503 no\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"), "http", 0, 503, "503"},
		"endless gzip, slow": {dripping("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
			"1\r\n\x00\r\n"), "http", 0, 200, "delivered: 200"},
	} {
		t.Run("R1 "+row, func(t *testing.T) {
			t.Parallel()
			ended := make(chan struct{}, 1)
			s := listenRaw(t, func(conn *net.TCPConn, r *bufio.Reader) {
				if c.serve == nil {
					<-t.Context().Done() // deaf
					return
				}
				c.serve(conn, r)
				ended <- struct{}{}
			})
			d := withTimeout(claim(strings.Replace(s.url, "http", c.scheme, 1)), budget)
			if c.body > 0 {
				d.Body = make([]byte, c.body)
			}
			start := time.Now()
			got := postOnce(t.Context(), openPoster(t), d, 1)
			took := time.Since(start)
			require.Less(t, took, budget+4*time.Second, "longer than a busy machine takes, and less than any limit but the deadline")
			require.Contains(t, steady().Decide(got, 1, time.Now()).Rule, c.rule)
			require.Equal(t, c.code, got.StatusCode)
			require.GreaterOrEqual(t, got.DurationMS, (budget - 10*time.Millisecond).Milliseconds())
			if c.serve == nil {
				return // the deaf do not notice the end either
			}
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Fatal("the connection outlives its attempt")
			}
		})
	}
}

// R1: endless chunks at full speed are read no further than what is kept: long before the deadline.
func TestEndlessChunksAreCutOff(t *testing.T) {
	t.Parallel()
	s := listenRaw(t, pour("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "4000\r\n"+strings.Repeat("x", 0x4000)+"\r\n", 1<<30))
	got := post(t, openPoster(t), s.url)
	require.Equal(t, 200, got.StatusCode)
	require.Len(t, got.Snippet, maxSnippet)
	require.True(t, got.Truncated)
	require.Less(t, got.DurationMS, int64(5000))
}

// R1: of a name server and of TLS the phase is told too.
func TestPhaseIsTold(t *testing.T) {
	t.Parallel()
	dns := resolver(t, func(string) ([]string, dnsmessage.RCode) { return nil, silent })
	p := poster(t, ClientOptions{Rules: openRules(), Resolver: dns})
	got := postOnce(t.Context(), p, withTimeout(claim("http://receiver.test/"), 200*time.Millisecond), 1)
	require.Equal(t, ClassDNS, got.ErrorClass)
	require.Equal(t, phaseDNS, got.phase)
}

// R1: a handshake goes by the attempt's deadline, the longest of which is longer than http.Transport's own limit.
func TestSlowHandshakeIsGivenItsTime(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "receiver.test", time.Now().Add(time.Hour))}}
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		time.Sleep(200 * time.Millisecond) // slowness is the subject
		return nil, nil
	}
	r := receiveTLS(t, config, false)
	dns := resolver(t, names(map[string][]string{"receiver.test": {"127.0.0.1"}}))
	p := poster(t, ClientOptions{Rules: openRules(), Resolver: dns, CAFile: ca.file})
	require.Equal(t, 204, post(t, p, "https://receiver.test"+r.URL[strings.LastIndex(r.URL, ":"):]).StatusCode)
}
