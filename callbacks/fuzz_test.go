package callbacks

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// inside is a second table of the addresses that callbacks may not reach, written from RFC 6890 and the registries
// without a look at the first, as ranges of numbers.
func inside(ip net.IP) bool {
	if v4 := ip.To4(); v4 != nil {
		n := uint32(v4[0])<<24 | uint32(v4[1])<<16 | uint32(v4[2])<<8 | uint32(v4[3])
		for _, r := range [][2]uint32{
			{0x00000000, 0x00ffffff},
			{0x0a000000, 0x0affffff},
			{0x64400000, 0x647fffff},
			{0x7f000000, 0x7fffffff},
			{0xa9fe0000, 0xa9feffff},
			{0xac100000, 0xac1fffff},
			{0xc0000000, 0xc00000ff},
			{0xc0000200, 0xc00002ff},
			{0xc0586300, 0xc05863ff},
			{0xc0a80000, 0xc0a8ffff},
			{0xc6120000, 0xc613ffff},
			{0xc6336400, 0xc63364ff},
			{0xcb007100, 0xcb0071ff},
			{0xe0000000, 0xffffffff},
		} {
			if r[0] <= n && n <= r[1] {
				return true
			}
		}
		return false
	}
	if ip.IsPrivate() || ip.IsLoopback() || ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast() {
		return true
	}
	head := func(prefix ...byte) bool { return string(ip[:len(prefix)]) == string(prefix) }
	return ip[0] < 0x20 || ip[0] > 0x3f || head(0x20, 0x02) || head(0x20, 0x01, 0x00) || head(0x20, 0x01, 0x01) ||
		head(0x20, 0x01, 0x0d, 0xb8) || head(0x3f, 0xff, 0x00) || head(0x3f, 0xff, 0x01)
}

// inetAton reads a host as the C library does: one to four decimal, octal or hexadecimal numbers.
func inetAton(host string) net.IP {
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return nil
	}
	var n uint64
	for i, part := range parts {
		v, err := strconv.ParseUint(part, 0, 64)
		last := i == len(parts)-1
		limit := uint64(0xff)
		if last {
			limit = 1<<(8*(5-len(parts))) - 1
		}
		// Go's literals know binary, 0o and underscores, which no resolver does.
		if err != nil || v > limit || strings.ContainsAny(strings.TrimPrefix(strings.ToLower(part), "0x"), "_o") ||
			strings.HasPrefix(strings.ToLower(part), "0b") {
			return nil
		}
		if last {
			n = n<<(8*(5-len(parts))) | v
		} else {
			n = n<<8 | v
		}
	}
	return net.IPv4(byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// FuzzCheckURL looks for a URL that passes although a lenient reader would find a refused address in it.
func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{
		"https://example.com/", "https://2130706433/", "https://0x7f.1/", "https://[::ffff:7f00:1]/", "https://u:p@h/",
		"https://example.com\\@127.0.0.1/", "https://8.8.8.8:443/x?y", "https://0.0.0B0", "https://[2001:4860:4860::8888]/", "https://localhost./",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if (Rules{}).CheckURL(raw) != nil {
			return
		}
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatalf("accepted what does not parse: %q", raw)
		}
		host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
		if u.Scheme != "https" || u.User != nil || host == "" || host == "localhost" || len(raw) > 2048 {
			t.Fatalf("accepted %q", raw)
		}
		for _, ip := range []net.IP{net.ParseIP(host), inetAton(host)} {
			if ip != nil && inside(ip) {
				t.Fatalf("accepted %q, which leads to %s", raw, ip)
			}
		}
		if _, err := http.NewRequest("POST", raw, nil); err != nil {
			t.Fatalf("accepted what cannot be sent: %q: %v", raw, err)
		}
	})
}

// FuzzGuard compares the two tables over addresses.
func FuzzGuard(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1})
	f.Add([]byte{8, 8, 8, 8})
	f.Add([]byte(net.ParseIP("2001:4860:4860::8888")))
	f.Add([]byte(net.ParseIP("fec0::1")))
	g := newGuard(Rules{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		addr, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		refused := g.judge(netip.AddrPortFrom(addr, 443)) != nil
		if inside(net.IP(raw)) && !refused {
			t.Fatalf("%s is inside, and may be called", addr)
		}
		if refused && !inside(net.IP(raw)) && !addr.Is4In6() && !special(addr) {
			t.Fatalf("%s is public, and may not be called", addr)
		}
	})
}

// special are addresses that are refused though public: services of networks' operators (AS112, AMT, Azure's metadata),
// and the rest of the block for protocol assignments.
func special(a netip.Addr) bool {
	for _, p := range []string{
		"192.31.196.0/24", "192.52.193.0/24", "192.175.48.0/24", "168.63.129.16/32", "2620:4f:8000::/48", "3fff::/20",
	} {
		if netip.MustParsePrefix(p).Contains(a) {
			return true
		}
	}
	return false
}

// FuzzCheckHeader looks for a header that passes and cannot be sent, or changes the request around it.
func FuzzCheckHeader(f *testing.F) {
	f.Add("X-Custom-Token", "abc")
	f.Add("Host", "x")
	f.Add("X-A", "a\r\nX-B: c")
	f.Add("wEbHoOk-id", "x")
	f.Fuzz(func(t *testing.T, name, value string) {
		if (Rules{}).CheckHeader(name, value) != nil {
			return
		}
		req, err := http.NewRequest("POST", "http://example.com/", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(name, value)
		var wire strings.Builder
		if err := req.Write(&wire); err != nil {
			t.Fatalf("accepted %q: %q, which cannot be sent: %v", name, value, err)
		}
		if lines := strings.Count(wire.String(), "\r\n"); lines > 6 { // request line, host, user agent, length, its own, end
			t.Fatalf("%q: %q makes %d lines", name, value, lines)
		}
		if strings.HasPrefix(strings.ToLower(name), "webhook-") {
			t.Fatalf("accepted %q", name)
		}
	})
}

// FuzzParseWebhook feeds it any bytes; what passes can be shown without its secrets.
func FuzzParseWebhook(f *testing.F) {
	f.Add([]byte(`"https://example.com/"`))
	f.Add([]byte(`{"url":"https://example.com/?a=b","headers":{"X-A":"b"},"events":["batch.*"],"timeout":"3s"}`))
	f.Add([]byte(`{"url":"https://example.com/","secret":"` + testSecret + `","method":"put"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		w, err := ParseWebhook(raw, Rules{})
		if err != nil || w == nil {
			return
		}
		shown := Shown(w)
		if !json.Valid(shown) || !utf8.Valid(shown) {
			t.Fatalf("shown as %q", shown)
		}
		if w.Secret != "" && strings.Contains(string(shown), w.Secret) {
			t.Fatal("shows the secret")
		}
	})
}

// FuzzRetryAfter holds every header to its bounds, and seconds to their value.
func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"120", "0", "-5", "1e9", "abc", "Fri, 01 Jan 2099 00:00:00 GMT", "99999999999999999999", " 7 ", "+3", "１２"} {
		f.Add(seed)
	}
	now := time.Unix(1700000000, 0)
	f.Fuzz(func(t *testing.T, value string) {
		d := retryAfter(value, now)
		if d < 0 || d > 24*time.Hour {
			t.Fatalf("%q waits %s", value, d)
		}
		if n, err := strconv.Atoi(value); err == nil && n >= 0 && n <= 86400 && value[0] != '+' && value[0] != '-' {
			if d != time.Duration(n)*time.Second {
				t.Fatalf("%q waits %s", value, d)
			}
		}
	})
}

// FuzzVerify feeds it any headers: nothing but the one true signature passes (R28).
func FuzzVerify(f *testing.F) {
	now := time.Unix(1700000000, 0)
	good := Sign(testSecret, "evt_1", now, []byte(testBody))
	f.Add("evt_1", "1700000000", good, []byte(testBody))
	f.Add("evt_1", "1700000000", "v1,x "+good, []byte(testBody))
	f.Add("", "-1", "v1,", []byte(nil))
	f.Add("evt_1", "9223372036854775807", good, []byte(testBody))
	f.Fuzz(func(t *testing.T, id, timestamp, signature string, body []byte) {
		h := http.Header{HeaderID: {id}, HeaderTimestamp: {timestamp}, HeaderSignature: {signature}}
		if Verify(h, body, []string{testSecret}, now, time.Minute) != nil {
			return
		}
		seconds, err := strconv.ParseInt(timestamp, 10, 64)
		if err != nil {
			t.Fatalf("accepted the time %q", timestamp)
		}
		ts := time.Unix(seconds, 0)
		if !strings.Contains(signature, Sign(testSecret, id, ts, body)) && strconv.FormatInt(seconds, 10) == timestamp {
			t.Fatalf("accepted %q for %q at %q", signature, id, timestamp)
		}
	})
}
