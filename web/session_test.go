package web

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/web/pages"
)

func TestTheLoginPage(t *testing.T) {
	t.Parallel()
	h := startPages(t, withKeys(pageKey, "sk-another-key"))
	a := h.get("/login", browser...)
	require.Equal(t, http.StatusOK, a.status)
	require.NotContains(t, a.body, "v9.8.7", "it tells nothing of what is behind it")
	for _, wrong := range []string{"", "x", pageKey + "x", pageKey[1:], "sk-another-key-", strings.Repeat("x", 100_000)} {
		a := h.postForm("/login", url.Values{"key": {wrong}, "to": {"/jobs"}})
		require.Equal(t, http.StatusUnauthorized, a.status)
		require.Empty(t, a.header.Get("Set-Cookie"))
		if wrong != "" && wrong != "x" {
			require.NotContains(t, a.body, wrong)
		}
		require.Contains(t, a.body, `value="/jobs"`, "the way back is kept")
	}
	right := h.postForm("/login", url.Values{"key": {" " + pageKey + "\n"}, "to": {"/jobs?q=a b"}})
	require.Equal(t, http.StatusSeeOther, right.status)
	require.Equal(t, "/jobs?q=a b", right.header.Get("Location"))
	cookie := right.header.Get("Set-Cookie")
	for _, part := range []string{"Path=/", "HttpOnly", "SameSite=Lax", "Expires="} {
		require.Contains(t, cookie, part)
	}
	require.NotContains(t, cookie, "Secure", "it is reached over HTTP")
	for _, secret := range []string{pageKey, "sk-another-key", strings.Repeat("x", 100)} {
		require.NotContains(t, h.log.String(), secret)
		require.NotContains(t, cookie, secret)
	}
}

func TestACookieOverTLSAlone(t *testing.T) {
	t.Parallel()
	h := startPages(t, withKeys(pageKey), func(o *Options) { o.PublicURL = "https://ringback.example" })
	require.Contains(t, h.postForm("/login", url.Values{"key": {pageKey}}).header.Get("Set-Cookie"), "; Secure")
}

func TestNobodyHasToLogInWithoutKeys(t *testing.T) {
	t.Parallel()
	h := startPages(t)
	require.Equal(t, http.StatusOK, h.get("/jobs", browser...).status)
	for _, a := range []answer{h.get("/login?to=/jobs"), h.postForm("/login", url.Values{"key": {"x"}})} {
		require.Equal(t, http.StatusSeeOther, a.status)
		require.Equal(t, "/", a.header.Get("Location"))
	}
	require.NotContains(t, h.get("/jobs", browser...).body, "Log out")
}

// TestASession is good wherever its key is known, for twelve hours, and as it was given.
func TestASession(t *testing.T) {
	t.Parallel()
	var past atomic.Int64
	clock := func(o *Options) { o.Now = func() time.Time { return fixedNow().Add(time.Duration(past.Load())) } }
	one, two := startPages(t, withKeys("sk-before", pageKey), clock), startPages(t, withKeys(pageKey), clock)
	other := startPages(t, withKeys("sk-before"), clock)
	cookie := one.login(pageKey)
	in := func(h *harness, cookie string) bool {
		page, api := h.get("/jobs", append(browser, "Cookie", cookie)...), h.get("/v1/files", "Cookie", cookie)
		require.Equal(t, page.status == http.StatusOK, api.status == http.StatusOK, "pages and the API agree")
		return page.status == http.StatusOK
	}
	require.True(t, in(one, cookie))
	require.True(t, in(two, cookie), "another process with the key")
	require.False(t, in(other, cookie), "the key is gone, and its sessions with it")
	require.False(t, in(one, ""))
	require.False(t, in(one, pages.SessionCookie+"="))

	text, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(cookie, pages.SessionCookie+"="))
	require.NoError(t, err)
	for i := range text {
		altered := append([]byte(nil), text...)
		altered[i] ^= 1
		require.False(t, one.web.sessions.in(&http.Request{Header: http.Header{"Cookie": {pages.SessionCookie + "=" + base64.RawURLEncoding.EncodeToString(altered)}}}), i)
	}
	require.False(t, in(one, cookie+"A"))
	require.False(t, in(one, cookie+"="))

	past.Store(int64(sessionLife - time.Second))
	require.True(t, in(one, cookie))
	past.Store(int64(sessionLife))
	require.False(t, in(one, cookie), "twelve hours are over")
	past.Store(-int64(time.Hour))
	require.False(t, in(one, cookie), "an end that is further away than any that is given")
}

// TestASessionIsNotForOtherSites: their pages can make a browser send its cookie.
func TestASessionIsNotForOtherSites(t *testing.T) {
	t.Parallel()
	h := startPages(t, withKeys(pageKey))
	cookie := h.login(pageKey)
	site := func(site string, more ...string) []string {
		return append([]string{"Cookie", cookie, "Sec-Fetch-Site", site}, more...)
	}
	form := []string{"Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html"}
	for _, from := range []string{"cross-site", "same-site"} {
		for name, a := range map[string]answer{
			"a form":       h.post("/new", "kind=generation&model=sim-small&prompt=x", site(from, form...)...),
			"an upload":    h.post("/new/file", "", site(from, "Content-Type", "multipart/form-data; boundary=x")...),
			"a fetch":      h.get("/jobs", site(from, "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty")...),
			"a frame":      h.get("/jobs", site(from, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe")...),
			"the API":      h.get("/v1/files", site(from, "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty")...),
			"the API's":    h.post("/v1/generate", `{"model":"sim-small","input":"x"}`, site(from)...),
			"the log out":  h.post("/logout", "", site(from, append(form, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")...)...),
			"another page": h.post("/v1/generate", `{"model":"sim-small","input":"x"}`, "Cookie", cookie, "Origin", "https://evil.example"),
			"no page":      h.post("/v1/generate", `{"model":"sim-small","input":"x"}`, "Cookie", cookie, "Origin", "null"),
		} {
			require.NotEqual(t, http.StatusOK, a.status, "%s from %s", name, from)
			require.NotContains(t, a.body, "v9.8.7", "%s from %s is shown nothing", name, from)
			require.Empty(t, a.header.Get("Set-Cookie"), name)
		}
		require.Equal(t, http.StatusOK, h.get("/jobs", site(from, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")...).status, "a link that was followed")
	}
	_, jobs := h.records.count()
	require.Zero(t, jobs)
	require.Equal(t, http.StatusOK, h.get("/v1/files", site("same-origin")...).status, "a download from a page of ours")
	require.Equal(t, http.StatusAccepted, h.post("/v1/generate", `{"model":"sim-small","input":"x"}`, "Cookie", cookie, "Origin", h.server.URL).status)
}

func TestTheWayToLogin(t *testing.T) {
	t.Parallel()
	h := startPages(t, withKeys(pageKey))
	for path, want := range map[string]string{
		"/": "/login", "/jobs?q=a%20b&x=1": "/login?to=%2Fjobs%3Fq%3Da%2520b%26x%3D1", "/nothing": "/login?to=%2Fnothing", "/jobs/x": "/login?to=%2Fjobs%2Fx",
	} {
		a := h.get(path, browser...)
		require.Equal(t, http.StatusSeeOther, a.status, path)
		require.Equal(t, want, a.header.Get("Location"))
		script := h.get(path, append(browser, "HX-Request", "true")...)
		require.Equal(t, http.StatusNoContent, script.status)
		require.Equal(t, want, script.header.Get("HX-Redirect"))
		require.Empty(t, script.body)
	}
	a := h.postForm("/jobs/x/cancel", nil, browser...)
	require.Equal(t, "/login", a.header.Get("Location"), "a form is not sent again")
	for _, away := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "/\t/evil.example", "/\n/evil.example", "javascript:alert(1)", "evil", "", "/%", "http:/x", "///x", `\\x`} {
		a := h.postForm("/login", url.Values{"key": {pageKey}, "to": {away}})
		require.Equal(t, "/", a.header.Get("Location"), "%q", away)
		shown := h.get("/login?to="+url.QueryEscape(away), browser...)
		require.Contains(t, shown.body, `name="to" value="/"`, "%q", away)
	}
	failure(t, h.get("/v1/files"))
	require.Equal(t, http.StatusUnauthorized, h.get("/v1/files", browser...).status, "the API sends nobody to a page")
	require.Equal(t, http.StatusUnauthorized, h.get("/jobs", "Accept", "application/json").status)
}

// TestWhoIsNotLetIn learns nothing from an error's page.
func TestWhoIsNotLetIn(t *testing.T) {
	t.Parallel()
	locked, open := startPages(t, withKeys(pageKey)), startPages(t)
	for name, a := range map[string]answer{
		"an asset that is not there": locked.get("/assets/none", browser...),
		"a key that is none":         locked.get("/jobs", append(browser, "Authorization", "Bearer wrong")...),
		"a form that is too long":    locked.postForm("/login", url.Values{"key": {strings.Repeat("x", 2<<20)}}, browser...),
		"a name that is not served":  open.get("/jobs", append(browser, "Host", "evil.example")...),
		"another site's page":        open.get("/jobs", "Accept", "text/html", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"),
	} {
		require.GreaterOrEqual(t, a.status, 400, name)
		require.Contains(t, a.body, "<h1>", name)
		require.Equal(t, policyOfPages, a.header.Get("Content-Security-Policy"), name)
		for _, told := range []string{"v9.8.7", "single process", `aria-label="Main"`, "default</strong>"} {
			require.NotContains(t, a.body, told, name)
		}
	}
}

func TestBearersSeePages(t *testing.T) {
	t.Parallel()
	h := startPages(t, withKeys(pageKey))
	require.Equal(t, http.StatusOK, h.get("/jobs", "Authorization", "Bearer "+pageKey).status)
	a := h.get("/jobs", "Authorization", "Bearer wrong")
	require.Equal(t, http.StatusUnauthorized, a.status)
	require.Equal(t, "Bearer", a.header.Get("WWW-Authenticate"))
	require.NotContains(t, h.log.String(), "wrong")
	nothing := h.get("/nothing", append(browser, "Authorization", "Bearer "+pageKey)...)
	require.Contains(t, nothing.body, `aria-label="Main"`)
}

func TestLogOut(t *testing.T) {
	t.Parallel()
	h := startPages(t, withKeys(pageKey))
	a := h.post("/logout", "", "Cookie", h.login(pageKey), "Sec-Fetch-Site", "same-origin")
	require.Equal(t, http.StatusSeeOther, a.status)
	require.Equal(t, "/login", a.header.Get("Location"))
	require.Contains(t, a.header.Get("Set-Cookie"), pages.SessionCookie+"=; ")
	require.Contains(t, a.header.Get("Set-Cookie"), "Max-Age=0")
}
