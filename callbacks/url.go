package callbacks

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/ringback/ringback/jobs"
)

// maxURL is the longest URL in bytes; common servers refuse not much longer request lines.
const maxURL = 2048

// CheckURL judges a callback's URL when it is written. It looks at literals alone, since a name may lead elsewhere by
// the time it is dialled; the dial judges again. The error never repeats the URL, which may carry credentials.
func (r Rules) CheckURL(raw string) error {
	if _, refused := newGuard(r).url(raw); refused != nil {
		return jobs.Errorf(jobs.CodeValue, "webhook.url", "webhook.url %s.", refused.text)
	}
	return nil
}

// url parses a URL that may be called, or says why it may not.
func (g *guard) url(raw string) (*url.URL, *refusal) {
	if refused := spelling(raw); refused != nil {
		return nil, refused
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, closed("cannot be parsed; write it as https://host/path")
	}
	for _, check := range []func(*url.URL) *refusal{g.scheme, shape, g.port, g.host} {
		if refused := check(u); refused != nil {
			return nil, refused
		}
	}
	return u, nil
}

// spelling refuses what parsers are known to read in different ways.
func spelling(raw string) *refusal {
	odd := func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '\\' }
	switch {
	case raw == "":
		return closed("must not be empty")
	case len(raw) > maxURL:
		return closed("is %d bytes long; at most %d are allowed", len(raw), maxURL)
	case strings.Contains(raw, "#"):
		return closed("must not have a fragment, which no server ever sees")
	case strings.ContainsFunc(raw, odd):
		return closed("holds a space, a backslash, a control or a non-ASCII character; percent-encode it, " +
			"and write an international host in its xn-- form")
	}
	return nil
}

func (g *guard) scheme(u *url.URL) *refusal {
	switch {
	case u.Scheme == "https", u.Scheme == "http" && g.AllowHTTP:
		return nil
	case u.Scheme == "http":
		return closed("must use https; the operator can open http with callbacks.allow_http")
	}
	return closed("must be an absolute https URL")
}

func shape(u *url.URL) *refusal {
	switch {
	case u.User != nil:
		return closed("must not hold a user name or password; send credentials in webhook.headers")
	case u.Opaque != "" || u.Hostname() == "":
		return closed("names no host")
	}
	return nil
}

func (g *guard) port(u *url.URL) *refusal {
	n := port(u)
	if n == 0 || strings.HasSuffix(u.Host, ":") {
		return closed("has a port that is not between 1 and 65535")
	}
	if !g.open(n) {
		return closedPort(n)
	}
	return nil
}

func (g *guard) host(u *url.URL) *refusal {
	name, n := hostname(u), port(u)
	if g.own(u) {
		return self()
	}
	if strings.HasPrefix(u.Host, "[") {
		return g.literal6(u.Hostname(), n)
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil {
		return g.judge(netip.AddrPortFrom(addr, n))
	}
	switch {
	case numeric(name):
		return closedFinal("writes an address in an unusual form; use four decimal numbers, or a name")
	case !isName(name):
		return closed("has a host that is no valid name")
	case name == "localhost" || strings.HasSuffix(name, ".localhost"):
		return g.localhost(n)
	}
	return nil
}

// literal6 judges an address in brackets. One with a zone, which names an interface of this machine, is in no range and
// so never open.
func (g *guard) literal6(text string, port uint16) *refusal {
	addr, err := netip.ParseAddr(text)
	if err != nil || !addr.Is6() {
		return closedFinal("has no plain IPv6 address in its brackets")
	}
	return g.judge(netip.AddrPortFrom(addr, port))
}

// localhost needs no resolver to be known as this machine (RFC 6761, section 6.3): one of its addresses must be open.
func (g *guard) localhost(port uint16) *refusal {
	v4 := g.judge(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port))
	v6 := g.judge(netip.AddrPortFrom(netip.IPv6Loopback(), port))
	for _, refused := range []*refusal{v4, v6} {
		if refused != nil && refused.class == ClassSelf {
			return refused
		}
	}
	if v4 == nil || v6 == nil {
		return nil
	}
	return v4
}

// numeric tells whether resolvers may read a host as a number: 2130706433, 0x7f.1, 0177.0.0.1, 127.1. By the URL
// standard (WHATWG, "ends in a number checker") the last label decides.
func numeric(name string) bool {
	last := strings.ToLower(name[strings.LastIndexByte(name, '.')+1:])
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}

// isName holds hosts to the letters, digits, hyphens, underscores and lengths that the DNS carries as they are.
func isName(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

func closedPort(n uint16) *refusal {
	return closed("uses port %d, which callbacks may not reach; the operator can open it with callbacks.allow_ports", n)
}

func closed(format string, args ...any) *refusal {
	return &refusal{class: ClassClosed, text: fmt.Sprintf(format, args...)}
}

// closedFinal refuses an address in disguise: it ends at once, as the plain one would.
func closedFinal(text string) *refusal { return &refusal{class: ClassBlocked, text: text, final: true} }
