package callbacks

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// refusedWith checks a URL and gives the refusal's sentence.
func refusedWith(t *testing.T, r Rules, raw string) string {
	t.Helper()
	err := r.CheckURL(raw)
	require.Error(t, err, raw)
	var e *jobs.Error
	require.True(t, errors.As(err, &e))
	require.Equal(t, "webhook.url", e.Param)
	require.Equal(t, jobs.CodeValue, e.Code)
	return e.Message
}

// S7: what a URL may not be, and what the error says of it.
func TestCheckURLRefuses(t *testing.T) {
	t.Parallel()
	const (
		odd, port, form, name = "percent-encode", "has a port", "absolute https URL", "no valid name"
		credentials, fragment = "user name or password", "fragment"
		parse, host           = "cannot be parsed", "names no host"
		allowPorts, allowHTTP = "callbacks.allow_ports", "callbacks.allow_http"
	)
	for row, c := range map[string]struct{ raw, want string }{
		"userinfo":                     {"https://u:p@example.com/", credentials},
		"user alone":                   {"https://u@example.com/", credentials},
		"empty userinfo":               {"https://@example.com/", credentials},
		"fragment":                     {"https://example.com/#x", fragment},
		"empty fragment":               {"https://example.com/#", fragment},
		"javascript:":                  {"javascript:alert(1)", form},
		"file:":                        {"file:///etc/passwd", form},
		"gopher:":                      {"gopher://example.com/", form},
		"http+unix:":                   {"http+unix://run.sock/", form},
		"http+unix: percent":           {"http+unix://%2Frun%2Fx.sock/", parse},
		"ftp:":                         {"ftp://example.com/", form},
		"ws:":                          {"wss://example.com/", form},
		"data:":                        {"data:text/plain,x", form},
		"no scheme":                    {"//example.com/", form},
		"a name alone":                 {"example.com", form},
		"a path alone":                 {"/path", form},
		"empty":                        {"", "must not be empty"},
		"empty host":                   {"https:///path", host},
		"no host":                      {"https://", host},
		"port without a host":          {"https://:443/", host},
		"opaque":                       {"https:example.com", host},
		"port 0":                       {"https://example.com:0/", port},
		"port 65536":                   {"https://example.com:65536/", port},
		"port of many digits":          {"https://example.com:" + strings.Repeat("4", 40) + "/", port},
		"empty port":                   {"https://example.com:/", port},
		"port 22":                      {"https://example.com:22/", allowPorts},
		"port 25":                      {"https://example.com:25/", allowPorts},
		"port 80 over https":           {"https://example.com:80/", allowPorts},
		"port x":                       {"https://example.com:x/", parse},
		"negative port":                {"https://example.com:-1/", parse},
		"two ports":                    {"https://example.com:443:443/", parse},
		"8 KB":                         {"https://example.com/" + strings.Repeat("a", 8<<10), "bytes long"},
		"a space":                      {"https://example.com/a b", odd},
		"a leading space":              {" https://example.com/", odd},
		"a trailing line break":        {"https://example.com/\n", odd},
		"CR LF":                        {"https://example.com/\r\nHost: x", odd},
		"a tab in the host":            {"https://exam\tple.com/", odd},
		"NUL":                          {"https://example.com/\x00", odd},
		"DEL":                          {"https://example.com/\x7f", odd},
		`\@ confusion`:                 {`https://example.com\@127.0.0.1/`, odd},
		`\ for /`:                      {`https:\\127.0.0.1\`, odd},
		"ü":                            {"https://example.com/ü", odd},
		"invalid UTF-8":                {"https://example.com/\xff", odd},
		"[host]":                       {"https://[host]/", parse},
		"[127.0.0.1]":                  {"https://[127.0.0.1]/", parse},
		"[]":                           {"https://[]/", parse},
		"an open bracket":              {"https://[::1/", parse},
		"text behind the bracket":      {"https://[::1]x/", parse},
		"an empty label":               {"https://a..b/", name},
		"a leading dot":                {"https://.example.com/", name},
		"a dot alone":                  {"https://./", name},
		"$ in the host":                {"https://exa$mple.com/", name},
		"a percent-encoded slash":      {"https://example.com%2f@x/", credentials},
		"S3 a percent-encoded address": {"https://%31%32%37.0.0.1/", parse},
		"a label of 64":                {"https://" + strings.Repeat("a", 64) + ".com/", name},
		"a host of 254":                {"https://" + strings.Repeat("a.", 126) + "aa/", name},
		"http":                         {"http://example.com/", allowHTTP},
	} {
		t.Run("S7 "+row, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, refusedWith(t, Rules{}, c.raw), c.want)
		})
	}
}

// S7: a row that holds such a URL all the same is not sent.
func TestForcedURLsAreNotSent(t *testing.T) {
	t.Parallel()
	p, dials := sealed(t, Rules{})
	for _, raw := range []string{
		"https://u:p@example.com/", "https://example.com/#x", "javascript:alert(1)", "file:///etc/passwd", "gopher://example.com/",
		"http+unix://run.sock/", "https:///path", "https://example.com:0/", "https://example.com:65536/", "https://example.com:22/",
		"https://example.com:25/", "https://example.com/" + strings.Repeat("a", 8<<10), `https://example.com\@127.0.0.1/`, "https://[host]/", "http://example.com/", "",
	} {
		r := post(t, p, raw)
		require.Contains(t, []Class{ClassClosed, ClassBlocked}, r.ErrorClass, raw)
		require.Zero(t, r.StatusCode)
	}
	require.Zero(t, dials.Load())
}

func TestCheckURLAccepts(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"https://example.com", "https://example.com/hook?token=x&y", "https://EXAMPLE.com:443/", "https://xn--bcher-kva.example/",
		"https://8.8.8.8/", "https://[2001:4860:4860::8888]/x", "https://a_b.example.com./", "https://127.0.0.1.nip.io/",
		"https://example.com/%F0%9F%92%A9", "https://hooks.example.com/a@b",
	} {
		require.NoError(t, Rules{}.CheckURL(raw), raw)
	}
}

func TestCheckURLSaysWhichSettingAllows(t *testing.T) {
	t.Parallel()
	require.Contains(t, refusedWith(t, Rules{}, "http://example.com/"), "callbacks.allow_http")
	require.Contains(t, refusedWith(t, Rules{}, "https://10.0.0.1/"), "callbacks.allow_cidrs")
	require.Contains(t, refusedWith(t, Rules{}, "https://example.com:8443/"), "callbacks.allow_ports")
}

func TestCheckURLOpensExactlyWhatTheOperatorSays(t *testing.T) {
	t.Parallel()
	r := Rules{
		AllowHTTP:  true,
		AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/32")},
		AllowPorts: []PortRange{{8000, 8002}},
	}
	for _, raw := range []string{
		"http://10.1.2.3/", "https://10.1.2.3:8002/", "https://[fd00:1::5]:8000/", "http://example.com:443/",
	} {
		require.NoError(t, r.CheckURL(raw), raw)
	}
	for _, raw := range []string{
		"http://10.2.0.1/", "http://10.1.2.3:8003/", "http://10.1.2.3:7999/", "https://[fd00:2::5]/", "http://127.0.0.1/",
		"http://localhost/", "http://[::ffff:10.1.2.3]/", "http://167838211/",
	} {
		refusedWith(t, r, raw)
	}
	require.NoError(t, openRules().CheckURL("http://localhost:9999/"))
}

func TestCheckURLNeverRepeatsCredentials(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"https://user:canary@example.com/", "https://canary@10.0.0.1/", "https://user:canary@example.com:99999/",
		"https://user:canary@[::1/", "https://example.com:8443/?k=canary", "https://u:canary%zz@h/", "http://x/canary",
	} {
		err := Rules{}.CheckURL(raw)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "canary", "S7: %s", raw)
	}
}

func TestCheckURLRefusesRingbackItself(t *testing.T) {
	t.Parallel()
	r := openRules()
	r.PublicURL = "https://Ringback.example.com/api/"
	r.Self = func() []netip.AddrPort {
		return []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8787"), netip.MustParseAddrPort("[::]:9000")}
	}
	for _, raw := range []string{
		"https://ringback.example.com/api", "https://RINGBACK.example.com.:443/x/../api/v1/jobs", "http://127.0.0.1:8787/",
		"http://localhost:8787/", "http://127.0.0.1:9000/", "http://[::1]:9000/", "http://127.8.8.8:9000/",
	} {
		require.Contains(t, refusedWith(t, r, raw), "Ringback itself", raw)
	}
	for _, raw := range []string{
		"https://ringback.example.com/other", "https://ringback.example.com/apis", "https://ringback.example.com:8443/api",
		"http://127.0.0.1:8788/",
	} {
		require.NoError(t, r.CheckURL(raw), raw)
	}
	require.Contains(t, refusedWith(t, Rules{PublicURL: "https://r.example.com"}, "https://r.example.com/x"), "Ringback itself")
}
