package callbacks

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// peer is an HTTP/2 server that does as a test says.
type peer struct {
	settings []http2.Setting
	begin    func(p *peer, f *http2.Framer)                   // at the beginning of each connection
	request  func(p *peer, f *http2.Framer, stream, n uint32) // at the end of the n-th request, over all connections

	url     string
	streams atomic.Uint32
	conns   atomic.Int64
	open    atomic.Int64
	floods  sync.WaitGroup
}

func (p *peer) serve(c net.Conn) {
	defer p.floods.Wait()
	defer c.Close()
	defer p.open.Add(-1)
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c, preface); err != nil {
		return
	}
	f := http2.NewFramer(c, c)
	_ = f.WriteSettings(p.settings...)
	if p.begin != nil {
		p.begin(p, http2.NewFramer(c, nil)) // one of its own: it may go on beside the answers
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		p.handle(f, frame)
	}
}

func (p *peer) handle(f *http2.Framer, frame http2.Frame) {
	switch frame := frame.(type) {
	case *http2.SettingsFrame:
		if !frame.IsAck() {
			_ = f.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !frame.IsAck() {
			_ = f.WritePing(true, frame.Data)
		}
	case *http2.DataFrame:
		if frame.StreamEnded() {
			p.request(p, f, frame.StreamID, p.streams.Add(1))
		}
	}
}

// head writes an answer's headers.
func head(f *http2.Framer, stream uint32, status string, end bool) error {
	var block bytes.Buffer
	_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: status})
	return f.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: end,
	})
}

// listenPeer starts a peer behind TLS and gives a Poster that trusts it.
func listenPeer(t *testing.T, p *peer) *Poster {
	t.Helper()
	ca := newAuthority(t)
	cert := ca.issue(t, "receiver.test", time.Now().Add(time.Hour))
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
	require.NoError(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.conns.Add(1)
			p.open.Add(1)
			context.AfterFunc(t.Context(), func() { _ = c.Close() })
			all.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(all.Wait)
	t.Cleanup(func() { _ = l.Close() })
	p.url = "https://receiver.test" + l.Addr().String()[strings.LastIndex(l.Addr().String(), ":"):]
	dns := resolver(t, names(map[string][]string{"receiver.test": {"127.0.0.1"}}))
	return poster(t, ClientOptions{Rules: openRules(), Resolver: dns, CAFile: ca.file})
}

func no204(_ *peer, f *http2.Framer, stream, _ uint32) { _ = head(f, stream, "204", true) }

// resetting refuses the first requests with a code and accepts the others.
func resetting(first uint32, code http2.ErrCode) func(*peer, *http2.Framer, uint32, uint32) {
	return func(p *peer, f *http2.Framer, stream, n uint32) {
		if n > first {
			no204(p, f, stream, n)
			return
		}
		_ = f.WriteRSTStream(stream, code)
	}
}

// leaving says goodbye at the first requests, naming the last stream that it took, and accepts the others.
func leaving(first, last uint32, code http2.ErrCode) func(*peer, *http2.Framer, uint32, uint32) {
	return func(p *peer, f *http2.Framer, stream, n uint32) {
		if n > first {
			no204(p, f, stream, n)
			return
		}
		_ = f.WriteGoAway(last, code, nil)
		if last >= stream {
			_ = f.WriteRSTStream(stream, http2.ErrCodeInternal)
		}
	}
}

const always = 1 << 30

// R25, R3: what a peer does to a stream or a connection costs one attempt; only what it says it did not take is sent
// again, at most twice, and each sending is told in the attempt's rule.
func TestHTTP2PeersThatBreakOff(t *testing.T) {
	t.Parallel()
	for row, c := range map[string]struct {
		request func(*peer, *http2.Framer, uint32, uint32)
		class   Class
		sent    uint32
		rule    string
	}{
		"accepted":                       {no204, "", 1, "delivered: 204"},
		"REFUSED_STREAM once":            {resetting(1, http2.ErrCodeRefusedStream), "", 2, "delivered: 204, sent 2 times"},
		"REFUSED_STREAM always":          {resetting(always, http2.ErrCodeRefusedStream), ClassReset, 3, "retry 2 of 5: reset, sent 3 times, in 5m by the schedule"},
		"RST_STREAM CANCEL":              {resetting(always, http2.ErrCodeCancel), ClassReset, 1, "retry 2 of 5: reset, in 5m by the schedule"},
		"RST_STREAM INTERNAL_ERROR":      {resetting(always, http2.ErrCodeInternal), ClassReset, 1, "retry 2 of 5: reset, in 5m by the schedule"},
		"RST_STREAM NO_ERROR":            {resetting(always, http2.ErrCodeNo), ClassReset, 1, "retry 2 of 5: reset, in 5m by the schedule"},
		"RST_STREAM ENHANCE_YOUR_CALM":   {resetting(always, http2.ErrCodeEnhanceYourCalm), ClassReset, 1, "retry 2 of 5: reset, in 5m by the schedule"},
		"RST_STREAM PROTOCOL_ERROR once": {resetting(1, http2.ErrCodeProtocol), "", 2, "delivered: 204, sent 2 times"},
		"GOAWAY, not taken":              {leaving(1, 0, http2.ErrCodeNo), "", 2, "delivered: 204, sent 2 times"},
		"GOAWAY, not taken, always":      {leaving(always, 0, http2.ErrCodeNo), ClassReset, 2, "retry 2 of 5: reset, sent 2 times, in 5m by the schedule"},
		"GOAWAY, taken":                  {leaving(always, 1, http2.ErrCodeNo), ClassReset, 1, "retry 2 of 5: reset, in 5m by the schedule"},
		"GOAWAY with an error":           {leaving(always, 0, http2.ErrCodeEnhanceYourCalm), ClassReset, 1, "retry 2 of 5: reset, in 5m by the schedule"},
	} {
		t.Run("R25 "+row, func(t *testing.T) {
			t.Parallel()
			s := &peer{request: c.request}
			p := listenPeer(t, s)
			got := post(t, p, s.url)
			require.Equal(t, c.class, got.ErrorClass)
			require.Equal(t, c.sent, s.streams.Load())
			require.Equal(t, c.rule, steady().Decide(got, 1, time.Now()).Rule)
			if strings.HasPrefix(row, "GOAWAY") {
				left := int64(0)
				if c.class == "" {
					left = 1 // the connection that accepted it
				}
				require.Eventually(t, func() bool { return s.open.Load() == left }, 3*time.Second, time.Millisecond,
					"a connection that was said goodbye on is dropped")
			}
		})
	}
}
