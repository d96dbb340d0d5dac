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
		if p := u.Port(); p != "" && p != "443" {
			t.Fatalf("accepted %q", raw)
		}
		for _, ip := range []net.IP{net.ParseIP(host), inetAton(host)} {
			if a, ok := netip.AddrFromSlice(ip); ok && inside(a.Unmap()) {
				t.Fatalf("accepted %q, which leads to %s", raw, ip)
			}
		}
		if _, err := http.NewRequest("POST", raw, nil); err != nil {
			t.Fatalf("accepted what cannot be sent: %q: %v", raw, err)
		}
	})
}

// FuzzGuard compares the guard with the second table over addresses: neither knows of the other.
func FuzzGuard(f *testing.F) {
	for _, p := range registry() {
		f.Add(p.Addr().AsSlice())
		f.Add(last(p).AsSlice())
	}
	f.Add([]byte{8, 8, 8, 8})
	f.Add([]byte(net.ParseIP("2001:4860:4860::8888")))
	f.Add([]byte(net.ParseIP("::ffff:8.8.8.8")))
	g := newGuard(Rules{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		addr, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		if refused := g.judge(netip.AddrPortFrom(addr, 443)) != nil; refused != inside(addr) {
			t.Fatalf("%s: refused is %t", addr, refused)
		}
		if addr.Is6() && g.judge(netip.AddrPortFrom(addr.WithZone("eth0"), 443)) == nil {
			t.Fatalf("%s of an interface of this machine may be called", addr)
		}
	})
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
