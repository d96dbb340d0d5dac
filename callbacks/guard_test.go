package callbacks

import (
	"bufio"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// post makes one attempt with a short deadline.
func post(t *testing.T, p *Poster, url string) Result {
	t.Helper()
	return postOnce(t.Context(), p, withTimeout(claim(url), 3*time.Second), 1)
}

// strictRules allow http and every port, and no address that is not public.
func strictRules() Rules { return Rules{AllowHTTP: true, AllowPorts: []PortRange{{1, 65535}}} }

// named is the URL of a receiver under a name, with its port.
func named(name, url string) string {
	return "http://" + name + url[strings.LastIndex(url, ":"):]
}

// S3, S4: names that lead inside, or to both sides, are refused at the dial and come again by the schedule.
func TestNamesThatLeadInsideAreNeverDialled(t *testing.T) {
	t.Parallel()
	inside := listenRaw(t, func(c *net.TCPConn, _ *bufio.Reader) { hang(c) })
	addrs := map[string][]string{
		"private.test": {"127.0.0.1"}, "metadata.google.internal": {"169.254.169.254"}, "six.test": {"::1"},
		"mapped.test": {"::ffff:127.0.0.1"}, "many.test": {"10.0.0.1", "127.0.0.1", "192.168.0.1"},
		"both.test": {"127.0.0.1", "::1"}, "alias.test": {"cname:private.test", "127.0.0.1"}, "0.0.0.0.test": {"0.0.0.0"},
		"127.0.0.1.nip.test": {"127.0.0.1"}, "nat64.test": {"64:ff9b::7f00:1"},
	}
	p := poster(t, ClientOptions{Rules: strictRules(), Resolver: resolver(t, names(addrs))})
	for name := range addrs {
		r := post(t, p, named(name, inside.url))
		require.Equal(t, ClassBlocked, r.ErrorClass, "S4 %s", name)
		d := steady().Decide(r, 1, time.Now())
		require.Equal(t, Waiting, d.State, name)
		require.Equal(t, 5*time.Minute, d.Delay)
	}
	require.Zero(t, inside.count())
}

// S4: the fallback from a dead address to the next judges that one too.
func TestFallbackIsJudgedToo(t *testing.T) {
	t.Parallel()
	inside := receive(t, nil)
	port := inside.URL[strings.LastIndex(inside.URL, ":"):]
	rules := strictRules()
	rules.AllowCIDRs = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")} // stands for a public address where nothing listens
	dns := resolver(t, names(map[string][]string{"both.test": {"127.0.0.2", "127.0.0.1"}}))
	r := post(t, poster(t, ClientOptions{Rules: rules, Resolver: dns}), "http://both.test"+port)
	require.Zero(t, r.StatusCode)
	require.Empty(t, inside.messages())
}

// S4: of a name with an allowed and a refused address, only the allowed one is dialled.
func TestOnlyTheCheckedAddressIsDialled(t *testing.T) {
	t.Parallel()
	refused := receive(t, nil)
	port := refused.URL[strings.LastIndex(refused.URL, ":"):]
	allowed := receiveAt(t, "127.0.0.2"+port, nil)
	rules := strictRules()
	rules.AllowCIDRs = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
	dns := resolver(t, names(map[string][]string{"both.test": {"127.0.0.1", "127.0.0.2"}}))
	p := poster(t, ClientOptions{Rules: rules, Resolver: dns})
	require.Equal(t, 204, post(t, p, "http://both.test"+port).StatusCode)
	require.Len(t, allowed.messages(), 1)
	require.Empty(t, refused.messages())
}

// S4: a name that flips between two looks is judged at each attempt by where it leads then.
func TestRebindingGainsNothing(t *testing.T) {
	t.Parallel()
	inside := receive(t, nil)
	port := inside.URL[strings.LastIndex(inside.URL, ":"):]
	receiveAt(t, "127.0.0.2"+port, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close") // so that each attempt looks the name up
		w.WriteHeader(500)
	})
	var rebound atomic.Bool
	dns := resolver(t, func(string) ([]string, dnsmessage.RCode) {
		if rebound.Load() {
			return []string{"127.0.0.1"}, dnsmessage.RCodeSuccess
		}
		return []string{"127.0.0.2"}, dnsmessage.RCodeSuccess
	})
	rules := strictRules()
	rules.AllowCIDRs = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")} // stands for a public address
	require.NoError(t, rules.CheckURL("http://rebind.test"+port))
	p := poster(t, ClientOptions{Rules: rules, Resolver: dns})
	for i := range 6 {
		rebound.Store(i%2 == 1)
		r := post(t, p, "http://rebind.test"+port)
		if rebound.Load() {
			require.Equal(t, ClassBlocked, r.ErrorClass)
		} else {
			require.Equal(t, 500, r.StatusCode, r.ErrorClass)
		}
	}
	require.Empty(t, inside.messages())
}

// R27: a callback that leads to our own listener is refused, by name or address.
func TestCallbacksToOurselvesAreRefused(t *testing.T) {
	t.Parallel()
	own, other := receive(t, nil), receive(t, nil)
	rules := openRules()
	rules.PublicURL = "http://public.test"
	rules.Self = func() []netip.AddrPort {
		return []netip.AddrPort{netip.MustParseAddrPort(own.Listener.Addr().String())}
	}
	dns := resolver(t, names(map[string][]string{"loop.test": {"127.0.0.1"}, "public.test": {"127.0.0.1"}}))
	p := poster(t, ClientOptions{Rules: rules, Resolver: dns})
	for url, final := range map[string]bool{
		own.URL: true, "http://public.test/v1/jobs": true, named("localhost", own.URL): true, named("loop.test", own.URL): false,
	} {
		r := post(t, p, url)
		require.Equal(t, ClassSelf, r.ErrorClass, url)
		require.Equal(t, final, r.Final, url)
	}
	require.Equal(t, 204, post(t, p, other.URL).StatusCode)
	require.Equal(t, 204, post(t, p, named("loop.test", other.URL)).StatusCode)
	require.Empty(t, own.messages())
}

func TestWildcardListenersAreEveryLocalAddress(t *testing.T) {
	t.Parallel()
	rules := strictRules()
	rules.Self = func() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:8787")} }
	g := newGuard(rules)
	local, err := net.InterfaceAddrs()
	require.NoError(t, err)
	require.NotEmpty(t, local)
	for _, a := range local {
		at := netip.MustParsePrefix(a.String()).Addr()
		require.True(t, g.isSelf(netip.AddrPortFrom(at, 8787)), at)
		require.False(t, g.isSelf(netip.AddrPortFrom(at, 8788)))
	}
	require.False(t, g.isSelf(netip.MustParseAddrPort("8.8.8.8:8787")))
}

// A URL that was allowed when it was written, and is not since the operator closed http or its port, waits for the
// operator by the schedule.
func TestARowThatIsNotAllowedAnyMoreIsRetried(t *testing.T) {
	t.Parallel()
	target := receive(t, nil)
	for name, rules := range map[string]Rules{
		"http closed": {AllowCIDRs: openRules().AllowCIDRs, AllowPorts: openRules().AllowPorts},
		"port closed": {AllowCIDRs: openRules().AllowCIDRs, AllowHTTP: true},
	} {
		r := post(t, poster(t, ClientOptions{Rules: rules}), target.URL)
		require.Equal(t, ClassClosed, r.ErrorClass, name)
		require.Equal(t, Waiting, steady().Decide(r, 1, time.Now()).State, name)
	}
	require.Empty(t, target.messages())
}
