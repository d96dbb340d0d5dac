package callbacks

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// registry is a second table of what callbacks may not reach, copied by hand from IANA's special-purpose address
// registries (RFC 6890), IANA's IPv6 address space (2000::/3 alone is handed out) and what callbacks adds to them.
func registry() (prefixes []netip.Prefix) {
	for _, p := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
		"192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32",
		"::/3", "4000::/2", "8000::/1", // all but 2000::/3: loopback, mapped, NAT64, 5f00::/16, unique and site local, multicast
		"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
	} {
		prefixes = append(prefixes, netip.MustParsePrefix(p))
	}
	return prefixes
}

// inside tells by the second table whether callbacks may not reach an address.
func inside(a netip.Addr) bool {
	for _, p := range registry() {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// last is the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// R29: at both edges of each range, and just beyond them, the guard and the second table agree; so do the URL that
// spells the address and the dial.
func TestGuardAgreesWithTheRegistryAtEachEdge(t *testing.T) {
	t.Parallel()
	g := newGuard(Rules{})
	public := 0
	for _, p := range registry() {
		for _, a := range []netip.Addr{p.Addr(), p.Addr().Next(), last(p), last(p).Prev(), p.Addr().Prev(), last(p).Next()} {
			if !a.IsValid() {
				continue // beyond the first or the last address of all
			}
			want := inside(a)
			if !want {
				public++
			}
			require.Equal(t, want, g.judge(netip.AddrPortFrom(a, 443)) != nil, "R29 %s", a)
			require.Equal(t, want, g.control("tcp", netip.AddrPortFrom(a, 443).String(), nil) != nil, "R29 %s", a)
			_, refused := g.url("https://" + net.JoinHostPort(a.String(), "443") + "/")
			require.Equal(t, want, refused != nil, "R29 %s", a)
		}
	}
	require.Greater(t, public, 20, "public addresses stand beside the ranges")
}
