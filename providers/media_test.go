package providers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// media starts an upstream with one kind of jobs under /v1/videos.
func media(t *testing.T, handler http.HandlerFunc, c MediaConfig, change ...func(*Options, *Config)) *Media {
	t.Helper()
	c.Path = "/v1/videos"
	p := upstream(t, handler, append(change, func(_ *Options, all *Config) { all.Media = []MediaConfig{c} })...)
	m, ok := p.Media("/v1/videos")
	require.True(t, ok)
	_, ok = p.Media("/v1/other")
	require.False(t, ok)
	return m
}

func TestMediaSubmits(t *testing.T) {
	t.Parallel()
	const body = `{"prompt":"a cat", "n":1.0}`
	var got *http.Request
	var said []byte
	m := media(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		said, _ = io.ReadAll(r.Body)
		answer(200, jsonType, `{"data":[{"id":"video_1"}],"error":null}`)(w, r)
	}, MediaConfig{ID: "data.0.id"}, func(_ *Options, c *Config) { c.BaseURL += "?v=2" })
	id, a, err := m.Submit(t.Context(), []byte(body), "job-1")
	require.NoError(t, err)
	require.Equal(t, "video_1", id)
	require.Contains(t, string(a.Body), "video_1")
	require.Equal(t, body, string(said))
	require.Equal(t, "POST /v1/videos?v=2", got.Method+" "+got.RequestURI)
	require.Equal(t, "job-1", got.Header.Get("Idempotency-Key"))
	require.Equal(t, "Bearer sk-test-0123456789", got.Header.Get("Authorization"))
	_, _, err = m.Submit(t.Context(), []byte(body), "")
	require.NoError(t, err)
	require.Empty(t, got.Header.Values("Idempotency-Key"))
	require.Equal(t, time.Second, m.Every())
}

func TestMediaSubmitFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		kind   Kind
		retry  bool
	}{
		"429":         {429, limitBody, RateLimited, true},
		"an error":    {200, badBody, Rejected, false},
		"no ID":       {200, `{"name":"x"}`, InvalidAnswer, false},
		"an empty ID": {200, `{"id":""}`, InvalidAnswer, false},
		"a step up":   {200, `{"id":"a/../b"}`, InvalidAnswer, false},
		"an object":   {200, `{"id":{}}`, InvalidAnswer, false},
		"a number":    {200, `{"id":12345678901234567890}`, "", false},
	} {
		id, _, err := media(t, answer(test.status, jsonType, test.body), MediaConfig{}).Submit(t.Context(), []byte(`{}`), "k")
		if test.kind == "" {
			require.NoError(t, err)
			require.Equal(t, "12345678901234567890", id)
			continue
		}
		require.Equal(t, test.kind, AsError(err).Kind, name)
		require.Equal(t, test.retry, AsError(err).Retry, name)
	}
}

func TestMediaPolls(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 2000)
	own := MediaConfig{
		Poll: "/v1/queue/{id}/state", Status: "job.state", Done: []string{"OK"}, Failed: []string{"KO"}, Error: "why", Progress: "job.percent",
	}
	for name, test := range map[string]struct {
		c    MediaConfig
		body string
		want MediaState // without Answer
	}{
		"queued":               {MediaConfig{}, `{"status":"queued"}`, MediaState{Status: "queued"}},
		"in progress":          {MediaConfig{}, `{"status":"in_progress","progress":33.5,"error":null}`, MediaState{Status: "in_progress", Progress: 33.5}},
		"completed":            {MediaConfig{}, `{"status":"completed","progress":100}`, MediaState{Done: true, Status: "completed", Progress: 100}},
		"in capitals":          {MediaConfig{}, `{"status":"SUCCEEDED"}`, MediaState{Done: true, Status: "SUCCEEDED"}},
		"failed":               {MediaConfig{}, `{"status":"failed","error":{"code":"x","message":"too odd"}}`, MediaState{Failed: true, Status: "failed", Error: "too odd"}},
		"failed at length":     {MediaConfig{}, `{"status":"failed","error":{"message":"a` + long + `"}}`, MediaState{Failed: true, Status: "failed", Error: "a" + long[:1998]}},
		"failed with the key":  {MediaConfig{}, `{"status":"failed","error":{"message":"sk-test-0123456789"}}`, MediaState{Failed: true, Status: "failed"}},
		"odd progress":         {MediaConfig{}, `{"status":"running","progress":1e9}`, MediaState{Status: "running", Progress: 100}},
		"progress below none":  {MediaConfig{}, `{"status":"running","progress":-1}`, MediaState{Status: "running"}},
		"its own: done":        {own, `{"job":{"state":"OK","percent":"50"}}`, MediaState{Done: true, Status: "OK", Progress: 50}},
		"its own: failed":      {own, `{"job":{"state":"KO"},"why":"no"}`, MediaState{Failed: true, Status: "KO", Error: "no"}},
		"its own: as a number": {MediaConfig{Done: []string{"2"}}, `{"status":2}`, MediaState{Done: true, Status: "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked string
			m := media(t, func(w http.ResponseWriter, r *http.Request) {
				asked = r.Method + " " + r.RequestURI
				answer(200, jsonType, test.body)(w, r)
			}, test.c)
			got, err := m.Poll(t.Context(), "org/a b")
			require.NoError(t, err)
			require.Equal(t, test.body, string(got.Answer.Body))
			got.Answer = Answer{}
			require.Equal(t, test.want, got)
			want := "GET /v1/videos/org%2Fa%20b"
			if test.c.Poll != "" {
				want = "GET /v1/queue/org%2Fa%20b/state"
			}
			require.Equal(t, want, asked)
		})
	}
}

func TestMediaPollFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status      int
		contentType string
		body, id    string
		kind        Kind
		retry       bool
	}{
		"404":                      {404, jsonType, badBody, "a", Rejected, false},
		"503":                      {503, jsonType, serverBody, "a", Overloaded, true},
		"no state":                 {200, jsonType, `{"id":"a"}`, "a", InvalidAnswer, true},
		"no state but an error":    {200, jsonType, badBody, "a", Rejected, false},
		"a page":                   {200, "text/html", `<html>`, "a", InvalidAnswer, true},
		"a state that is an array": {200, jsonType, `{"status":[]}`, "a", InvalidAnswer, true},
		"an ID that leads up":      {200, jsonType, `{"status":"completed"}`, "..", Rejected, false},
	} {
		_, err := media(t, answer(test.status, test.contentType, test.body), MediaConfig{}).Poll(t.Context(), test.id)
		require.NotNil(t, AsError(err), name)
		require.Equal(t, test.kind, AsError(err).Kind, name)
		require.Equal(t, test.retry, AsError(err).Retry, name)
	}
}

func TestMediaCancels(t *testing.T) {
	t.Parallel()
	var asked []string
	handler := func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.RequestURI)
		w.WriteHeader(http.StatusNoContent)
	}
	for _, c := range []string{"", "DELETE /v1/videos/{id}", "POST /v1/x/{id}/cancel"} {
		require.NoError(t, media(t, handler, MediaConfig{Cancel: c}).Cancel(t.Context(), "a/b"))
	}
	require.Equal(t, []string{"DELETE /v1/videos/a%2Fb", "POST /v1/x/a%2Fb/cancel"}, asked)
	err := media(t, answer(409, jsonType, badBody), MediaConfig{Cancel: "DELETE /v1/videos/{id}"}).Cancel(t.Context(), "a")
	require.Equal(t, Rejected, AsError(err).Kind)
}

func done(body string) MediaState {
	return MediaState{Done: true, Answer: Answer{ContentType: jsonType, Body: []byte(body)}}
}

func fetched(t *testing.T, m *Media, state MediaState) (string, string, error) {
	t.Helper()
	result, err := m.Fetch(t.Context(), "a b", state)
	if err != nil {
		require.NotNil(t, AsError(err))
		return "", "", err
	}
	body, err := io.ReadAll(result.Body)
	require.NoError(t, result.Body.Close())
	return result.ContentType, string(body), err
}

func TestMediaFetchesFromAPath(t *testing.T) {
	t.Parallel()
	var got *http.Request
	m := media(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		answer(200, "video/mp4", "\x00mp4")(w, r)
	}, MediaConfig{Fetch: "/v1/videos/{id}/content"}, func(_ *Options, c *Config) { c.BaseURL += "?v=2" })
	contentType, body, err := fetched(t, m, done(`{}`))
	require.NoError(t, err)
	require.Equal(t, "video/mp4 \x00mp4", contentType+" "+body)
	require.Equal(t, "GET /v1/videos/a%20b/content?v=2", got.Method+" "+got.RequestURI)
	require.Equal(t, "Bearer sk-test-0123456789", got.Header.Get("Authorization"))
	require.Equal(t, "*/*", got.Header.Get("Accept"))
	_, err = m.Fetch(t.Context(), "../x", done(`{}`))
	require.Equal(t, Rejected, AsError(err).Kind)
}

func TestMediaFetchesFromTheAnswer(t *testing.T) {
	t.Parallel()
	m := media(t, answer(500, "", ""), MediaConfig{})
	contentType, body, err := fetched(t, m, done(`{"text": "x"}`))
	require.NoError(t, err)
	require.Equal(t, jsonType+` {"text": "x"}`, contentType+" "+body)
}

func TestMediaFetchFails(t *testing.T) {
	t.Parallel()
	cut := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Header().Set("Content-Type", "video/mp4")
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	unsized := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "video/mp4")
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, strings.Repeat("x", 1001))
	}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		kind    Kind
	}{
		"404":                   {answer(404, jsonType, badBody), Rejected},
		"502":                   {answer(502, "text/html", "<html>"), Overloaded},
		"a page":                {answer(200, "text/html", "<html>"), InvalidAnswer},
		"too long":              {answer(200, "video/mp4", strings.Repeat("x", 1001)), AnswerTooLarge},
		"too long without size": {unsized, AnswerTooLarge},
		"cut":                   {cut, Connection},
		"a redirect to nowhere": {answer(302, "", ""), Rejected},
		"redirects in a ring":   {answer(302, "", "", "Location", "/v1/videos/x"), Rejected},
	} {
		m := media(t, test.handler, MediaConfig{Fetch: "/v1/videos/{id}/content"}, func(o *Options, _ *Config) { o.MediaBytes = 1000 })
		_, body, err := fetched(t, m, done(`{}`))
		require.NotNil(t, AsError(err), name)
		require.Equal(t, test.kind, AsError(err).Kind, name)
		require.LessOrEqual(t, len(body), 1000, name)
	}
}

func TestMediaFetchStopsWithItsCaller(t *testing.T) {
	t.Parallel()
	m := media(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "video/mp4")
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}, MediaConfig{Fetch: "/v1/videos/{id}/content"})
	ctx, cancel := context.WithCancel(t.Context())
	result, err := m.Fetch(ctx, "a", done(`{}`))
	require.NoError(t, err)
	_, err = io.ReadFull(result.Body, make([]byte, 4))
	require.NoError(t, err)
	cancel()
	_, err = io.ReadAll(result.Body)
	require.Equal(t, Canceled, AsError(err).Kind)
	require.NoError(t, result.Body.Close())
}

// A silent upstream ends both the wait for the head and that for the next byte.
func TestMediaFetchEndsInSilence(t *testing.T) {
	t.Parallel()
	for _, head := range []bool{false, true} {
		m := media(t, func(w http.ResponseWriter, r *http.Request) {
			if head {
				w.Header().Set("Content-Type", "video/mp4")
				w.(http.Flusher).Flush()
			}
			<-r.Context().Done()
		}, MediaConfig{Fetch: "/v1/videos/{id}/content"}, func(_ *Options, c *Config) { c.Timeout = 50 * time.Millisecond })
		_, _, err := fetched(t, m, done(`{}`))
		require.NotNil(t, AsError(err))
		require.Equal(t, Timeout, AsError(err).Kind)
	}
}

// elsewhere is a second host, over TLS, and what it was asked with.
func elsewhere(t *testing.T, handler http.HandlerFunc) (server *httptest.Server, asked *atomic.Pointer[http.Request]) {
	t.Helper()
	asked = new(atomic.Pointer[http.Request])
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r)
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	return server, asked
}

// trusting lets a test's own host count as public.
func trusting(m *Media, server *httptest.Server) *Media {
	m.outside = newOutside(func(netip.Addr) bool { return true })
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	m.outside.TLSClientConfig = &tls.Config{RootCAs: pool}
	return m
}

func TestMediaFetchesFromAURLWithoutTheKey(t *testing.T) {
	t.Parallel()
	server, asked := elsewhere(t, answer(200, "video/mp4", "mp4"))
	m := trusting(media(t, answer(500, "", ""), MediaConfig{URL: "output.0"}, func(_ *Options, c *Config) {
		c.Headers = map[string]string{"X-Secret": "header-value"}
	}), server)
	contentType, body, err := fetched(t, m, done(`{"output":["`+server.URL+`/x?sig=a%2Fb"]}`))
	require.NoError(t, err)
	require.Equal(t, "video/mp4 mp4", contentType+" "+body)
	require.Equal(t, "/x?sig=a%2Fb", asked.Load().RequestURI)
	require.Equal(t, http.Header{"Accept": {"*/*"}, "User-Agent": {"ringback"}, "Connection": {"close"}}, asked.Load().Header)
}

func TestMediaFetchesFromAURLOfItsOwnHost(t *testing.T) {
	t.Parallel()
	var got *http.Request
	m := media(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		answer(200, "video/mp4", "mp4")(w, r)
	}, MediaConfig{URL: "url"})
	_, body, err := fetched(t, m, done(`{"url":"`+m.p.base.Scheme+"://"+m.p.base.Host+`/files/x"}`))
	require.NoError(t, err)
	require.Equal(t, "mp4", body)
	require.Equal(t, "/files/x", got.RequestURI)
	require.Equal(t, "Bearer sk-test-0123456789", got.Header.Get("Authorization"))
}

func TestMediaFetchesNothingFromWithin(t *testing.T) {
	t.Parallel()
	server, asked := elsewhere(t, answer(200, "video/mp4", "mp4"))
	plain := httptest.NewServer(answer(200, "video/mp4", "mp4"))
	t.Cleanup(plain.Close)
	m := media(t, answer(200, "video/mp4", "mp4"), MediaConfig{URL: "url"})
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "https://"), ":")
	for _, url := range []string{
		server.URL, plain.URL, "https://localhost:" + port, "https://[::ffff:127.0.0.1]:" + port, "https://2130706433:" + port,
		"https://0.0.0.0:" + port, "https://169.254.169.254/latest", "http://example.com/x", "file:///etc/passwd", "/files/x", "gopher://example.com",
		"https://user:pass@" + m.p.base.Host, m.p.base.Scheme + "://user@" + m.p.base.Host + "/x", "", "https://",
	} {
		_, _, err := fetched(t, m, done(`{"url":"`+url+`"}`))
		require.NotNil(t, AsError(err), url)
		require.Contains(t, []Kind{Rejected, InvalidAnswer, Connection}, AsError(err).Kind, url)
		require.NotContains(t, err.Error(), "127.0.0.1")
	}
	require.Nil(t, asked.Load())
}

// What may be dialled is still asked over https alone, and without a user.
func TestMediaFetchesFromElsewhereOverHTTPSOnly(t *testing.T) {
	t.Parallel()
	server, asked := elsewhere(t, answer(200, "video/mp4", "mp4"))
	plain := httptest.NewServer(server.Config.Handler)
	t.Cleanup(plain.Close)
	m := trusting(media(t, answer(500, "", ""), MediaConfig{URL: "url"}), server)
	for _, url := range []string{plain.URL, strings.Replace(server.URL, "://", "://user:pass@", 1)} {
		_, _, err := fetched(t, m, done(`{"url":"`+url+`"}`))
		require.NotNil(t, AsError(err), url)
		require.Equal(t, Rejected, AsError(err).Kind)
	}
	require.Nil(t, asked.Load())
}

// A length that is declared is refused before a byte is read.
func TestMediaFetchRefusesADeclaredLengthAtOnce(t *testing.T) {
	t.Parallel()
	m := media(t, answer(200, "video/mp4", strings.Repeat("x", 1001)), MediaConfig{Fetch: "/v1/videos/{id}/content"},
		func(o *Options, _ *Config) { o.MediaBytes = 1000 })
	_, err := m.Fetch(t.Context(), "a", done(`{}`))
	require.NotNil(t, AsError(err))
	require.Equal(t, AnswerTooLarge, AsError(err).Kind)
}

func TestMediaFetchFollowsRedirectsWithoutTheKey(t *testing.T) {
	t.Parallel()
	server, asked := elsewhere(t, answer(200, "video/mp4", "mp4"))
	var hops []http.Header
	m := trusting(media(t, func(w http.ResponseWriter, r *http.Request) {
		hops = append(hops, r.Header)
		to := "/v1/second"
		if r.URL.Path == to {
			to = server.URL + "/third"
		}
		answer(307, "", "", "Location", to)(w, r)
	}, MediaConfig{Fetch: "/v1/videos/{id}/content"}), server)
	_, body, err := fetched(t, m, done(`{}`))
	require.NoError(t, err)
	require.Equal(t, "mp4", body)
	require.Len(t, hops, 2)
	require.NotEmpty(t, hops[0].Get("Authorization"))
	require.Empty(t, hops[1].Get("Authorization"))
	require.Empty(t, asked.Load().Header.Get("Authorization"))
	m.outside = newOutside(isPublic)
	asked.Store(nil)
	_, _, err = fetched(t, m, done(`{}`))
	require.Equal(t, Rejected, AsError(err).Kind)
	require.ErrorIs(t, err, errBlocked)
	require.Nil(t, asked.Load())
}

func TestOnlyPublicAddressesAreDialled(t *testing.T) {
	t.Parallel()
	for _, a := range []string{
		"127.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "192.0.0.8", "198.18.0.1",
		"224.0.0.1", "240.0.0.1", "255.255.255.255", "168.63.129.16", "::1", "::", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "fd00:ec2::254", "fe80::1%eth0", "fec0::1",
		"64:ff9b::a9fe:a9fe", "64:ff9b:1::", "2002:7f00:1::", "2001::1", "5f00::", "2001:db8::1", "ff02::1",
	} {
		require.False(t, isPublic(netip.MustParseAddr(a)), a)
	}
	require.False(t, isPublic(netip.Addr{}))
	for _, a := range []string{"8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "223.255.255.255", "2606:4700::1111", "2a00:1450::1"} {
		require.True(t, isPublic(netip.MustParseAddr(a)), a)
	}
}

func TestMediaConfigProblems(t *testing.T) {
	t.Parallel()
	_, err := New(Options{Providers: []Config{{
		Name: "up", BaseURL: "https://host/v1", Models: []string{"*"}, Responses: "maybe",
		Media: []MediaConfig{
			{Path: "/videos"},
			{
				Path: "/v1/a", Poll: "/v1/a", Fetch: "/v1/{id}/{id}", URL: "url", Cancel: "GET /v1/a/{id}", Every: -1,
				Done: []string{"ok", ""}, Failed: []string{"OK", "no"},
			},
			{Path: "/v1/a", Poll: "/v1/../{id}", Fetch: "/v1/{id}?x=1", Cancel: "/v1/a/{id}"},
			{Path: "/v1/{id}", Cancel: "DELETE /v1/a", Failed: []string{"succeeded"}},
		},
	}}})
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{
		"media[0].path", "media[1].poll", "media[1].fetch", "media[1].url", "media[1].cancel", "media[1].every", "media[1].done", "media[1].done",
		"media[2].poll", "media[2].fetch", "media[2].cancel", "media[2].cancel", "media[2].path",
		"media[3].path", "media[3].cancel", "media[3].done", "responses",
	} {
		require.Greater(t, len(lines), i)
		require.True(t, strings.HasPrefix(lines[i], `providers[0] "up".`+want+": "), "%s\n%s", want, lines[i])
	}
	require.Len(t, lines, 17)
}

func TestSpeaksResponses(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{"": true, "native": true, "chat": false} {
		p := providerAt(t, "https://host/v1", func(_ *Options, c *Config) { c.Responses = value })
		require.Equal(t, want, p.SpeaksResponses(), value)
	}
}

func TestBlockedAddressesAreKnown(t *testing.T) {
	t.Parallel()
	_, err := newOutside(func(netip.Addr) bool { return false }).DialContext(t.Context(), "tcp", "127.0.0.1:1")
	require.True(t, isBlocked(err))
	require.False(t, isBlocked(errors.New("other")))
}
