package web

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryRouteButTheOpenOnesAsksForAKey(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.Keys = []string{"rb-one", "rb-two"} })
	for _, r := range h.web.engine.Routes() {
		a := h.do(r.Method, strings.ReplaceAll(r.Path, ":id", "some"), "")
		if slices.Contains([]string{"/healthz", "/readyz", "/.well-known/jwks.json", documentPath, docsPath}, r.Path) {
			require.Equal(t, http.StatusOK, a.status, r.Path)
			continue
		}
		if r.Path == "/v1/projects/:id/jwks.json" || r.Path == scriptPath {
			require.Equal(t, http.StatusNotFound, a.status, r.Path)
			continue
		}
		require.Equal(t, http.StatusUnauthorized, a.status, r.Path)
	}
	require.Equal(t, http.StatusUnauthorized, h.get("/nowhere").status)
}

func TestKeys(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.Keys = []string{"rb-one", "rb-two"} })
	for name, tc := range map[string]struct {
		header string
		status int
	}{
		"first":        {"Bearer rb-one", 200},
		"second":       {"Bearer rb-two", 200},
		"lower case":   {"bearer rb-two", 200},
		"none":         {"", 401},
		"other":        {"Bearer canary-key", 401},
		"prefix":       {"Bearer rb-on", 401},
		"longer":       {"Bearer rb-one1", 401},
		"empty":        {"Bearer ", 401},
		"no scheme":    {"rb-one", 401},
		"other scheme": {"Basic rb-one", 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := h.get("/v1/files", "Authorization", tc.header)
			require.Equal(t, tc.status, a.status)
			if tc.status == http.StatusOK {
				return
			}
			require.Equal(t, "invalid_api_key", failure(t, a).Code)
			require.Equal(t, "Bearer", a.header.Get("WWW-Authenticate"))
			require.NotContains(t, a.body, "canary")
		})
	}
	require.NotContains(t, h.log.String(), "canary")
	require.NotContains(t, h.log.String(), "rb-one")
}
