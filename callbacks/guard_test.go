package callbacks

import (
	"bufio"
	"encoding/json"
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
	return p.Post(t.Context(), withTimeout(claim(url), 3*time.Second), 1)
}

// strictRules allow http and every port, and no address that is not public.
func strictRules() Rules { return Rules{AllowHTTP: true, AllowPorts: []PortRange{{1, 65535}}} }

// named is the URL of a receiver under a name, with its port.
func named(name, url string) string {
	return "http://" + name + url[strings.LastIndex(url, ":"):]
}

// S1, S2, S3: a row that names such a URL, however it got there, ends at once and no packet leaves.
func TestForcedLiteralsEndAtOnce(t *testing.T) {
	t.Parallel()
	inside := listenRaw(t, func(c *net.TCPConn, _ *bufio.Reader) { hang(c) })
	p := poster(t, ClientOptions{Rules: strictRules()})
	port := inside.url[strings.LastIndex(inside.url, ":"):]
	for _, host := range []string{
		"127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "169.254.169.254", "127.1", "2130706433", "0x7f.1",
		"0177.0.0.1", "localhost", "localhost.", "[::ffff:7f00:1]", "10.0.0.1",
	} {
		start := time.Now()
		r := post(t, p, "http://"+host+port)
		require.Equal(t, ClassBlocked, r.ErrorClass, host)
		d := steady().Decide(r, 1, time.Now())
		require.Equal(t, Failed, d.State, host)
		require.Equal(t, "blocked_address", d.Reason, host)
		require.Less(t, time.Since(start), time.Second)
	}
	require.Zero(t, inside.count())
}

// S1, S2: the dial judges what a name leads to, for each special range.
func TestDialJudgesEveryResolvedAddress(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{
		"0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.31.255.255", "192.0.0.8",
		"192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1",
		"255.255.255.255", "168.63.129.16", "::", "::1", "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1",
		"2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1",
	} {
		g := newGuard(strictRules())
		err := g.control("tcp", net.JoinHostPort(addr, "443"), nil)
		require.Equal(t, ClassBlocked, classify(err, progress{phase: phaseConnect}), addr)
	}
	require.NoError(t, newGuard(Rules{}).control("tcp4", "8.8.8.8:443", nil))
	require.NoError(t, newGuard(Rules{}).control("tcp6", "[2001:4860:4860::8888]:443", nil))
	require.Error(t, newGuard(Rules{}).control("tcp6", "[fe80::1%eth0]:443", nil))
	require.Error(t, newGuard(Rules{}).control("tcp4", "8.8.8.8:25", nil), "ports hold at the dial too")
	require.Error(t, newGuard(Rules{}).control("unix", "/run/docker.sock", nil))
}

// S3, S4: names that lead inside, or to both sides, are refused at the dial and come again by the schedule.
func TestNamesThatLeadInsideAreNeverDialled(t *testing.T) {
	t.Parallel()
	inside := listenRaw(t, func(c *net.TCPConn, _ *bufio.Reader) { hang(c) })
	dns := resolver(t, names(map[string][]string{
		"private.test": {"127.0.0.1"}, "metadata.google.internal": {"169.254.169.254"}, "six.test": {"::1"},
		"mapped.test": {"::ffff:127.0.0.1"}, "many.test": {"10.0.0.1", "127.0.0.1", "192.168.0.1"},
	}))
	p := poster(t, ClientOptions{Rules: strictRules(), Resolver: dns})
	for _, name := range []string{"private.test", "metadata.google.internal", "six.test", "mapped.test", "many.test"} {
		r := post(t, p, named(name, inside.url))
		require.Equal(t, ClassBlocked, r.ErrorClass, name)
		d := steady().Decide(r, 1, time.Now())
		require.Equal(t, Waiting, d.State, name)
		require.Equal(t, 5*time.Minute, d.Delay)
	}
	require.Zero(t, inside.count())
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

// S10: what tenants read of a failed attempt names no address, and is the same whether or not something listens.
func TestErrorsTellNothingAboutTheNetwork(t *testing.T) {
	t.Parallel()
	open := listenRaw(t, func(c *net.TCPConn, _ *bufio.Reader) { hang(c) })
	shut, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, shut.Close())
	dns := resolver(t, names(map[string][]string{"inside.test": {"127.0.0.1"}}))
	strict := poster(t, ClientOptions{Rules: strictRules(), Resolver: dns})
	tell := func(p *Poster, url string) string {
		r := post(t, p, url)
		d := steady().Decide(r, 1, time.Now())
		shown, err := json.Marshal([]any{r.ErrorClass, r.Snippet, d.Reason, d.Rule})
		require.NoError(t, err)
		require.NotContains(t, string(shown), "127.0.0")
		require.NotContains(t, string(shown), "inside.test")
		require.NotContains(t, string(shown), "refused")
		return string(shown)
	}
	require.Equal(t, tell(strict, named("inside.test", open.url)), tell(strict, named("inside.test", "http://"+shut.Addr().String())))
	require.Contains(t, tell(openPoster(t), "http://"+shut.Addr().String()), "connect_error")
	require.Zero(t, open.count())
}

// S11: a proxy in the environment is not asked. Not parallel: the environment is the process's.
func TestProxyFromTheEnvironmentIsNotUsed(t *testing.T) {
	proxy, target := receive(t, nil), receive(t, nil)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	dns := resolver(t, names(map[string][]string{"target.test": {"127.0.0.1"}, "inside.test": {"10.0.0.1"}}))
	p := poster(t, ClientOptions{Rules: openRules(), Resolver: dns})
	require.Equal(t, 204, post(t, p, named("target.test", target.URL)).StatusCode)
	require.Equal(t, ClassBlocked, post(t, p, named("inside.test", target.URL)).ErrorClass, "the guard judges the target")
	require.Empty(t, proxy.messages())
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
