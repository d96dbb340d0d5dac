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

func TestCheckURLRefuses(t *testing.T) {
	t.Parallel()
	for row, urls := range map[string][]string{
		"S1 special IPv4": {
			"https://127.0.0.1/", "https://10.1.2.3/", "https://172.16.0.1/", "https://192.168.1.1/",
			"https://169.254.169.254/latest/meta-data/", "https://100.64.0.1/", "https://0.0.0.0/", "https://192.0.0.8/",
			"https://198.18.0.1/", "https://224.0.0.1/", "https://255.255.255.255/", "https://192.0.2.1/",
			"https://198.51.100.7/", "https://203.0.113.9/", "https://192.88.99.1/", "https://240.0.0.1/",
			"https://168.63.129.16/", "https://100.100.100.200/",
		},
		"S2 special IPv6": {
			"https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/",
			"https://[::ffff:8.8.8.8]/", "https://[fd00:ec2::254]/", "https://[fe80::1%25eth0]/", "https://[fe80::1]/",
			"https://[fec0::1]/", "https://[64:ff9b::a9fe:a9fe]/", "https://[64:ff9b:1::1]/", "https://[2002:7f00:1::]/",
			"https://[2001::1]/", "https://[5f00::1]/", "https://[2001:db8::1]/", "https://[ff02::1]/", "https://[100::1]/",
			"https://[2001:4860:4860::8888%25eth0]/", "https://[3fff::1]/", "https://[::127.0.0.1]/",
		},
		"S3 disguised addresses": {
			"https://2130706433/", "https://0x7f.1/", "https://0177.0.0.1/", "https://127.1/", "https://0x7f000001/",
			"https://017700000001/", "https://127.0.1/", "https://127.0.0.1./", "https://localhost/", "https://localhost./",
			"https://LOCALHOST/", "https://app.localhost/", "https://１２７.０.０.１/", "https://127。0。0。1/",
			"https://134744072/", "https://%31%32%37.0.0.1/", "https://127.0.0.0x1/", "https://0/", "https://0x/",
		},
		"S7 other shapes": {
			"", "https://u:p@example.com/", "https://u@example.com/", "https://example.com/#x", "https://example.com/#",
			"javascript:alert(1)", "file:///etc/passwd", "gopher://example.com/", "http+unix://%2Frun%2Fx.sock/", "ftp://example.com/",
			"https:///path", "https://", "https:example.com", "//example.com/", "example.com", "/path",
			"https://example.com:0/", "https://example.com:65536/", "https://example.com:22/", "https://example.com:25/",
			"https://example.com:/", "https://example.com:x/", "https://example.com:443:443/",
			"https://example.com/" + strings.Repeat("a", 8<<10), "https://example.com/a b", " https://example.com/",
			"https://example.com/\r\nHost: x", "https://example.com\\@127.0.0.1/", "https://example.com/\x00", "https://[host]/",
			"https://[127.0.0.1]/", "https://a..b/", "https://.example.com/", "https://exa$mple.com/", "https://example.com/ü",
			"https://" + strings.Repeat("a", 64) + ".com/", "http://example.com/",
		},
	} {
		t.Run(row, func(t *testing.T) {
			t.Parallel()
			for _, raw := range urls {
				refusedWith(t, Rules{}, raw)
			}
		})
	}
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
