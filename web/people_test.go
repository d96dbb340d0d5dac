package web

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/store"
	"github.com/ringback/ringback/web/pages"
)

const pageKey = "sk-one-key-that-is-long-enough"

// withPages adds the pages over a database of their own.
func withPages(t *testing.T) func(*Options) {
	t.Helper()
	facts, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), ShardsAwake: 1, Now: time.Now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, facts.Close()) })
	return func(o *Options) {
		o.People = &People{
			Facts: facts, Check: o.Jobs.(*jobs.Service), Providers: func() []pages.Provider { return []pages.Provider{{Name: "one", Models: []string{"sim-*"}}} },
			Settings: func() []byte { return []byte("server:\n  addr: x\n") }, Schedule: []time.Duration{0, time.Minute}, Timeout: time.Second, Version: "v9.8.7", Mode: "single process",
		}
		o.PublicURL = "http://127.0.0.1:8080"
	}
}

func withKeys(keys ...string) func(*Options) { return func(o *Options) { o.Keys = keys } }

// startPages is the server with its pages. Redirects are not followed.
func startPages(t *testing.T, tweaks ...func(*Options)) *harness {
	t.Helper()
	h := start(t, append([]func(*Options){withPages(t)}, tweaks...)...)
	h.server.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return h
}

// login gives the cookie of a browser that has shown a key.
func (h *harness) login(key string) string {
	h.t.Helper()
	a := h.postForm("/login", url.Values{"key": {key}})
	require.Equal(h.t, http.StatusSeeOther, a.status, a.body)
	cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	return cookie
}

func (h *harness) postForm(path string, fields url.Values, headers ...string) answer {
	h.t.Helper()
	return h.post(path, fields.Encode(), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
}

const policyOfPages = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// browser are the headers of somebody who types an address.
var browser = []string{"Accept", "text/html,application/xhtml+xml", "Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}

// TestHeadersOfPages: each page, of errors too, forbids all that it does not need itself.
func TestHeadersOfPages(t *testing.T) {
	t.Parallel()
	h := startPages(t)
	for path, status := range map[string]int{
		"/": 200, "/jobs": 200, "/new": 200, "/webhooks": 200, "/deliveries": 200, "/files": 200, "/events": 200, "/providers": 200, "/settings": 200,
		"/jobs/none": 404, "/jobs/a%00b": 404, "/jobs/none/lines": 404, "/files/none": 404, "/webhooks/none": 404, "/webhooks/a%00b": 404, "/deliveries/none": 404, "/events/none": 404,
		"/events/a%00": 404, "/deliveries/a%00": 404, "/files/a%00": 404, "/assets/none": 404, "/nothing": 404, "/jobs/": 404,
		"/jobs?q=%00%ff&after=%00&kind=%00&status=%00": 200, "/deliveries?q=%00&endpoint=%00&type=%00&state=%00&after=%00": 200, "/events?type=%00&after=x": 200, "/files?purpose=%00": 200, "/new?from=%00&file=%00": 200,
	} {
		a := h.get(path, browser...)
		require.Equal(t, status, a.status, "%s: %s", path, a.body)
		require.Equal(t, policyOfPages, a.header.Get("Content-Security-Policy"), path)
		require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"), path)
		require.Equal(t, "same-origin", a.header.Get("Cross-Origin-Opener-Policy"), path)
		require.Equal(t, "same-origin", a.header.Get("Referrer-Policy"), path)
		require.Equal(t, "no-store", a.header.Get("Cache-Control"), path)
		require.Equal(t, "text/html; charset=utf-8", a.header.Get("Content-Type"), path)
		require.Contains(t, a.body, `aria-label="Main"`, "%s: from every page there is a way on", path)
		inlineNothing(t, a.body, path)

		head := h.do(http.MethodHead, path, "", browser...)
		require.Equal(t, status, head.status, path)
		require.Empty(t, head.body)
	}
}

func inlineNothing(t *testing.T, body, path string) {
	t.Helper()
	tokens := html.NewTokenizer(strings.NewReader(body))
	for tokens.Next() != html.ErrorToken {
		token := tokens.Token()
		require.NotEqual(t, "style", token.Data, path)
		for _, a := range token.Attr {
			require.False(t, strings.HasPrefix(a.Key, "on") || a.Key == "style", "%s: %s", path, token.String())
		}
		if token.Type == html.StartTagToken && token.Data == "script" {
			tokens.Next()
			require.Equal(t, html.EndTagToken, tokens.Token().Type, "%s: a script in the page", path)
		}
	}
}

func TestAssets(t *testing.T) {
	t.Parallel()
	h := startPages(t, withKeys(pageKey))
	page := h.get("/login", browser...).body
	at := strings.Index(page, "/assets/ringback.css?v=")
	require.Positive(t, at)
	address, _, _ := strings.Cut(page[at:], `"`)
	a := h.get(address)
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "public, max-age=31536000, immutable", a.header.Get("Cache-Control"))
	require.Equal(t, "text/css; charset=utf-8", a.header.Get("Content-Type"))
	require.Equal(t, "no-store", h.get("/assets/ringback.css?v=old").header.Get("Cache-Control"), "another version's address keeps nothing")
	require.Equal(t, "text/javascript; charset=utf-8", h.get("/assets/ringback.js").header.Get("Content-Type"))
	require.Equal(t, http.StatusNotFound, h.get("/assets/..%2fpages.go", browser...).status)
	head := h.do(http.MethodHead, address, "")
	require.Equal(t, a.header.Get("Content-Length"), head.header.Get("Content-Length"))
}

// TestErrorsAreForWhoAsked: pages for people, the envelope for programs.
func TestErrorsAreForWhoAsked(t *testing.T) {
	t.Parallel()
	h := startPages(t)
	require.Contains(t, h.get("/nothing", browser...).body, "<!doctype html>")
	require.Equal(t, "unknown_url", failure(t, h.get("/nothing")).Code)
	require.Equal(t, "unknown_url", failure(t, h.get("/nothing", "Accept", "application/json")).Code)
	require.Contains(t, h.get("/jobs/none").body, "<!doctype html>", "a page's address is a page's")
	failure(t, h.get("/jobs/none", "Accept", "application/json"))
	require.Equal(t, http.StatusNotFound, h.get("/v1/nothing", browser...).status)
	failure(t, h.get("/v1/nothing", browser...))
	not := h.do(http.MethodDelete, "/jobs", "", browser...)
	require.Equal(t, http.StatusMethodNotAllowed, not.status)
	require.Contains(t, not.body, "<!doctype html>")
}

func TestFormsAreReadWholeOrRefused(t *testing.T) {
	t.Parallel()
	h := startPages(t)
	long := h.postForm("/new", url.Values{"kind": {"generation"}, "model": {"sim-small"}, "prompt": {strings.Repeat("x", maxForm)}}, browser[:2]...)
	require.Equal(t, http.StatusRequestEntityTooLarge, long.status)
	require.Contains(t, long.body, "<!doctype html>")
	broken := h.post("/new", "kind=%zz", "Content-Type", "application/x-www-form-urlencoded")
	require.Equal(t, http.StatusBadRequest, broken.status)
	_, jobs := h.records.count()
	require.Zero(t, jobs)
}

// TestAFormMakesAJob goes through the API as a client's own request does.
func TestAFormMakesAJob(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string][]string{"off": nil, "on": {"Sec-Fetch-Site", "same-origin", "Origin", "here"}} {
		t.Run("authentication "+name, func(t *testing.T) {
			t.Parallel()
			h := startPages(t)
			if headers != nil {
				h = startPages(t, withKeys(pageKey))
				headers[3] = h.server.URL
				headers = append(headers, "Cookie", h.login(pageKey))
			}
			a := h.postForm("/new", url.Values{"kind": {"generation"}, "model": {"sim-small"}, "prompt": {"Why?"}, "name": {"one"}}, headers...)
			require.Equal(t, http.StatusSeeOther, a.status, a.body)
			made, body, _ := h.records.last()
			require.Equal(t, "/jobs/"+made.ID+"?done=submitted", a.header.Get("Location"))
			require.JSONEq(t, `{"name":"one"}`, string(made.Metadata))
			require.Contains(t, string(body), "Why?")
		})
	}
}

// TestSixtyFourStreams are the most; who comes after sees the page all the same.
func TestSixtyFourStreams(t *testing.T) {
	t.Parallel()
	h := startPages(t)
	open := func() (*http.Response, func()) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.server.URL+"/jobs", nil)
		require.NoError(t, err)
		r.Header.Set("Accept", "text/event-stream")
		answer, err := h.server.Client().Do(r)
		require.NoError(t, err)
		return answer, func() { _ = answer.Body.Close() }
	}
	var shut []func()
	for range maxStreams {
		answer, end := open()
		shut = append(shut, end)
		require.Equal(t, http.StatusOK, answer.StatusCode)
		first := make([]byte, 6)
		_, err := io.ReadFull(answer.Body, first)
		require.NoError(t, err)
		require.Equal(t, "data: ", string(first))
	}
	more, end := open()
	require.Equal(t, http.StatusTooManyRequests, more.StatusCode)
	end()
	require.Equal(t, http.StatusOK, h.get("/jobs", browser...).status)
	shut[0]()
	require.Eventually(t, func() bool {
		again, end := open()
		defer end()
		return again.StatusCode == http.StatusOK
	}, 10*time.Second, 50*time.Millisecond, "a place is free again")
	h.web.EndWaits()
	for _, end := range shut {
		end()
	}
}
