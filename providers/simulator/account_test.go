package simulator_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	openai "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers/simulator"
)

// account is an upstream that is closed at the end of the test.
func account(t *testing.T, opts simulator.Options) *upstream {
	t.Helper()
	u := serve(t, opts)
	t.Cleanup(func() { require.NoError(t, u.Close()) })
	return u
}

// sdk is the client that go-openai makes for an upstream.
func (u *upstream) sdk() *openai.Client {
	config := openai.DefaultConfig("k")
	config.BaseURL = u.url + "/v1"
	config.HTTPClient = u.client
	return openai.NewClientWithConfig(config)
}

// ticker is a clock that goes on when it is told to.
type ticker struct{ nanos atomic.Int64 }

func newTicker() *ticker {
	c := new(ticker)
	c.nanos.Store(1_800_000_000_000_000_000)
	return c
}

func (c *ticker) now() time.Time        { return time.Unix(0, c.nanos.Load()) }
func (c *ticker) pass(by time.Duration) { c.nanos.Add(int64(by)) }

// A part is one field of a form; a part with a file name is a file.
type part struct{ name, file, value string }

func form(parts ...part) (contentType, body string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		create := w.CreateFormField
		if p.file != "" {
			create = func(name string) (io.Writer, error) { return w.CreateFormFile(name, p.file) }
		}
		out, err := create(p.name)
		if err == nil {
			_, err = out.Write([]byte(p.value))
		}
		if err != nil {
			panic(err) // a buffer takes everything
		}
	}
	_ = w.Close()
	return w.FormDataContentType(), b.String()
}

func (u *upstream) sendForm(parts ...part) (answer, error) {
	kind, body := form(parts...)
	return u.sendRaw(kind, body)
}

func (u *upstream) sendRaw(kind, body string) (answer, error) {
	req, err := http.NewRequestWithContext(u.t.Context(), http.MethodPost, u.url+"/v1/files", strings.NewReader(body))
	require.NoError(u.t, err)
	req.Header.Set("Content-Type", kind)
	return u.send(req)
}

func (u *upstream) upload(name, purpose, content string) string {
	u.t.Helper()
	got, err := u.sendForm(part{"file", name, content}, part{"purpose", "", purpose})
	require.NoError(u.t, err)
	require.Equal(u.t, http.StatusOK, got.status, got.raw)
	return got.Get("id").Str
}

func ids(got answer) []string {
	list := []string{}
	for _, item := range got.Get("data").Array() {
		list = append(list, item.Get("id").Str)
	}
	return list
}

func (u *upstream) fetch(path string) answer {
	u.t.Helper()
	got := u.do(http.MethodGet, path, "")
	require.Equal(u.t, http.StatusOK, got.status, got.raw)
	return got
}

func TestARestartKnowsEverythingAgain(t *testing.T) {
	t.Parallel()
	clock := newTicker()
	opts := simulator.Options{Dir: t.TempDir(), Now: clock.now}
	first := serve(t, opts)
	file := first.upload("train.jsonl", "fine-tune", worked(20))
	done := first.tune(file, `,"suffix":"gsm"`)
	clock.pass(3 * time.Second)
	model := first.fetch("/v1/fine_tuning/jobs/" + done).Get("fine_tuned_model").Str
	before := content(first.ok(chatPath, chatWith(model, "How many?")))
	running := first.tune(file, `,"seed":7`)
	input := first.upload("in.jsonl", "batch", lines(3, "sim-small"))
	hung := first.upload("in.jsonl", "batch", lines(1, "sim-small")+line("h", "sim-small", "[[sim:hang]]"))
	complete := first.batch(input)
	first.batchEnds(complete, "completed")
	open := first.batch(hung)
	first.eventually(func() bool { return first.fetch("/v1/batches/"+open).Get("status").Str == "in_progress" })
	events := first.fetch("/v1/fine_tuning/jobs/" + done + "/events?limit=100").raw
	require.NoError(t, first.Close())
	first.refused("GET", "/v1/files", "", 500)
	left := filepath.Join(opts.Dir, "files", "spool-1")
	require.NoError(t, os.WriteFile(left, []byte("{"), 0o600))

	clock.pass(time.Second)
	second := account(t, opts)
	require.Equal(t, before, content(second.ok(chatPath, chatWith(model, "How many?"))), "the first call finds the model")
	require.Equal(t, []string{running, done}, ids(second.fetch("/v1/fine_tuning/jobs")))
	require.Equal(t, events, second.fetch("/v1/fine_tuning/jobs/"+done+"/events?limit=100").raw)
	require.Equal(t, "running", second.fetch("/v1/fine_tuning/jobs/"+running).Get("status").Str)
	require.Equal(t, []string{hung, input}, ids(second.fetch("/v1/files?purpose=batch")))
	require.Equal(t, worked(20), second.fetch("/v1/files/"+file+"/content").raw)
	require.Equal(t, "completed", second.fetch("/v1/batches/"+complete).Get("status").Str)
	require.Equal(t, "in_progress", second.fetch("/v1/batches/"+open).Get("status").Str)
	require.Equal(t, "cancelling", second.post("/v1/batches/"+open+"/cancel", "").Get("status").Str)
	second.batchEnds(open, "cancelled")
	require.NoFileExists(t, left, "what a killed simulator had on the way")
	next := second.upload("next.jsonl", "batch", lines(1, "sim-small"))
	require.Equal(t, next, ids(second.fetch("/v1/files"))[0], "what is new stays newest")
}

func TestWithoutAFolderNothingStays(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	unused := simulator.New(simulator.Options{})
	require.NoError(t, unused.Close())
	u := serve(t, simulator.Options{})
	u.fetch("/v1/files")
	require.Empty(t, entries(t), "reading makes no folder")
	u.upload("a.txt", "user_data", "a")
	require.Len(t, entries(t), 1)
	require.NoError(t, u.Close())
	require.NoError(t, u.Close())
	require.Empty(t, entries(t))
	u.ok(chatPath, chat("a", ""))
	got, err := u.sendForm(part{"file", "a.txt", "a"}, part{"purpose", "", "user_data"})
	require.NoError(t, err)
	require.Equal(t, 500, got.status)
	require.Empty(t, entries(t))
}

func entries(t *testing.T) []os.DirEntry {
	t.Helper()
	list, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	return list
}

func TestTheAccountNeedsTheKeyButNoLimit(t *testing.T) {
	t.Parallel()
	u := account(t, simulator.Options{APIKey: "k", RPM: 1})
	for _, path := range []string{"/v1/files", "/v1/fine_tuning/jobs", "/v1/batches", "/v1/models"} {
		require.Equal(t, "invalid_api_key", u.refused("GET", path, "", 401).Get("error.code").Str)
	}
	u.refused("POST", "/v1/files", "", 401)
	files, err := u.sdk().ListFiles(t.Context())
	require.NoError(t, err)
	require.Empty(t, files.Files)

	open := account(t, simulator.Options{RPM: 1, Fail: 1})
	input := open.upload("in.jsonl", "batch", lines(5, "sim-small"))
	for range 5 {
		open.fetch("/v1/files")
	}
	require.Zero(t, open.Calls())
	got := open.batchEnds(open.batch(input), "completed")
	require.EqualValues(t, 5, got.Get("request_counts.failed").Int(), "shares of faults hold for lines, the limit does not")
	require.EqualValues(t, 5, open.Calls())
	require.NotContains(t, open.fetch("/v1/files/"+got.Get("error_file_id").Str+"/content").raw, "rate_limit")
}

// Whatever comes, the answer is one in the envelope and never a 500.
func FuzzAccountBodies(f *testing.F) {
	sim := simulator.New(simulator.Options{Dir: f.TempDir()})
	f.Cleanup(func() { _ = sim.Close() })
	for _, seed := range []string{
		`{}`, `[]`, `{"model":"sim-small","training_file":"x"}`, `{"model":["a"],"training_file":{"a":1}}`,
		`{"model":"sim-small","training_file":"x","seed":-1}`, `{"model":"sim-small","training_file":"x","method":{"type":1}}`,
		`{"input_file_id":1}`, `{"input_file_id":"x","endpoint":"/v1/responses","completion_window":"24h","metadata":{"a":[]}}`,
		strings.Repeat(`{"a":`, 20_000), "\xff",
	} {
		for route := range 3 {
			f.Add(byte(route), seed)
		}
	}
	f.Fuzz(func(t *testing.T, route byte, body string) {
		path := []string{"/v1/fine_tuning/jobs", "/v1/batches", "/v1/files"}[route%3]
		req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		req.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		got := httptest.NewRecorder()
		sim.ServeHTTP(got, req)
		require.True(t, gjson.Valid(got.Body.String()), got.Body.String())
		require.Contains(t, []int{200, 400}, got.Code, got.Body.String())
		require.Equal(t, got.Code == 400, gjson.Get(got.Body.String(), "error.message").Exists())
	})
}

func TestListsArePaged(t *testing.T) {
	t.Parallel()
	u := account(t, simulator.Options{})
	var want []string
	for i := range 5 {
		want = append([]string{u.upload(fmt.Sprintf("%d.txt", i), "user_data", "a")}, want...)
	}
	all := u.fetch("/v1/files")
	require.Equal(t, want, ids(all))
	require.Equal(t, "list", all.Get("object").Str)
	require.Equal(t, want[0], all.Get("first_id").Str)
	require.Equal(t, want[4], all.Get("last_id").Str)
	require.Equal(t, gjson.False, all.Get("has_more").Type)

	page := u.fetch("/v1/files?limit=2&after=" + want[0])
	require.Equal(t, want[1:3], ids(page))
	require.True(t, page.Get("has_more").Bool())
	page = u.fetch("/v1/files?limit=2&after=" + want[2])
	require.Equal(t, want[3:], ids(page))
	require.False(t, page.Get("has_more").Bool())
	require.Equal(t, want[4], ids(u.fetch("/v1/files?order=asc&limit=1"))[0])
	require.Equal(t, "[]", u.fetch("/v1/files?after="+want[4]).Get("data").Raw)
	require.Equal(t, "[]", u.fetch("/v1/batches").Get("data").Raw)

	for _, query := range []string{"limit=0", "limit=10001", "limit=x", "after=file-none", "order=up"} {
		u.refused("GET", "/v1/files?"+query, "", 400)
	}
	u.refused("GET", "/v1/batches?limit=101", "", 400)
}
