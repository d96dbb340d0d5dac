package callbacks

import (
	"net"
	"net/netip"
	"syscall"

	"code.dny.dev/ssrf"
)

// refusal says why a URL or an address is not called. Its text names no address, since tenants read it.
type refusal struct {
	class Class
	text  string // follows the field's name: "must use https"
	final bool   // the URL itself says so: trying again cannot help
}

func (r *refusal) Error() string { return "callbacks: the URL " + r.text }

// guard judges addresses: at write time those that a URL spells out, and at each dial the one about to be dialled, so
// that a name that changes its address between two looks gains nothing.
type guard struct {
	Rules
	guardian *ssrf.Guardian
}

// newGuard refuses all that the IANA registries list as special, everything outside IPv6's global unicast range (and
// with it NAT64, site-local, 5f00::/16 and IPv4-mapped addresses), and what wireServer names; then opens AllowCIDRs.
func newGuard(r Rules) *guard {
	var v4, v6 []netip.Prefix
	for _, p := range r.AllowCIDRs {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	return &guard{Rules: r, guardian: ssrf.New(
		ssrf.WithAnyPort(), // ports are ranges here: Rules.open judges them
		ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...),
		ssrf.WithDeniedV4Prefixes(wireServer()),
	)}
}

// wireServer is the address at which Azure's machines get their metadata: public by its number, private by its use.
func wireServer() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{168, 63, 129, 16}), 32)
}

// control is net.Dialer's hook: it sees each resolved address before the first packet leaves.
func (g *guard) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return blocked()
	}
	if refused := g.resolved(to); refused != nil {
		return refused
	}
	return nil
}

// resolved judges an address at the dial. No refusal is final: a name led here, and may lead elsewhere tomorrow.
func (g *guard) resolved(to netip.AddrPort) *refusal {
	refused := g.judge(to)
	if refused != nil {
		refused.final = false
	}
	return refused
}

// judge says why an address is not called; nil when it may be.
func (g *guard) judge(to netip.AddrPort) *refusal {
	switch {
	case g.isSelf(to):
		return self()
	case !g.open(to.Port()):
		return closedPort(to.Port())
	case g.guardian.SafeAddr(to.Addr()) != nil:
		return blocked()
	}
	return nil
}

// isSelf tells whether this process itself listens at the address.
func (g *guard) isSelf(to netip.AddrPort) bool {
	if g.Self == nil {
		return false
	}
	for _, own := range g.Self() {
		if own.Port() == to.Port() && reaches(to.Addr().Unmap(), own.Addr().Unmap()) {
			return true
		}
	}
	return false
}

// reaches tells whether dialling to ends at a listener on own. A wildcard on either side means every local address.
func reaches(to, own netip.Addr) bool {
	if own.IsUnspecified() {
		return isLocal(to)
	}
	return to == own || to.IsUnspecified() && own.IsLoopback()
}

func isLocal(a netip.Addr) bool {
	if a.IsLoopback() || a.IsUnspecified() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return true // better to refuse one callback than to let a loop run
	}
	for _, own := range addrs {
		if p, err := netip.ParsePrefix(own.String()); err == nil && p.Addr() == a.WithZone("") {
			return true
		}
	}
	return false
}

func self() *refusal {
	return &refusal{class: ClassSelf, text: "points at Ringback itself; name a receiver of your own", final: true}
}

func blocked() *refusal {
	return &refusal{
		class: ClassBlocked, final: true,
		text: "names an address that is not public; the operator can open a network with callbacks.allow_cidrs",
	}
}
