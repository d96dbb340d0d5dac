package web

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func public(o *Options) { o.PublicURL = "https://ringback.example:8443" }

// strangers are requests that a web page can cause; %HOST stands for the server's own host.
var strangers = map[string][]string{
	"rebound name":          {"Host", "evil.example"},
	"rebound name and port": {"Host", "evil.example:8787"},
	"name like loopback":    {"Host", "127.0.0.1.evil.example"},
	"name like public":      {"Host", "ringback.example.evil.example"},
	"private address":       {"Host", "10.0.0.1"},
	"other origin":          {"Origin", "https://evil.example"},
	"other port":            {"Origin", "http://127.0.0.1:1"},
	"opaque origin":         {"Origin", "null"},
	"second origin":         {"Origin", "http://%HOST", "Origin", "https://evil.example"},
	"extension":             {"Origin", "chrome-extension://abc"},
	"cross-site fetch":      {"Sec-Fetch-Site", "cross-site"},
	"same-site fetch":       {"Sec-Fetch-Site", "same-site"},
	"public name, other":    {"Host", "ringback.example:8443", "Origin", "https://evil.example"},
}

func TestWebPagesReachNoRouteWithoutAuthentication(t *testing.T) {
	t.Parallel()
	h := start(t, public)
	routes := h.web.engine.Routes()
	require.Greater(t, len(routes), 20)
	type target struct{ method, path string }
	targets := []target{{"GET", "/"}, {"GET", "/nowhere"}, {"GET", "/favicon.ico"}, {"PUT", "/v1/batches"}, {"OPTIONS", "/v1/batches"}, {"DELETE", "/healthz"}}
	for _, r := range routes {
		targets = append(targets, target{r.Method, strings.ReplaceAll(r.Path, ":id", "some")})
	}
	for name, headers := range strangers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, at := range targets {
				a := h.do(at.method, at.path, "", h.withHost(headers)...)
				require.Equal(t, http.StatusForbidden, a.status, "%s %s", at.method, at.path)
				require.Empty(t, a.header.Get("Access-Control-Allow-Origin"))
				if at.method != http.MethodHead {
					require.Equal(t, "permission_error", failure(t, a).Type)
				}
			}
		})
	}
}

func (h *harness) withHost(headers []string) []string {
	out := make([]string, len(headers))
	for i, s := range headers {
		out[i] = strings.ReplaceAll(s, "%HOST", strings.TrimPrefix(h.server.URL, "http://"))
	}
	return out
}

func TestProgramsAndOwnPagesPassTheGuard(t *testing.T) {
	t.Parallel()
	h := start(t, public)
	for name, headers := range map[string][]string{
		"program":        nil,
		"localhost":      {"Host", "localhost:8787"},
		"LOCALHOST":      {"Host", "LOCALHOST"},
		"127.1.2.3":      {"Host", "127.1.2.3:80"},
		"::1":            {"Host", "[::1]:8787"},
		"::1 no port":    {"Host", "[::1]"},
		"public":         {"Host", "ringback.example:8443"},
		"public no port": {"Host", "Ringback.Example"},
		"own page":       {"Origin", "http://%HOST", "Sec-Fetch-Site", "same-origin"},
		"typed":          {"Sec-Fetch-Site", "none"},
		"public page":    {"Host", "ringback.example:8443", "Origin", "https://ringback.example:8443"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, http.StatusOK, h.get("/v1/batches", h.withHost(headers)...).status)
		})
	}
}

func TestWithKeysAnyHostIsServed(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.Keys = []string{"k"} })
	a := h.get("/v1/batches", "Host", "api.example", "Origin", "https://evil.example", "Authorization", "Bearer k")
	require.Equal(t, http.StatusOK, a.status)
	require.Empty(t, a.header.Get("Access-Control-Allow-Origin"))
}

func TestACallbackThatComesBackIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]*harness{
		"without keys": start(t),
		"with keys":    start(t, func(o *Options) { o.Keys = []string{"k"} }),
	} {
		for _, r := range h.web.engine.Routes() {
			a := h.do(r.Method, strings.ReplaceAll(r.Path, ":id", "some"), "{}", "x-ringback-attempt", "1", "Authorization", "Bearer k")
			require.Equal(t, http.StatusLoopDetected, a.status, "%s: %s %s", name, r.Method, r.Path)
			require.Equal(t, "false", a.header.Get("x-should-retry"))
			require.Equal(t, "abort-message", a.header.Get("webhook-delivery"), "the sender is not to try again")
			if r.Method != http.MethodHead {
				require.Equal(t, "loop_detected", failure(t, a).Code)
				require.Contains(t, failure(t, a).Message, "X-Ringback-Attempt")
			}
		}
		a := h.post("/v1/generate", `{"model":"sim-small","input":"x"}`, "X-Ringback-Attempt", "", "Authorization", "Bearer k")
		require.Equal(t, http.StatusLoopDetected, a.status, "an empty value is the header too")
		_, taken := h.records.count()
		require.Zero(t, taken)
	}
}
