package providers

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFileContentIsTheProvidersBytes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ contentType, body string }{
		{"text/csv", "step,train_loss\n1,0.5\n"},
		{"application/octet-stream", "\x00\xff\r\n"},
		{"", ""},
		{jsonType, `{"error":null}` + "\n" + `{"error":{"code":"x"}}`},
		{jsonType, `{"error":null,"pad":"` + strings.Repeat("x", 2*envelopeBytes) + `"}`},
		{"text/plain", serverBody},
	} {
		w := &wire{}
		p := upstream(t, w.over(answer(200, tt.contentType, tt.body)))
		r, err := p.FileContent(t.Context(), "file-1", int64(len(tt.body)))
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, tt.body, string(got))
		require.NoError(t, r.Close())
		require.Equal(t, "*/*", w.calls[0].header.Get("Accept"))
	}
}

func TestFileContentIsBounded(t *testing.T) {
	t.Parallel()
	declared := upstream(t, answer(200, "text/csv", strings.Repeat("x", 101)))
	_, err := declared.FileContent(t.Context(), "f", 100)
	require.Equal(t, AnswerTooLarge, AsError(err).Kind)
	for name, much := range map[string]int{"one byte more": 12_346, "without end": 1 << 40} {
		p := upstream(t, func(w http.ResponseWriter, r *http.Request) {
			for sent := 0; sent < much; {
				n, err := fmt.Fprint(w, strings.Repeat("x", min(1000, much-sent)))
				if err != nil {
					return
				}
				sent += n
			}
		})
		r, err := p.FileContent(t.Context(), "f", 12_345)
		require.NoError(t, err, name)
		got, err := io.ReadAll(r)
		require.Len(t, got, 12_345, name)
		require.Equal(t, AnswerTooLarge, AsError(err).Kind, name)
		_, again := r.Read(make([]byte, 1))
		require.Equal(t, err, again, name)
		require.NoError(t, r.Close())
	}
}

func TestFileContentOfOddLimits(t *testing.T) {
	t.Parallel()
	p := upstream(t, answer(200, "text/csv", "step\n"))
	require.NoError(t, drain(p.FileContent(t.Context(), "f", math.MaxInt64)))
	require.Equal(t, AnswerTooLarge, AsError(drain(p.FileContent(t.Context(), "f", -1))).Kind)
}

func TestFileContentThatBreaksOff(t *testing.T) {
	t.Parallel()
	cut := upstream(t, reset("HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 60\r\n\r\nstep,"))
	err := drain(cut.FileContent(t.Context(), "f", 1000))
	require.Equal(t, Connection, AsError(err).Kind)
	stalls := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, "step,")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}, func(_ *Options, c *Config) { c.Timeout = 50 * time.Millisecond })
	err = drain(stalls.FileContent(t.Context(), "f", 1000))
	require.Equal(t, Timeout, AsError(err).Kind)
}
