package pages

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ringback/ringback/jobs"
)

// keeps is an API that takes files: it counts their bytes, and refuses those that are too long.
type keeps struct {
	most  int64
	bytes atomic.Int64
	name  atomic.Value
}

func (k *keeps) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, message string) {
		w.WriteHeader(status)
		_, _ = w.Write(encoded(map[string]any{"error": map[string]string{"message": message}}))
	}
	parts, err := r.MultipartReader()
	if err != nil {
		refuse(http.StatusBadRequest, err.Error())
		return
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			refuse(http.StatusBadRequest, "The form is broken.")
			return
		}
		if part.FormName() != "file" {
			continue
		}
		k.name.Store(part.FileName())
		n, err := io.Copy(counter{&k.bytes}, io.LimitReader(part, k.most+1))
		if err != nil {
			refuse(http.StatusBadRequest, "The form is broken.")
			return
		}
		if n > k.most {
			refuse(http.StatusRequestEntityTooLarge, "The file is too large.")
			return
		}
	}
	_, _ = w.Write([]byte(`{"id":"file-new","bytes":` + string(encoded(k.bytes.Load())) + `}`))
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) { c.n.Add(int64(len(p))); return len(p), nil }

// looks is a check that tells of each read.
func looks(_ context.Context, _ string, _ jobs.Kind, _ string, in io.Reader, tell func(jobs.InputCheck)) (found jobs.InputCheck, err error) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := in.Read(buffer)
		found.Bytes += int64(n)
		found.Lines += int64(bytes.Count(buffer[:n], []byte("\n")))
		if bytes.Contains(buffer[:n], []byte("bad")) {
			line := found.Lines
			found.Problems = []jobs.LineError{{Code: "duplicate_custom_id", Message: "<b>twice</b>", Line: &line}}
		}
		if errors.Is(err, io.EOF) {
			found.Done = true
			return found, nil
		}
		if err != nil {
			return found, err
		}
		tell(found)
	}
}

// counterDesk serves the pages over real HTTP, with an API that keeps files.
func counterDesk(t *testing.T, most int64) (*httptest.Server, *keeps) {
	t.Helper()
	k := &keeps{most: most}
	d := open(t, &facts{}, func(o *Options) { o.API, o.Check = k, looks })
	server := httptest.NewServer(d.mux)
	t.Cleanup(server.Close)
	return server, k
}

// upload sends fields (name, value pairs) and a file that is made while it goes up.
func upload(t *testing.T, ctx context.Context, server *httptest.Server, file io.Reader, fields ...string) (*http.Response, error) { //nolint:revive // as tests have it
	t.Helper()
	out, in := io.Pipe()
	form := multipart.NewWriter(in)
	go func() {
		for i := 0; i+1 < len(fields); i += 2 {
			_ = form.WriteField(fields[i], fields[i+1])
		}
		part, err := form.CreateFormFile("file", `in "1".jsonl`)
		if err == nil {
			_, err = io.Copy(part, file)
		}
		if err == nil {
			err = form.Close()
		}
		_ = in.CloseWithError(err)
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/new/file", out)
	require.NoError(t, err)
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("HX-Request", "true")
	return (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
}

func textOf(t *testing.T, a *http.Response) string {
	t.Helper()
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	require.NoError(t, err)
	return string(b)
}

// slowly gives a part of a file each time that somebody lets it.
type slowly struct {
	parts chan string
	rest  strings.Reader
}

func (s *slowly) Read(p []byte) (int, error) {
	if s.rest.Len() == 0 {
		part, more := <-s.parts
		if !more {
			return 0, io.EOF
		}
		s.rest.Reset(part)
	}
	return s.rest.Read(p)
}

func progress(t *testing.T, server *httptest.Server, id string) (words, html string) {
	t.Helper()
	a, err := server.Client().Get(server.URL + "/new/file?check=" + url.QueryEscape(id))
	require.NoError(t, err)
	if a.StatusCode == http.StatusNoContent {
		_ = a.Body.Close()
		return "", ""
	}
	var told struct{ Words, HTML string }
	require.NoError(t, json.Unmarshal([]byte(textOf(t, a)), &told))
	return told.Words, told.HTML
}

// TestAFileIsCheckedWhileItGoesUp: it reaches the API and the check as it comes, and what is found so far can be asked for.
func TestAFileIsCheckedWhileItGoesUp(t *testing.T) {
	t.Parallel()
	server, k := counterDesk(t, 1<<30)
	file := &slowly{parts: make(chan string)}
	answer := make(chan string)
	go func() {
		a, err := upload(t, t.Context(), server, file, "kind", "batch", "check", "one")
		if err != nil {
			answer <- err.Error()
			return
		}
		answer <- textOf(t, a)
	}()
	file.parts <- strings.Repeat("line\n", 20_000)
	require.Eventually(t, func() bool { words, _ := progress(t, server, "one"); return words != "" && k.bytes.Load() > 0 }, 10*time.Second, 10*time.Millisecond, "nothing waits for the whole file")
	file.parts <- "bad\n" + strings.Repeat("line\n", 20_000)
	require.Eventually(t, func() bool { _, html := progress(t, server, "one"); return strings.Contains(html, "&lt;b&gt;twice") }, 10*time.Second, 10*time.Millisecond)
	words, _ := progress(t, server, "two")
	require.Empty(t, words, "another's is not told")
	close(file.parts)
	text := <-answer
	require.Contains(t, text, "40,001 lines")
	require.Contains(t, text, "Give each line its own custom_id.")
	require.NotContains(t, text, "file_id", "a file with problems is not taken for the job")
	require.Equal(t, `in "1".jsonl`, k.name.Load())
	words, _ = progress(t, server, "one")
	require.Empty(t, words, "it is forgotten")
}

func TestASoundFileIsTaken(t *testing.T) {
	t.Parallel()
	server, k := counterDesk(t, 1<<30)
	a, err := upload(t, t.Context(), server, strings.NewReader(strings.Repeat("line\n", 300_000)), "kind", "fine_tuning", "check", "")
	require.NoError(t, err)
	text := textOf(t, a)
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Contains(t, text, `name="file_id" value="file-new"`)
	require.Contains(t, text, "all valid")
	require.Contains(t, text, "1.5 MB")
	require.EqualValues(t, 1_500_000, k.bytes.Load())
}

// TestWithoutAScript the browser goes on to the form with the file in it.
func TestWithoutAScript(t *testing.T) {
	t.Parallel()
	d := open(t, &facts{}, func(o *Options) { o.API, o.Check = &keeps{most: 1000}, looks })
	send := func(file string) shown {
		var b bytes.Buffer
		form := multipart.NewWriter(&b)
		_ = form.WriteField("kind", "batch")
		part, _ := form.CreateFormFile("file", "in.jsonl")
		_, _ = part.Write([]byte(file))
		_ = form.WriteField("path", "/v1/embeddings")
		_ = form.Close()
		r := httptest.NewRequest(http.MethodPost, "/new/file", &b)
		r.Header.Set("Content-Type", form.FormDataContentType())
		return d.do(r)
	}
	require.Equal(t, "/new?kind=batch&file=file-new&path=", send("line\n").Header().Get("Location"))
	for file, want := range map[string]string{"bad\n": "twice", strings.Repeat("x", 2000): "The file is too large."} {
		s := send(file)
		require.Equal(t, http.StatusBadRequest, s.Code)
		require.Contains(t, words(s.doc), want)
		ids(t, s.doc, "/new/file")
	}
}

func TestUploadsThatAreNone(t *testing.T) {
	t.Parallel()
	d := open(t, &facts{}, func(o *Options) { o.API, o.Check = &keeps{most: 1000}, looks })
	for name, tc := range map[string]struct{ kind, body, want string }{
		"no form":          {"application/x-www-form-urlencoded", "a=b", "Choose a file to upload."},
		"no file":          {"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"kind\"\r\n\r\nbatch\r\n--x--\r\n", "Choose a file to upload."},
		"a field cut off":  {"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"kind\"\r\n\r\nba", "The upload broke off."},
		"an endless field": {"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"kind\"\r\n\r\n" + strings.Repeat("x", maxFields+1) + "\r\n--x--\r\n", "The upload broke off."},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/new/file", strings.NewReader(tc.body))
			r.Header.Set("Content-Type", tc.kind)
			s := d.do(r)
			require.Equal(t, http.StatusBadRequest, s.Code)
			require.Contains(t, words(s.doc), tc.want)
		})
	}
}

// TestUploadsLeaveNothing running or remembered, however they end: a refusal half-way, a browser that goes away.
func TestUploadsLeaveNothing(t *testing.T) { //nolint:paralleltest // it looks at all goroutines
	before := goleak.IgnoreCurrent()
	k := &keeps{most: 100_000}
	d := open(t, &facts{}, func(o *Options) { o.API, o.Check = k, looks })
	server := httptest.NewServer(d.mux)

	a, err := upload(t, t.Context(), server, strings.NewReader(strings.Repeat("line\n", 30_000)), "check", "one")
	require.NoError(t, err)
	require.Contains(t, textOf(t, a), "The file is too large.")
	require.LessOrEqual(t, k.bytes.Load(), int64(100_001), "what was refused is read no further")

	k.bytes.Store(0)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	_, err = fmt.Fprintf(conn, "POST /new/file HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 90000\r\n\r\n"+
		"--x\r\nContent-Disposition: form-data; name=\"check\"\r\n\r\ntwo\r\n--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n%s", strings.Repeat("line\n", 10_000))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return k.bytes.Load() > 0 }, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, conn.Close())
	require.Eventually(t, func() bool { _, ok := d.pages.checks.of("two"); return !ok }, 10*time.Second, 10*time.Millisecond)

	server.Close()
	goleak.VerifyNone(t, before)
	require.Empty(t, d.pages.checks.byID)
}

// TestChecksAreFew: what is remembered of uploads is bounded, whoever sends them under whatever number.
func TestChecksAreFew(t *testing.T) {
	t.Parallel()
	var c checks
	for i := range 3 * mostChecks {
		c.note(strings.Repeat("x", i%maxCheckID)+string(rune('a'+i%26)), jobs.InputCheck{Lines: int64(i)})
		require.LessOrEqual(t, len(c.byID), mostChecks)
	}
	c.note(strings.Repeat("x", maxCheckID+1), jobs.InputCheck{})
	c.note("", jobs.InputCheck{})
	_, ok := c.of("")
	require.False(t, ok)
	c.forget(strings.Repeat("x", 1) + "b") // makes room: while there is none, newcomers are told of at their end
	c.note("same", jobs.InputCheck{Lines: 1})
	c.note("same", jobs.InputCheck{Lines: 2})
	found, ok := c.of("same")
	require.True(t, ok)
	require.EqualValues(t, 2, found.Lines, "two under one number: the last word counts")
	c.forget("same")
	c.forget("same")
	_, ok = c.of("same")
	require.False(t, ok)
}

func TestWordsOfACheck(t *testing.T) {
	t.Parallel()
	problems := func(n int) (all []jobs.LineError) {
		for range n {
			all = append(all, jobs.LineError{Code: "invalid_json_line"})
		}
		return all
	}
	for want, found := range map[string]jobs.InputCheck{
		"1 line checked":                              {Lines: 1},
		"1,200 lines checked, all valid":              {Lines: 1200, Done: true},
		"5 lines checked, 1 problem":                  {Lines: 5, Problems: problems(1)},
		"50,000 lines checked, 100 problems and more": {Lines: 50_000, Problems: problems(103), Done: true},
	} {
		v := viewOf(found)
		require.Equal(t, want, v.Words)
		require.LessOrEqual(t, len(v.Problems), shownProblems)
		require.Equal(t, len(found.Problems), len(v.Problems)+v.More)
	}
}
