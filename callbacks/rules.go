package callbacks

import (
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// Rules say where callbacks may go and what clients may add. The same Rules judge a URL when it is written, and the
// URL and the address dialled at each attempt.
type Rules struct {
	AllowHTTP           bool                    // plain http beside https (callbacks.allow_http)
	AllowCIDRs          []netip.Prefix          // networks open although they are not public (callbacks.allow_cidrs)
	AllowPorts          []PortRange             // open beside 443, and 80 where http is allowed (callbacks.allow_ports)
	PublicURL           string                  // where receivers reach this Ringback; never called back
	Self                func() []netip.AddrPort // where this process listens; never called back. Nil for nowhere
	BodySignatureHeader string                  // empty for signature.DefaultBodyHeader
}

// PortRange is the ports From to To, both included.
type PortRange struct{ From, To uint16 }

// open tells whether callbacks may reach the port.
func (r Rules) open(port uint16) bool {
	if port == 443 || port == 80 && r.AllowHTTP {
		return true
	}
	for _, p := range r.AllowPorts {
		if p.From <= port && port <= p.To {
			return true
		}
	}
	return false
}

// own tells whether a URL leads to this Ringback's public address. One that shares its host with other sites owns the
// paths under its own alone.
func (r Rules) own(u *url.URL) bool {
	public, err := url.Parse(r.PublicURL)
	if err != nil || public.Host == "" || hostname(u) != hostname(public) || port(u) != port(public) {
		return false
	}
	root := strings.TrimSuffix(public.Path, "/")
	asked := path.Clean("/" + u.Path)
	return root == "" || asked == root || strings.HasPrefix(asked, root+"/")
}

// hostname is the URL's host as names compare: in lower case, without the root's dot.
func hostname(u *url.URL) string { return strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")) }

// port is the URL's port, the scheme's own where it names none, and 0 for what is no port.
func port(u *url.URL) uint16 {
	switch {
	case u.Port() != "":
		n, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil {
			return 0
		}
		return uint16(n)
	case u.Scheme == "http":
		return 80
	}
	return 443
}
