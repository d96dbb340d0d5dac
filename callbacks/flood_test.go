package callbacks

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// flood writes a frame until the connection is gone, beside what the peer reads.
func flood(write func(f *http2.Framer) error) func(*peer, *http2.Framer) {
	return func(p *peer, f *http2.Framer) {
		p.floods.Go(func() {
			for write(f) == nil {
			}
		})
	}
}

// atRequest does the same as an answer.
func atRequest(write func(f *http2.Framer, stream uint32) error) func(*peer, *http2.Framer, uint32, uint32) {
	return func(_ *peer, f *http2.Framer, stream, _ uint32) {
		for write(f, stream) == nil {
		}
	}
}

func silentAnswer(*peer, *http2.Framer, uint32, uint32) {}

// R25: whatever an HTTP/2 peer floods or withholds, the attempt ends at its deadline, the connection is dropped, and the
// delivery is retried.
func TestHTTP2PeersThatFloodOrWithhold(t *testing.T) {
	t.Parallel()
	junk := bytes.Repeat([]byte("x"), 1<<14)
	timedOut, dropped := []Class{ClassTimeout}, []Class{ClassReset, ClassInvalid, ClassTimeout}
	for row, c := range map[string]struct {
		peer    *peer
		classes []Class
	}{
		"0 max streams": {&peer{
			settings: []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: 0}}, request: silentAnswer,
		}, timedOut},
		"a window of 0": {&peer{
			settings: []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 0}}, request: silentAnswer,
		}, timedOut},
		"no answer": {&peer{request: silentAnswer}, timedOut},
		"ping flood": {&peer{begin: flood(func(f *http2.Framer) error {
			return f.WritePing(false, [8]byte{})
		}), request: silentAnswer}, timedOut},
		"SETTINGS flood": {&peer{begin: flood(func(f *http2.Framer) error {
			return f.WriteSettings()
		}), request: silentAnswer}, timedOut},
		"WINDOW_UPDATE flood": {&peer{begin: flood(func(f *http2.Framer) error {
			return f.WriteWindowUpdate(0, 1<<20)
		}), request: silentAnswer}, dropped},
		"1xx flood": {&peer{request: atRequest(func(f *http2.Framer, stream uint32) error {
			return head(f, stream, "103", false)
		})}, dropped},
		"CONTINUATION flood": {&peer{request: func(_ *peer, f *http2.Framer, stream, _ uint32) {
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: junk})
			for f.WriteContinuation(stream, false, junk) == nil {
			}
		}}, dropped},
		"10 000 headers": {&peer{request: func(_ *peer, f *http2.Framer, stream, _ uint32) {
			var block bytes.Buffer
			e := hpack.NewEncoder(&block)
			_ = e.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
			for range 10000 {
				_ = e.WriteField(hpack.HeaderField{Name: "x-header", Value: "value"})
			}
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true})
		}}, dropped},
		"bytes that are no frames": {&peer{begin: func(_ *peer, f *http2.Framer) {
			_ = f.WriteRawFrame(http2.FrameData, 0, 0, []byte(strings.Repeat("no", 100)))
		}, request: silentAnswer}, dropped},
	} {
		t.Run("R25 "+row, func(t *testing.T) {
			t.Parallel()
			p := listenPeer(t, c.peer)
			start := time.Now()
			got := postOnce(t.Context(), p, withTimeout(claim(c.peer.url), 500*time.Millisecond), 1)
			require.Less(t, time.Since(start), 5*time.Second)
			require.Contains(t, c.classes, got.ErrorClass)
			require.LessOrEqual(t, c.peer.streams.Load(), uint32(1))
			require.LessOrEqual(t, c.peer.conns.Load(), int64(3))
			require.Equal(t, Waiting, steady().Decide(got, 1, time.Now()).State)
			require.Eventually(t, func() bool { return c.peer.open.Load() == 0 }, 3*time.Second, time.Millisecond, "the connection is dropped")
		})
	}
}
