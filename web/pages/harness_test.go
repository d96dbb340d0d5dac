package pages

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/ringback/ringback/jobs"
)

// desk is the pages behind a router of the standard library, over facts in memory and an API that writes down what it is asked.
type desk struct {
	t     *testing.T
	facts *facts
	api   *api
	pages *Pages
	mux   *http.ServeMux
	log   bytes.Buffer
}

func open(t *testing.T, f *facts, tweaks ...func(*Options)) *desk {
	t.Helper()
	d := &desk{t: t, facts: f, api: &api{}}
	o := Options{
		Facts: f, API: d.api, Project: func(*http.Request) string { return jobs.DefaultProject },
		Streaming: func() (func(), error) { return func() {}, nil }, Until: context.Background(),
		Providers: func() []Provider { return nil }, Settings: func() []byte { return nil },
		Check: func(_ context.Context, _ string, _ jobs.Kind, _ string, in io.Reader, _ func(jobs.InputCheck)) (jobs.InputCheck, error) {
			_, err := io.Copy(io.Discard, in)
			return jobs.InputCheck{Done: true}, err
		},
		Schedule: []time.Duration{0, 5 * time.Minute, 2 * time.Hour}, Timeout: 10 * time.Second, PublicURL: "http://127.0.0.1:8080", Version: "v1.2.3",
		Mode: "single process", Now: func() time.Time { return noon }, Log: slog.New(slog.NewTextHandler(&d.log, nil)),
	}
	for _, tweak := range tweaks {
		tweak(&o)
	}
	d.pages = New(o)
	d.mux = http.NewServeMux()
	for _, r := range d.pages.Routes() {
		d.mux.HandleFunc(pattern(r), d.handle(r.Handler))
	}
	return d
}

// pattern is a route in the form of http.ServeMux.
func pattern(r Route) string {
	words := strings.Split(r.Path, "/")
	for i, word := range words {
		if name, ok := strings.CutPrefix(word, ":"); ok {
			words[i] = "{" + name + "}"
		}
	}
	path := strings.Join(words, "/")
	if path == "/" {
		path = "/{$}"
	}
	return r.Method + " " + path
}

// handle shows what a page fails with as package web does.
func (d *desk) handle(h Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		var e *jobs.Error
		status, message, refused := FailureOf(err)
		switch {
		case err == nil:
		case refused:
			d.pages.Fail(w, r, status, message, true)
		case jobs.IsCode(err, jobs.CodeNotFound):
			d.pages.Fail(w, r, http.StatusNotFound, err.Error(), true)
		case errors.As(err, &e):
			d.pages.Fail(w, r, http.StatusBadRequest, err.Error(), true)
		default:
			d.pages.Fail(w, r, http.StatusInternalServerError, "It went wrong.", true)
		}
	}
}

// shown is an answer of a page.
type shown struct {
	*httptest.ResponseRecorder
	doc *html.Node
}

// do sends a request; headers are name, value pairs.
func (d *desk) do(r *http.Request, headers ...string) shown {
	d.t.Helper()
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	d.mux.ServeHTTP(w, r.WithContext(d.t.Context()))
	doc, err := html.Parse(strings.NewReader(w.Body.String()))
	require.NoError(d.t, err)
	return shown{w, doc}
}

func (d *desk) get(path string, headers ...string) shown {
	d.t.Helper()
	return d.do(httptest.NewRequest(http.MethodGet, path, nil), headers...)
}

// post sends a form; fields are name, value pairs.
func (d *desk) post(path string, fields url.Values, headers ...string) shown {
	d.t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(fields.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return d.do(r, headers...)
}

// api answers as the JSON API does, and writes down what it was asked.
type api struct {
	mu     sync.Mutex
	asked  []ask
	status int    // of the next answers; zero is 200
	answer string // the next answers; "{}" for none
	handle http.Handler
}

type ask struct {
	method, path, body string
	header             http.Header
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.handle != nil {
		a.handle.ServeHTTP(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, ask{r.Method, r.URL.RequestURI(), string(body), r.Header})
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	if a.answer == "" {
		a.answer = "{}"
	}
	_, _ = w.Write([]byte(a.answer))
}

// refuse makes the API answer as it does to a fault in a field.
func (a *api) refuse(status int, message, param string) {
	a.status, a.answer = status, string(encoded(map[string]any{"error": map[string]any{"message": message, "type": "invalid_request_error", "param": param, "code": nil}}))
}

func (a *api) last(t *testing.T) ask {
	t.Helper()
	require.NotEmpty(t, a.asked, "the API was not asked")
	return a.asked[len(a.asked)-1]
}

// all gives the elements of a document for which want holds, in their order. What a <template> holds is left out.
func all(n *html.Node, want func(*html.Node) bool) (found []*html.Node) {
	if n.Type == html.ElementNode && n.Data == "template" {
		return nil
	}
	if n.Type == html.ElementNode && want(n) {
		found = append(found, n)
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		found = append(found, all(c, want)...)
	}
	return found
}

func elements(n *html.Node, names ...string) []*html.Node {
	return all(n, func(e *html.Node) bool {
		for _, name := range names {
			if e.Data == name {
				return true
			}
		}
		return false
	})
}

// having gives those that have an attribute of that value; "" is any.
func having(n *html.Node, name, value string) []*html.Node {
	return all(n, func(e *html.Node) bool {
		got, ok := attribute(e, name)
		return ok && (value == "" || got == value)
	})
}

func attribute(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func value(n *html.Node, name string) string {
	v, _ := attribute(n, name)
	return v
}

// words are the text in an element, its white space made one space.
func words(n *html.Node) string {
	var b strings.Builder
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.TextNode {
			b.WriteString(n.Data + " ")
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(n)
	return strings.Join(strings.Fields(b.String()), " ")
}

// field is what a form's field was filled in with.
func (s shown) field(t *testing.T, name string) string {
	t.Helper()
	found := having(s.doc, "name", name)
	require.NotEmpty(t, found, "no field %s", name)
	if found[0].Data == "textarea" {
		if found[0].FirstChild == nil {
			return ""
		}
		return found[0].FirstChild.Data
	}
	return value(found[0], "value")
}
