package callbacks

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPostSendsTheContract(t *testing.T) {
	t.Parallel()
	r := receive(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "thanks") })
	c := claim(r.URL + "/hook?x=1")
	c.Receiver.Method = "PUT"
	c.Receiver.Headers = map[string]string{"X-Custom-Token": "t0ken", "Content-Type": "application/cloudevents+json"}
	got := postOnce(t.Context(), openPoster(t), c, 3)

	require.Equal(t, 200, got.StatusCode)
	require.Empty(t, got.ErrorClass)
	require.Equal(t, "thanks", string(got.Snippet))
	require.False(t, got.Truncated)
	require.Equal(t, 3, got.Number)
	require.Equal(t, c.ID, got.DeliveryID)
	require.True(t, strings.HasPrefix(got.ID, "att_"))
	require.InDelta(t, time.Now().UnixMilli(), int64(got.StartedAt), 5000)
	var timed map[string]int64
	require.NoError(t, json.Unmarshal(got.Timings, &timed))
	require.Contains(t, timed, "connect")
	require.Contains(t, timed, "first_byte")

	m := r.messages()[0]
	require.Equal(t, "PUT", m.Method)
	require.Equal(t, testBody, string(m.Body))
	require.Equal(t, "t0ken", m.Header.Get("X-Custom-Token"))
	require.Equal(t, "application/cloudevents+json", m.Header.Get("Content-Type"))
	require.Equal(t, "Ringback/1.0", m.Header.Get("User-Agent"))
	require.Equal(t, "evt_1", m.Header.Get("webhook-id"))
	require.Equal(t, "3", m.Header.Get("X-Ringback-Attempt"))
	requireSigned(t, m, time.Now())
	require.Equal(t, strconv.Itoa(len(testBody)), m.Header.Get("Content-Length"))
	require.Empty(t, m.Header.Get("Accept-Encoding"))
}

// S8: reserved headers that got into a row all the same do not reach the receiver.
func TestReservedHeadersWinAtSend(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	c := claim(r.URL)
	c.Receiver.Headers = map[string]string{
		"Webhook-Signature": "v1,forged", "webhook-id": "evt_forged", "WEBHOOK-EXTRA": "x", "User-Agent": "forged",
		"x-ringback-signature": "forged", "Host": "forged.test", "Content-Length": "1", "Transfer-Encoding": "chunked",
		"Connection": "close", "X-Ringback-Attempt": "99", "X-Fine": "yes", "X-Evil": "a\r\nX-Forged: 1", "X-Nul": "forged\x00",
		"X-Evil\r\nX-Forged": "1", "X Forged": "1", "": "forged",
	}
	require.Equal(t, 204, postOnce(t.Context(), openPoster(t), c, 1).StatusCode)
	m := r.messages()[0]
	require.Equal(t, "yes", m.Header.Get("X-Fine"))
	requireSigned(t, m, time.Now())
	require.NotContains(t, m.Host, "forged")
	require.Empty(t, m.Header.Get("Webhook-Extra"))
	require.Empty(t, m.Header.Get("Connection"))
	require.NotContains(t, fmt.Sprint(m.Header), "forged")
	require.Equal(t, "1", m.Header.Get("X-Ringback-Attempt"))
}

// R12: the signature's time is the wall clock at the attempt, whatever it was before.
func TestTimestampIsTheWallClock(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	p := openPoster(t)
	for _, jump := range []time.Duration{0, -time.Hour, time.Hour} {
		now := time.Now().Add(jump)
		p.Now = func() time.Time { return now }
		got := postOnce(t.Context(), p, claim(r.URL), 1)
		require.Equal(t, 204, got.StatusCode)
		require.GreaterOrEqual(t, got.DurationMS, int64(0))
		all := r.messages()
		m := all[len(all)-1]
		require.Equal(t, strconv.FormatInt(now.Unix(), 10), m.Header.Get("webhook-timestamp"))
		requireSigned(t, m, now)
	}
}

func TestPostWithoutASecretEnds(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	got := postOnce(t.Context(), openPoster(t), withoutSecret(claim(r.URL)), 1)
	require.Equal(t, ClassSecret, got.ErrorClass)
	require.Equal(t, Failed, steady().Decide(got, 1, time.Now()).State)
	require.Empty(t, r.messages())
}

// rawCase is a receiver that answers in an odd way, and what becomes of the attempt.
type rawCase struct {
	serve func(c *net.TCPConn, r *bufio.Reader)
	code  int
	class Class
}

func TestOddAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]rawCase{
		"S6 101 upgrade":        {answers("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), 101, ClassInvalid},
		"S6 1xx flood":          {answers(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: "+strings.Repeat("x", 4096)+"\r\n\r\n", 1000)), 0, ClassInvalid},
		"S6 100 and then 200":   {answers("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), 200, ""},
		"R2 1 MB header line":   {answers("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n"), 0, ClassInvalid},
		"R2 10 000 headers":     {answers("HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Header: value\r\n", 10000) + "\r\n"), 0, ClassInvalid},
		"R2 wrong length":       {answers("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"), 200, ""},
		"R2 two lengths":        {answers("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), 0, ClassInvalid},
		"R2 bad chunks":         {answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), 200, ""},
		"R2 length too short":   {answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nlonger"), 200, ""},
		"R2 negative length":    {answers("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx"), 0, ClassInvalid},
		"R2 a body behind 204":  {answers("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello"), 204, ""},
		"R2 binary headers":     {answers("HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n"), 0, ClassInvalid},
		"R2 NUL and bad UTF-8":  {answers("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\x00\xff\xfe!"), 200, ""},
		"R3 an HTTP/0.9 answer": {answers("<html>hello</html>"), 0, ClassInvalid},
		"R3 HTTP/2 in HTTP/1":   {answers("\x00\x00\x12\x04\x00\x00\x00\x00\x00"), 0, ClassInvalid},
		"R3 HTTP/0.9 garbage":   {answers("hello there, no status line\r\n\r\n"), 0, ClassInvalid},
		"R3 FIN without answer": {answers(""), 0, ClassReset},
		"R3 FIN in the headers": {answers("HTTP/1.1 200 OK\r\nX-A: b\r\n"), 0, ClassReset},
		"R3 RST mid-request": {func(c *net.TCPConn, r *bufio.Reader) {
			_, _ = r.ReadByte()
			_ = c.SetLinger(0)
		}, 0, ClassReset},
		"R3 RST after the status line": {func(c *net.TCPConn, r *bufio.Reader) {
			readRequest(r)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			_ = c.SetLinger(0)
		}, 0, ClassReset},
		"R3 FIN in the body of a 500": {answers("HTTP/1.1 500 no\r\nContent-Length: 9\r\n\r\nx"), 500, ""},
		"S12 no TLS behind https":     {answers("HTTP/1.1 400 Bad Request\r\n\r\n"), 0, ClassTLS},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := listenRaw(t, c.serve)
			url := s.url
			if c.class == ClassTLS {
				url = strings.Replace(url, "http:", "https:", 1)
			}
			got := postOnce(t.Context(), openPoster(t), withTimeout(claim(url), 3*time.Second), 1)
			require.Equal(t, c.class, got.ErrorClass)
			require.Equal(t, c.code, got.StatusCode)
			require.Equal(t, 1, s.count(), "one attempt, one connection")
			require.LessOrEqual(t, len(got.Snippet), maxSnippet)
		})
	}
}

func TestTimeoutIsBounded(t *testing.T) {
	t.Parallel()
	c, err := NewClient(ClientOptions{})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	require.Equal(t, 10*time.Second, NewPoster(PosterOptions{Client: c}).Timeout)
	s := listenRaw(t, func(c *net.TCPConn, r *bufio.Reader) { hang(c) })
	p := openPoster(t)
	p.Timeout = 200 * time.Millisecond
	require.Equal(t, ClassTimeout, postOnce(t.Context(), p, claim(s.url), 1).ErrorClass, "the Poster's own, where the receiver has none")
}

// R3: a request that may have arrived is never sent again behind the log, not even where its headers say that it could.
func TestNoHiddenSecondPost(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"X-Plain", "Idempotency-Key", "X-Idempotency-Key"} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			var posts atomic.Int64
			s := listenRaw(t, func(c *net.TCPConn, r *bufio.Reader) {
				for n := 1; readRequest(r); n++ {
					posts.Add(1)
					if n == 2 {
						_ = c.SetLinger(0) // the second on a kept connection: taken, and reset
						return
					}
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
			})
			p, c := openPoster(t), claim(s.url)
			c.Receiver.Headers = map[string]string{header: "k"}
			require.Equal(t, 200, postOnce(t.Context(), p, c, 1).StatusCode)
			require.Equal(t, ClassReset, postOnce(t.Context(), p, c, 2).ErrorClass)
			require.EqualValues(t, 2, posts.Load())
			require.Equal(t, 1, s.count())
		})
	}
}

// R3: a kept connection that the receiver has closed costs no attempt.
func TestClosedKeepAliveConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{}, 100)
	var posts atomic.Int64
	s := listenRaw(t, func(c *net.TCPConn, r *bufio.Reader) {
		if readRequest(r) {
			posts.Add(1)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
		_ = c.Close()
		closed <- struct{}{}
	})
	p := openPoster(t)
	for n := range 20 {
		require.Equal(t, 200, postOnce(t.Context(), p, claim(s.url), 1).StatusCode)
		<-closed
		require.Eventually(t, func() bool { return posts.Load() == int64(n+1) }, time.Second, time.Millisecond)
		time.Sleep(5 * time.Millisecond) // a FIN that crosses the next request is a reset, and no subject of this test
	}
}

func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	s := listenRaw(t, func(c *net.TCPConn, r *bufio.Reader) {
		for readRequest(r) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 16384\r\n\r\n"+strings.Repeat("x", 16<<10))
		}
	})
	p := openPoster(t)
	for range 10 {
		got := postOnce(t.Context(), p, claim(s.url), 1)
		require.Equal(t, 200, got.StatusCode)
		require.Len(t, got.Snippet, 16<<10)
		require.False(t, got.Truncated)
	}
	require.Equal(t, 1, s.count())
}

func TestCancelledAttemptHasNoAnswer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := listenRaw(t, func(c *net.TCPConn, r *bufio.Reader) { readRequest(r); cancel(); hang(c) })
	require.Zero(t, postOnce(ctx, openPoster(t), claim(s.url), 1).StatusCode)
}
