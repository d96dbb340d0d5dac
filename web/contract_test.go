package web

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/web/openapi/contract"
)

// document is the API's document, read once for all tests.
var document = sync.OnceValues(contract.Load)

// checked is a handler each of whose answers must be as the document says, and so each request that it accepts. Every test
// of this package asks through it. While real says that the test has made the answers up, they are not looked at.
func checked(t *testing.T, h http.Handler, real func() bool) http.Handler {
	t.Helper()
	c, err := document()
	require.NoError(t, err)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, got := &copied{}, &overheard{ResponseWriter: w, status: http.StatusOK}
		handed := r.WithContext(r.Context()) // net/http must know the body that it gave
		handed.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(r.Body, sent), r.Body}
		defer func() {
			cut := recover()
			if err := judge(c, r, sent, got, cut != nil); err != nil && real() {
				t.Errorf("%s %s: %d: %v\nsent: %.1000s\ngot: %.2000s", r.Method, r.URL, got.status, err, sent.text.String(), got.body.text.String())
			}
			if cut != nil {
				panic(cut)
			}
		}()
		h.ServeHTTP(got, handed)
	})
}

func judge(c *contract.Contract, r *http.Request, sent *copied, got *overheard, cut bool) error {
	body := got.body.text.Bytes()
	torn := strings.HasPrefix(got.Header().Get("Content-Type"), "application/json") && (cut || got.body.long)
	if clientLeft(r) || torn || ofPages(r.URL.Path) || r.Header.Get("HX-Request") != "" || strings.HasPrefix(got.Header().Get("Content-Type"), "text/html") && r.URL.Path != docsPath {
		return nil
	}
	if err := c.Answer(r, got.status, got.Header(), body); err != nil {
		return err
	}
	if got.status >= http.StatusMultipleChoices || sent.long {
		return nil
	}
	return c.Request(r, sent.text.Bytes())
}

// ofPages tells whether a path is of the pages for people, of which the document says nothing.
func ofPages(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return slices.Contains([]string{"", "jobs", "new", "webhooks", "deliveries", "files", "events", "providers", "settings", "assets", "login", "logout"}, first)
}

func clientLeft(r *http.Request) bool { return r.Context().Err() != nil }

// copied is the beginning of what passed.
type copied struct {
	text bytes.Buffer
	long bool // there was more
}

func (c *copied) Write(p []byte) (int, error) {
	const most = 1 << 20
	if c.text.Len()+len(p) > most {
		c.long = true
		return len(p), nil
	}
	return c.text.Write(p)
}

type overheard struct {
	http.ResponseWriter
	status int
	body   copied
}

func (o *overheard) WriteHeader(status int) {
	o.status = status
	o.ResponseWriter.WriteHeader(status)
}

func (o *overheard) Write(p []byte) (int, error) {
	n, err := o.ResponseWriter.Write(p)
	_, _ = o.body.Write(p[:n])
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (o *overheard) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// The routes and the document name the same. HEAD goes with GET.
func TestRoutesAndDocumentAgree(t *testing.T) {
	t.Parallel()
	c, err := document()
	require.NoError(t, err)
	h := start(t, func(o *Options) { o.Metrics = http.NotFoundHandler() })
	var served, heads, described []string
	for _, r := range h.web.engine.Routes() {
		if r.Method == http.MethodHead {
			heads = append(heads, r.Path)
			continue
		}
		served = append(served, r.Method+" "+documented(r.Path))
	}
	for _, r := range c.Routes() {
		described = append(described, r.Method+" "+r.Path)
		if r.Method == http.MethodGet && r.Path != metricsPath {
			require.True(t, slices.ContainsFunc(heads, func(path string) bool { return documented(path) == r.Path }), "HEAD %s", r.Path)
		}
	}
	require.ElementsMatch(t, described, served)
}

// documented is gin's pattern as the document writes it.
func documented(pattern string) string {
	segments := strings.Split(pattern, "/")
	for i, s := range segments {
		if strings.HasPrefix(s, ":") || strings.HasPrefix(s, "*") {
			segments[i] = "{" + s[1:] + "}"
		}
	}
	return strings.Join(segments, "/")
}

// What is not as the document says is noticed.
func TestAWrongAnswerIsNoticed(t *testing.T) {
	t.Parallel()
	c, err := document()
	require.NoError(t, err)
	asJSON := http.Header{"Content-Type": {"application/json"}}
	const file = `{"id":"file-1","object":"file","bytes":1,"created_at":1,"expires_at":null,"filename":"a","purpose":"batch","status":"processed","status_details":null}`
	for _, tt := range []struct {
		name, method, path string
		status             int
		header             http.Header
		body, want         string
	}{
		{"as it should be", "GET", "/v1/files/file-1", 200, asJSON, file, ""},
		{"HEAD", "HEAD", "/v1/files/file-1", 200, asJSON, "", ""},
		{"another status", "GET", "/v1/files/file-1", 201, asJSON, file, "names no answer 201"},
		{"another content type", "GET", "/v1/files/file-1", 200, http.Header{"Content-Type": {"text/plain"}}, file, "names no content type text/plain"},
		{"another field", "GET", "/v1/files/file-1", 200, asJSON, strings.Replace(file, "{", `{"new":1,`, 1), "additional properties 'new' not allowed"},
		{"a field that lacks", "GET", "/v1/files/file-1", 200, asJSON, strings.Replace(file, `"bytes":1,`, "", 1), "missing property 'bytes'"},
		{"a field of another type", "GET", "/v1/files/file-1", 200, asJSON, strings.Replace(file, `"bytes":1`, `"bytes":"1"`, 1), "got string, want integer"},
		{"another code", "GET", "/v1/files/file-1", 404, asJSON, `{"error":{"message":"","type":"invalid_request_error","param":null,"code":"gone"}}`, "got string, want null"},
		{"a field too many in a whole of parts", "GET", "/v1/jobs/x", 200, asJSON, `{"new":1}`, "jsonschema validation failed"},
		{"an unknown route that answers", "GET", "/v1/poems", 200, asJSON, `{}`, "no such route"},
		{"a bad line", "GET", "/v1/batches/x/results", 200, http.Header{"Content-Type": {"application/x-ndjson"}}, "{}\n", "missing properties"},
		{"a bad event", "GET", "/v1/events/stream", 200, http.Header{"Content-Type": {"text/event-stream"}}, "id: 1\ndata: {}\n\n", "missing properties"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := http.NewRequestWithContext(t.Context(), tt.method, tt.path, nil)
			require.NoError(t, err)
			err = c.Answer(r, tt.status, tt.header, []byte(tt.body))
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.want)
		})
	}
}

// Each code of the table of errors stands in the document, under its status.
func TestTheDocumentNamesEachError(t *testing.T) {
	t.Parallel()
	c, err := document()
	require.NoError(t, err)
	for code, sh := range shapes {
		require.True(t, c.Tells(sh.status, encodeError(jobs.Errorf(code, "", "m"), sh)), "%d %s", sh.status, code)
	}
	require.False(t, c.Tells(http.StatusBadRequest, encodeError(jobs.Errorf("made_up", "", "m"), shape{typ: typeRequest})))
}
