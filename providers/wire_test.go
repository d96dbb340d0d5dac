package providers

import (
	"bytes"
	"context"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// wire keeps what went over it.
type wire struct {
	mu    sync.Mutex
	calls []wireCall
}

type wireCall struct {
	line   string // method and request URI as sent
	body   string
	header http.Header
	length int64 // the declared one
}

// over keeps each call and has h answer it.
func (w *wire) over(h http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		w.calls = append(w.calls, wireCall{r.Method + " " + r.RequestURI, string(body), r.Header.Clone(), r.ContentLength})
		w.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		h(rw, r)
	}
}

func (w *wire) lines() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var lines []string
	for _, c := range w.calls {
		lines = append(lines, c.line)
	}
	return lines
}

// upstreamCalls are all calls about what an upstream keeps.
var upstreamCalls = []struct {
	name   string
	call   func(context.Context, *Provider) error
	answer string
	want   string
	body   string
}{
	{"create", func(ctx context.Context, p *Provider) error {
		_, err := p.CreateTuning(ctx, []byte(createBody))
		return err
	}, jobBody, "POST /v1/fine_tuning/jobs?v=2", createBody},
	{"retrieve", func(ctx context.Context, p *Provider) error {
		_, err := p.Tuning(ctx, "ftjob-1")
		return err
	}, jobBody, "GET /v1/fine_tuning/jobs/ftjob-1?v=2", ""},
	{"retrieve an odd ID", func(ctx context.Context, p *Provider) error {
		_, err := p.Tuning(ctx, "accounts/a/jobs/x?y#z%2e ü")
		return err
	}, jobBody, "GET /v1/fine_tuning/jobs/accounts%2Fa%2Fjobs%2Fx%3Fy%23z%252e%20%C3%BC?v=2", ""},
	{"cancel", func(ctx context.Context, p *Provider) error {
		_, err := p.CancelTuning(ctx, "ftjob-1")
		return err
	}, jobBody, "POST /v1/fine_tuning/jobs/ftjob-1/cancel?v=2", ""},
	{"pause", func(ctx context.Context, p *Provider) error {
		_, err := p.PauseTuning(ctx, "a/b")
		return err
	}, jobBody, "POST /v1/fine_tuning/jobs/a%2Fb/pause?v=2", ""},
	{"resume", func(ctx context.Context, p *Provider) error {
		_, err := p.ResumeTuning(ctx, "ftjob-1")
		return err
	}, jobBody, "POST /v1/fine_tuning/jobs/ftjob-1/resume?v=2", ""},
	{"find by name", func(ctx context.Context, p *Provider) error {
		_, _, err := p.FindTuning(ctx, "ftjob-ours", "", 0)
		return err
	}, `{"data":[{"id":"j","metadata":{"ringback_job":"ftjob-ours"}}]}`, "GET /v1/fine_tuning/jobs?v=2&limit=100&metadata%5Bringback_job%5D=ftjob-ours", ""},
	{"events", func(ctx context.Context, p *Provider) error {
		_, err := p.TuningEvents(ctx, "ftjob-1", "")
		return err
	}, `{"data":[]}`, "GET /v1/fine_tuning/jobs/ftjob-1/events?v=2&limit=100", ""},
	{"checkpoints", func(ctx context.Context, p *Provider) error {
		_, err := p.TuningCheckpoints(ctx, "ftjob-1")
		return err
	}, `{"data":[]}`, "GET /v1/fine_tuning/jobs/ftjob-1/checkpoints?v=2&limit=100", ""},
	{"find a file", func(ctx context.Context, p *Provider) error {
		_, _, err := p.FindFile(ctx, "a.jsonl", "fine-tune")
		return err
	}, `{"data":[]}`, "GET /v1/files?v=2&limit=100&order=desc&purpose=fine-tune", ""},
	{"file content", func(ctx context.Context, p *Provider) error {
		return drain(p.FileContent(ctx, "file/1", 150))
	}, `{"step":1}`, "GET /v1/files/file%2F1/content?v=2", ""},
	{"list models", func(ctx context.Context, p *Provider) error {
		_, err := p.ListModels(ctx)
		return err
	}, `{"data":[]}`, "GET /v1/models?v=2", ""},
	{"delete a model", func(ctx context.Context, p *Provider) error {
		return p.DeleteModel(ctx, "ft:org/base:acme::7p4lURel")
	}, `{"deleted":true}`, "DELETE /v1/models/ft:org%2Fbase:acme::7p4lURel?v=2", ""},
	{"upload", func(ctx context.Context, p *Provider) error {
		_, err := p.UploadFile(ctx, upload("{}\n"))
		return err
	}, `{"id":"file-1"}`, "POST /v1/files?v=2", "*"},
}

const (
	// createBody holds what go-openai's request lacks, a repeated key, a zero and odd spacing.
	createBody = `{ "model":"m", "seed":0, "seed":42, "metadata":{"ringback_job":"ftjob-ours"},"method":{"type":"dpo"},"x":12345678901234567890 }` + "\n"
	jobBody    = `{"id":"ftjob-1","object":"fine_tuning.job","status":"running","error":null}`
)

func upload(text string) Upload {
	return Upload{Name: "a.jsonl", Purpose: "fine-tune", Size: int64(len(text)), Content: strings.NewReader(text)}
}

func drain(r io.ReadCloser, err error) error {
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	_ = r.Close()
	return err
}

func TestWhatGoesOverTheWire(t *testing.T) {
	t.Parallel()
	for _, tt := range upstreamCalls {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &wire{}
			p := upstream(t, w.over(answer(200, jsonType, tt.answer)), func(_ *Options, c *Config) {
				c.BaseURL += "?v=2"
				c.Headers = map[string]string{"X-Team": "a"}
			})
			require.NoError(t, tt.call(t.Context(), p))
			require.Equal(t, []string{tt.want}, w.lines())
			got := w.calls[0]
			require.Equal(t, "Bearer sk-test-0123456789", got.header.Get("Authorization"))
			require.Equal(t, "a", got.header.Get("X-Team"))
			require.Equal(t, "ringback", got.header.Get("User-Agent"))
			require.Equal(t, int64(len(got.body)), got.length)
			require.Empty(t, got.header.Get("Transfer-Encoding"))
			if tt.body != "*" {
				require.Equal(t, tt.body, got.body)
				require.Equal(t, jsonType, got.header.Get("Content-Type"))
			}
		})
	}
}

func TestUploadIsAForm(t *testing.T) {
	t.Parallel()
	w := &wire{}
	p := upstream(t, w.over(answer(200, jsonType, `{"id":"file-1","object":"file"}`)))
	text := "{\"a\":1}\r\n--x\r\n\x00\xff"
	f := upload(text)
	f.Name = "a \"b\"\r\nX-Evil: 1\r\n.jsonl"
	id, err := p.UploadFile(t.Context(), f)
	require.NoError(t, err)
	require.Equal(t, "file-1", id)
	media, params, err := mime.ParseMediaType(w.calls[0].header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/form-data", media)
	form, err := multipart.NewReader(strings.NewReader(w.calls[0].body), params["boundary"]).ReadForm(1 << 20)
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"purpose": {"fine-tune"}}, form.Value)
	require.Len(t, form.File["file"], 1)
	require.Empty(t, form.File["file"][0].Header.Get("X-Evil"))
	file, err := form.File["file"][0].Open()
	require.NoError(t, err)
	got, err := io.ReadAll(file)
	require.NoError(t, err)
	require.Equal(t, text, string(got))
}

// TestEveryCallSaysWhatIsWrong has each call meet each fault once.
func TestEveryCallSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	huge := `{"data":[],"id":"x","status":"x","pad":"` + strings.Repeat("x", 200) + `"}`
	for _, fault := range []struct {
		name    string
		handler http.HandlerFunc
		kind    Kind
		retry   bool
		after   time.Duration
	}{
		{"429", answer(429, jsonType, limitBody, "Retry-After", "7"), RateLimited, true, 7 * time.Second},
		{"out of quota", answer(429, jsonType, quotaBody), QuotaExceeded, false, 0},
		{"wrong key", answer(401, jsonType, badBody), Unauthorized, false, 0},
		{"bad request", answer(400, jsonType, badBody), Rejected, false, 0},
		{"moved", answer(302, jsonType, `{}`, "Location", "/"), Rejected, false, 0},
		{"server error", answer(500, "text/html", "<html>"), Overloaded, true, 0},
		{"200 with an error", answer(200, jsonType, serverBody), InvalidAnswer, true, 0},
		{"200 with a refusal", answer(200, jsonType, badBody), Rejected, false, 0},
		{"web page", answer(200, "text/html; charset=utf-8", "<html>"), InvalidAnswer, true, 0},
		{"cut", reset("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n{\"id\":\"x\","), Connection, true, 0},
		{"reset", reset(""), Connection, true, 0},
		{"huge", answer(200, jsonType, huge), AnswerTooLarge, false, 0},
		{"hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, Timeout, true, 0},
	} {
		for _, tt := range upstreamCalls {
			t.Run(fault.name+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				w := &wire{}
				p := upstream(t, w.over(fault.handler), func(o *Options, c *Config) {
					o.AnswerBytes = 150
					if fault.kind == Timeout {
						c.Timeout = 50 * time.Millisecond
					}
				})
				if tt.name == "find by name" && fault.kind == Rejected {
					return // a refused filter is asked again without it
				}
				e := AsError(tt.call(t.Context(), p))
				require.NotNil(t, e)
				require.Equal(t, fault.kind, e.Kind, "%v", e.LogValue())
				require.Equal(t, fault.retry, e.Retry)
				require.Equal(t, fault.after, e.After)
				require.NotEmpty(t, e.Message)
				require.NotContains(t, e.Message, "127.0.0.1")
				require.Len(t, w.lines(), 1, "a call must not be made twice")
			})
		}
	}
}

func TestEveryCallStopsWithItsCaller(t *testing.T) {
	t.Parallel()
	for _, tt := range upstreamCalls {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			p := upstream(t, (&wire{}).over(func(_ http.ResponseWriter, r *http.Request) {
				cancel()
				<-r.Context().Done()
			}))
			require.Equal(t, Canceled, AsError(tt.call(ctx, p)).Kind)
		})
	}
}

// TestJSONOfAnotherShape leaves out the file's content, which may have any.
func TestJSONOfAnotherShape(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{}`, `[]`, `7`, `{"data":7}`, `{"data":[7]}`, `{"id":7,"status":"running"}`, `{"id":"../x","status":"running"}`, `{"id":"x`} {
		for _, tt := range upstreamCalls {
			looks := strings.HasPrefix(tt.name, "retrieve") || slices.Contains([]string{"pause", "resume", "cancel"}, tt.name)
			if tt.name == "file content" || tt.name == "delete a model" || looks && strings.Contains(body, "running") {
				continue // of a job whose ID is known the state is enough
			}
			t.Run(body+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				e := AsError(tt.call(t.Context(), upstream(t, answer(200, jsonType, body))))
				require.NotNil(t, e)
				require.Equal(t, InvalidAnswer, e.Kind)
				require.True(t, e.Retry)
				require.Equal(t, 200, e.Status)
			})
		}
	}
}

func TestIDsThatCannotStandInAPath(t *testing.T) {
	t.Parallel()
	w := &wire{}
	p := upstream(t, w.over(answer(200, jsonType, jobBody)))
	ctx := t.Context()
	for _, id := range []string{"", ".", "..", "../models", "a/../../b", "a//b", "/a", "a\nb", "a\x00", "\xff", strings.Repeat("x", 513)} {
		for name, call := range map[string]func() error{
			"retrieve":    func() error { _, err := p.Tuning(ctx, id); return err },
			"cancel":      func() error { _, err := p.CancelTuning(ctx, id); return err },
			"pause":       func() error { _, err := p.PauseTuning(ctx, id); return err },
			"resume":      func() error { _, err := p.ResumeTuning(ctx, id); return err },
			"events":      func() error { _, err := p.TuningEvents(ctx, id, ""); return err },
			"checkpoints": func() error { _, err := p.TuningCheckpoints(ctx, id); return err },
			"content":     func() error { return drain(p.FileContent(ctx, id, 10)) },
			"delete":      func() error { return p.DeleteModel(ctx, id) },
		} {
			e := AsError(call())
			require.NotNil(t, e, "%s %q", name, id)
			require.Equal(t, Rejected, e.Kind)
		}
	}
	require.Empty(t, w.lines())
}
