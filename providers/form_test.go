package providers

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestDoTakesAnyAnswerWhereAsked(t *testing.T) {
	t.Parallel()
	sound := string([]byte{0xff, 0xfb, 0, 1, 2, '\n'})
	for name, test := range map[string]struct {
		contentType, body string
		kind              Kind // empty: an answer
	}{
		"speech":             {"audio/mpeg", sound, ""},
		"subtitles":          {"application/x-subrip", "1\n00:00\nHello\n", ""},
		"text":               {"text/plain; charset=utf-8", "Hello\n", ""},
		"no type":            {"", sound, ""},
		"JSON":               {jsonType, `{"text":"Hello","usage":{"input_tokens":3,"output_tokens":4}}`, ""},
		"JSON that is none":  {jsonType, sound, InvalidAnswer},
		"JSON with an error": {jsonType, serverBody, InvalidAnswer},
		"a page":             {"text/html", "<html>", InvalidAnswer},
		"a page of a kind":   {"Text/HTML; charset=utf-8", "<html>", InvalidAnswer},
		"too long":           {"audio/mpeg", strings.Repeat("x", 1001), AnswerTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var accept string
			p := upstream(t, func(w http.ResponseWriter, r *http.Request) {
				accept = r.Header.Get("Accept")
				answer(200, test.contentType, test.body)(w, r)
			}, func(o *Options, _ *Config) { o.AnswerBytes = 1000 })
			got, err := p.Do(t.Context(), Request{Path: "/v1/audio/speech", Body: []byte(`{}`), Any: true})
			require.Equal(t, "*/*", accept)
			if test.kind != "" {
				require.Equal(t, test.kind, AsError(err).Kind)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.body, string(got.Body))
			require.Equal(t, test.contentType, got.ContentType)
			require.Equal(t, name == "JSON", got.Usage.TotalTokens == 7)
			_, err = p.Do(t.Context(), Request{Path: "/v1/audio/speech", Body: []byte(`{}`)})
			require.Equal(t, name == "JSON", err == nil, "not asked")
			require.Equal(t, "application/json", accept)
		})
	}
}

// tracked is a file that knows whether it was closed.
type tracked struct {
	io.Reader
	closed atomic.Bool
}

func (f *tracked) Close() error {
	f.closed.Store(true)
	return nil
}

func form(from io.Reader, size int64) (*Form, *tracked) {
	file := &tracked{Reader: from}
	return &Form{
		Fields: [][2]string{{"model", "whisper-1"}, {"prompt", "a\r\n\"é\""}, {"model", "again"}},
		File:   "file", Name: `spe"ech.mp3`, Size: size,
		Open: func() (io.ReadCloser, error) { return file, nil },
	}, file
}

func TestDoSendsAForm(t *testing.T) {
	t.Parallel()
	var parts [][3]string
	var length int64
	p := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		length = r.ContentLength
		require.Empty(t, r.TransferEncoding)
		_, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		reader := multipart.NewReader(r.Body, params["boundary"])
		for {
			part, err := reader.NextPart()
			if err != nil {
				break
			}
			body, _ := io.ReadAll(part)
			parts = append(parts, [3]string{part.FormName(), part.FileName(), string(body)})
		}
		answer(200, "text/plain", "Hello")(w, r)
	})
	content := "ID3\x00\r\n--x\r\n" + strings.Repeat("é", 100_000)
	f, file := form(strings.NewReader(content), int64(len(content)))
	got, err := p.Do(t.Context(), Request{Path: "/v1/audio/transcriptions", Form: f, Any: true})
	require.NoError(t, err)
	require.Equal(t, "Hello", string(got.Body))
	require.True(t, file.closed.Load())
	require.Equal(t, [][3]string{
		{"model", "", "whisper-1"}, {"prompt", "", "a\r\n\"é\""}, {"model", "", "again"}, {"file", `spe"ech.mp3`, content},
	}, parts)
	require.Greater(t, length, int64(len(content)))
}

func TestFormsUseNoMemoryForTheFile(t *testing.T) {
	const size = 256 << 20
	p := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		require.Equal(t, r.ContentLength, n)
		answer(200, jsonType, `{}`)(w, r)
	})
	f, _ := form(zeros{}, size)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := p.Do(t.Context(), Request{Path: "/v1/audio/transcriptions", Form: f})
	require.NoError(t, err)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16<<20))
}

type zeros struct{}

func (zeros) Read(to []byte) (int, error) {
	clear(to)
	return len(to), nil
}

func TestFormsWhoseFileFails(t *testing.T) {
	t.Parallel()
	short, _ := form(strings.NewReader("abc"), 4)
	broken, brokenFile := form(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(errors.New("disk"))), 1<<20)
	closed := &Form{File: "file", Name: "x", Size: 1, Open: func() (io.ReadCloser, error) { return nil, errors.New("disk") }}
	for name, f := range map[string]*Form{"too short": short, "unreadable": broken, "missing": closed} {
		p := upstream(t, answer(200, jsonType, `{}`))
		_, err := p.Do(t.Context(), Request{Path: "/v1/audio/transcriptions", Form: f})
		require.Equal(t, Rejected, AsError(err).Kind, name)
		require.True(t, AsError(err).Retry, name)
		require.Contains(t, err.Error(), "file", name)
	}
	require.True(t, brokenFile.closed.Load())
}

// An upstream may refuse a form by its head: what it says counts, not the bytes
// that were never read.
func TestFormsThatAreRefusedEarly(t *testing.T) {
	t.Parallel()
	p := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.Header().Set("Content-Type", jsonType)
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, badBody)
		w.(http.Flusher).Flush()
	})
	f, file := form(zeros{}, 64<<20)
	_, err := p.Do(t.Context(), Request{Path: "/v1/audio/transcriptions", Form: f})
	require.Contains(t, []Kind{Rejected, Connection}, AsError(err).Kind)
	require.NotContains(t, err.Error(), "file to be sent")
	require.True(t, file.closed.Load())
}

func TestStreamsOfForms(t *testing.T) {
	t.Parallel()
	p := upstream(t, answer(200, eventType, asEvents(`{"type":"transcript.text.delta","delta":"a"}`, "[DONE]")))
	f, file := form(strings.NewReader("abc"), 3)
	calls := 0
	_, err := p.Stream(t.Context(), Request{Path: "/v1/audio/transcriptions", Form: f}, func(Chunk) error {
		calls++
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 1, calls)
	require.True(t, file.closed.Load())
}
