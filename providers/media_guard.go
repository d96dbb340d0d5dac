package providers

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// errBlocked is a dial to an address that is not public.
var errBlocked = errors.New("the address is not public")

func isBlocked(err error) bool { return errors.Is(err, errBlocked) }

// newOutside makes connections to hosts that an upstream's answer names. Each
// address is judged when it is dialled, so that a name gains nothing by changing
// between two looks; for the same reason no proxy is used. Connections are not
// kept: each result may come from another host.
func newOutside(public func(netip.Addr) bool) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil || !public(to.Addr()) {
			return errBlocked
		}
		return nil
	}}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 1 << 20,
		ReadBufferSize:         64 << 10,
	}
}

// isPublic refuses what the IANA registries of special-purpose addresses list,
// all IPv6 outside of global unicast (2000::/3), IPv4 in IPv6's clothes, and the
// address at which Azure's machines get their metadata.
func isPublic(a netip.Addr) bool {
	special := specialV4()
	if a.Is6() {
		special = specialV6()
		if a.Zone() != "" || !netip.MustParsePrefix("2000::/3").Contains(a) {
			return false
		}
	}
	return a.IsValid() && !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}

func specialV4() []netip.Prefix {
	return prefixes(
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
		"192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24",
		"192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"224.0.0.0/3", "168.63.129.16/32",
	)
}

func specialV6() []netip.Prefix {
	return prefixes("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
}

func prefixes(texts ...string) []netip.Prefix {
	found := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		found = append(found, netip.MustParsePrefix(text))
	}
	return found
}
