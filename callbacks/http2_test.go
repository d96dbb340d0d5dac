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

// refuser is an HTTP/2 server that refuses the first streams, as a busy one does, and answers 204 to the others.
type refuser struct {
	refuse  int64
	streams atomic.Int64
}

func (s *refuser) serve(c net.Conn) {
	defer c.Close()
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c, preface); err != nil {
		return
	}
	f := http2.NewFramer(c, c)
	_ = f.WriteSettings()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		s.handle(f, frame)
	}
}

func (s *refuser) handle(f *http2.Framer, frame http2.Frame) {
	switch frame := frame.(type) {
	case *http2.SettingsFrame:
		if !frame.IsAck() {
			_ = f.WriteSettingsAck()
		}
	case *http2.PingFrame:
		_ = f.WritePing(true, frame.Data)
	case *http2.HeadersFrame:
		if s.streams.Add(1) <= s.refuse {
			_ = f.WriteRSTStream(frame.StreamID, http2.ErrCodeRefusedStream)
		}
	case *http2.DataFrame:
		if frame.StreamEnded() && s.streams.Load() > s.refuse {
			var block bytes.Buffer
			_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "204"})
			_ = f.WriteHeaders(http2.HeadersFrameParam{
				StreamID: frame.StreamID, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true,
			})
		}
	}
}

// listenRefuser starts a refuser behind TLS and gives the port with its colon.
func listenRefuser(t *testing.T, s *refuser, cert tls.Certificate) (port string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
	require.NoError(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(t.Context(), func() { _ = c.Close() })
			all.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(all.Wait)
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()[strings.LastIndex(l.Addr().String(), ":"):]
}

// A stream that the peer did not process, by its own word, is sent again within the attempt; but not for ever.
func TestRefusedStreams(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert := ca.issue(t, "receiver.test", time.Now().Add(time.Hour))
	for name, c := range map[string]struct {
		refuse, streams int64
		class           Class
	}{
		"refused once":   {1, 2, ""},
		"refused always": {1 << 40, 3, ClassReset},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &refuser{refuse: c.refuse}
			port := listenRefuser(t, s, cert)
			dns := resolver(t, names(map[string][]string{"receiver.test": {"127.0.0.1"}}))
			p := poster(t, ClientOptions{Rules: openRules(), Resolver: dns, CAFile: ca.file})
			got := p.Post(t.Context(), claim("https://receiver.test"+port), 1)
			require.Equal(t, c.class, got.ErrorClass)
			require.Equal(t, c.streams, s.streams.Load())
		})
	}
}
