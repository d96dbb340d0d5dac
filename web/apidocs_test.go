package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/web/openapi"
)

func TestTheDocumentIsServed(t *testing.T) {
	t.Parallel()
	h := start(t)
	a := h.get("/openapi.yaml")
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "application/yaml", a.header.Get("Content-Type"))
	require.Equal(t, string(openapi.Document), a.body)
	a = h.do(http.MethodHead, "/openapi.yaml", "")
	require.Equal(t, http.StatusOK, a.status)
	require.Empty(t, a.body)
	require.NotEqual(t, "0", a.header.Get("Content-Length"))
}

// The page and all that it loads are here, open to who has no key yet, and nothing comes from elsewhere.
func TestTheDocumentsPage(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.Keys = []string{"rb-one"} })
	a := h.get("/docs")
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "text/html; charset=utf-8", a.header.Get("Content-Type"))
	policy := a.header.Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'")
	require.Contains(t, policy, "script-src 'self';")
	require.NotContains(t, policy, "unsafe-eval")
	require.NotContains(t, policy, "http")
	require.NotRegexp(t, `https?:|//[a-z]`, a.body)
	require.NotRegexp(t, `<script>|<style|\sstyle=|\son[a-z]+=`, a.body)
	loaded := regexp.MustCompile(`(?:src|spec-url)="([^"]+)"`).FindAllStringSubmatch(a.body, -1)
	require.Len(t, loaded, 3)
	for _, l := range loaded {
		require.Equal(t, http.StatusOK, h.get("/"+l[1]).status, l[1])
	}
	require.Equal(t, http.StatusNotFound, h.get("/docs/other.js").status)
	require.Equal(t, http.StatusNotFound, h.get("/docs/README.md").status)
}

func TestScriptsComePackedToWhoTakesThat(t *testing.T) {
	t.Parallel()
	h := start(t)
	for _, s := range openapi.Scripts() {
		plain, err := s.Plain()
		require.NoError(t, err)
		for _, tt := range []struct {
			accepts string
			packed  bool
		}{{"gzip, deflate, br", true}, {"br;q=1.0, gzip;q=0.8", true}, {"identity", false}, {"gzip;q=0", false}, {"", false}} {
			a := h.get("/docs/"+s.Name, "Accept-Encoding", tt.accepts)
			require.Equal(t, http.StatusOK, a.status)
			require.Equal(t, "text/javascript; charset=utf-8", a.header.Get("Content-Type"))
			require.Equal(t, "Accept-Encoding", a.header.Get("Vary"))
			require.Equal(t, s.Pinned, strings.Contains(a.header.Get("Cache-Control"), "immutable"))
			body := io.Reader(strings.NewReader(a.body))
			if tt.packed {
				require.Equal(t, "gzip", a.header.Get("Content-Encoding"), tt.accepts)
				body, err = gzip.NewReader(body)
				require.NoError(t, err)
			}
			got, err := io.ReadAll(body)
			require.NoError(t, err)
			require.Equal(t, plain, got, tt.accepts)
		}
	}
}
