package callbacks

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

const (
	proxyUser     = "gate:way@"
	proxyPassword = "pass word/1"
	proxyInfo     = "gate%3Away%40:pass%20word%2F1@"
)

// exit is a proxy. It keeps what it is asked, to the letter.
type exit struct {
	*rawServer
	mu    sync.Mutex
	asked []string
}

// listenProxy starts a proxy that opens tunnels; answer, if any, speaks in its stead.
func listenProxy(t *testing.T, answer func(c net.Conn, target string)) *exit {
	t.Helper()
	e := &exit{}
	e.rawServer = listenRaw(t, func(c *net.TCPConn, r *bufio.Reader) { e.serve(c, r, answer) })
	return e
}

func (e *exit) serve(c net.Conn, r *bufio.Reader, answer func(c net.Conn, target string)) {
	var head strings.Builder
	for !strings.HasSuffix(head.String(), "\r\n\r\n") {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		head.WriteString(line)
	}
	e.mu.Lock()
	e.asked = append(e.asked, head.String())
	e.mu.Unlock()
	if answer == nil {
		answer = open
	}
	answer(c, strings.Fields(head.String())[1])
}

// open is what a good proxy does.
func open(c net.Conn, target string) {
	to, err := net.Dial("tcp", target)
	if err != nil {
		_, _ = io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
		return
	}
	_, _ = io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
	var out sync.WaitGroup
	out.Go(func() {
		_, _ = io.Copy(to, c)
		_ = to.Close()
	})
	_, _ = io.Copy(c, to)
	_ = c.Close()
	out.Wait()
}

func credentials() string {
	return base64.StdEncoding.EncodeToString([]byte(proxyUser + ":" + proxyPassword))
}

// says writes a text instead of opening a tunnel.
func says(text string) func(net.Conn, string) {
	return func(c net.Conn, _ string) { _, _ = io.WriteString(c, text) }
}

func silence(c net.Conn, _ string) { _, _ = io.Copy(io.Discard, c) }

func (e *exit) targets() (all []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, head := range e.asked {
		all = append(all, strings.Fields(head)[1])
	}
	return all
}

// at is the proxy's URL.
func (e *exit) at() string { return "http://" + proxyInfo + e.addr.String() }

// through makes a Poster that goes through a proxy.
func through(t *testing.T, proxy string, o ClientOptions) *Poster {
	t.Helper()
	o.Proxy = proxy
	return poster(t, o)
}

func portOf(url string) string { return url[strings.LastIndex(url, ":"):] }

// S11: the proxy is asked for an address, and never told a name; the receiver gets the name as Host and, over TLS, as SNI.
// The tunnel is kept for the next callback, and carries HTTP/2 where it is offered.
func TestS11CallbacksGoThroughTheProxy(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	for row, c := range map[string]struct{ scheme, proto string }{
		"http": {"http", "HTTP/1.1"}, "https": {"https", "HTTP/1.1"}, "HTTP/2": {"https", "HTTP/2.0"},
	} {
		t.Run("S11 "+row, func(t *testing.T) {
			t.Parallel()
			var sni atomic.Value
			cert := ca.issue(t, "receiver.test", time.Now().Add(time.Hour))
			r := &receiver{}
			if c.scheme == "http" {
				r = receive(t, nil)
			} else {
				r = receiveTLS(t, &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
					sni.Store(h.ServerName)
					return &cert, nil
				}}, c.proto == "HTTP/2.0")
			}
			way := listenProxy(t, nil)
			dns := resolver(t, names(map[string][]string{"receiver.test": {"127.0.0.1"}}))
			p := through(t, way.at(), ClientOptions{Rules: openRules(), Resolver: dns, CAFile: ca.file})
			for range 5 {
				got := post(t, p, c.scheme+"://receiver.test"+portOf(r.URL))
				require.Equal(t, 204, got.StatusCode, got.ErrorClass)
			}
			require.Equal(t, []string{"127.0.0.1" + portOf(r.URL)}, way.targets(), "asked once for five callbacks")
			require.Equal(t, "CONNECT 127.0.0.1"+portOf(r.URL)+" HTTP/1.1\r\nHost: 127.0.0.1"+portOf(r.URL)+"\r\n"+
				"User-Agent: Ringback/1.0\r\nProxy-Authorization: Basic "+credentials()+"\r\n\r\n", way.asked[0])
			require.Len(t, r.messages(), 5)
			for _, m := range r.messages() {
				require.Equal(t, "receiver.test"+portOf(r.URL), m.Host)
				require.Equal(t, c.proto, m.Proto)
				require.NotContains(t, m.Header, "Proxy-Authorization")
				requireSigned(t, m, time.Now())
			}
			if c.scheme == "https" {
				require.Equal(t, "receiver.test", sni.Load())
			}
		})
	}
}

// S4, S11: what a dial of our own would refuse the proxy is not asked for: at once for a literal, again by the schedule
// for a name.
func TestS11TheProxyIsNotAskedForWhatIsRefused(t *testing.T) {
	t.Parallel()
	inside, way := receive(t, nil), listenProxy(t, nil)
	addrs := map[string][]string{
		"private.test": {"127.0.0.1"}, "metadata.test": {"169.254.169.254"}, "six.test": {"::1"}, "unique.test": {"fd00::1"},
		"mapped.test": {"::ffff:127.0.0.1"}, "many.test": {"10.0.0.1", "127.0.0.1", "192.168.0.1"}, "zero.test": {"0.0.0.0"},
		"both.test": {"127.0.0.1", "::1"}, "alias.test": {"cname:private.test", "127.0.0.1"}, "nat64.test": {"64:ff9b::7f00:1"},
	}
	p := through(t, way.at(), ClientOptions{Rules: strictRules(), Resolver: resolver(t, names(addrs))})
	for name := range addrs {
		r := post(t, p, named(name, inside.URL))
		require.Equal(t, ClassBlocked, r.ErrorClass, name)
		require.False(t, r.Final, name)
		require.Equal(t, 5*time.Minute, steady().Decide(r, 1, time.Now()).Delay, name)
	}
	for _, literal := range []string{inside.URL, "http://[::1]:80/", "http://169.254.169.254/", "http://10.0.0.1/"} {
		r := post(t, p, literal)
		require.Equal(t, ClassBlocked, r.ErrorClass, literal)
		require.True(t, r.Final, literal)
	}
	require.Empty(t, way.targets())
	require.Zero(t, way.count(), "the proxy is not even connected to")
}

// S11: our own listener, and a port that is not open, are refused behind a proxy as before it.
func TestS11SelfAndPortsAreJudged(t *testing.T) {
	t.Parallel()
	own, way := receive(t, nil), listenProxy(t, nil)
	rules := openRules()
	rules.Self = func() []netip.AddrPort {
		return []netip.AddrPort{netip.MustParseAddrPort(own.Listener.Addr().String())}
	}
	dns := resolver(t, names(map[string][]string{"loop.test": {"127.0.0.1"}}))
	p := through(t, way.at(), ClientOptions{Rules: rules, Resolver: dns})
	require.Equal(t, ClassSelf, post(t, p, named("loop.test", own.URL)).ErrorClass)
	rules.AllowPorts = nil
	p = through(t, way.at(), ClientOptions{Rules: rules, Resolver: dns})
	require.Equal(t, ClassClosed, post(t, p, named("loop.test", own.URL)).ErrorClass)
	require.Empty(t, way.targets())
}

// S4, S11: of a name with an allowed and a refused address, the proxy is asked for the allowed one alone; a name that flips
// is judged at each attempt.
func TestS11RebindingGainsNothingBehindAProxy(t *testing.T) {
	t.Parallel()
	inside, way := receive(t, nil), listenProxy(t, nil)
	port := portOf(inside.URL)
	receiveAt(t, "127.0.0.2"+port, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close") // so that each attempt looks the name up
		w.WriteHeader(500)
	})
	var looks atomic.Int64
	dns := resolver(t, func(name string) ([]string, dnsmessage.RCode) {
		switch {
		case name == "both.test":
			return []string{"127.0.0.1", "127.0.0.2", "::1"}, dnsmessage.RCodeSuccess
		case looks.Load()%2 == 1:
			return []string{"127.0.0.1"}, dnsmessage.RCodeSuccess
		}
		return []string{"127.0.0.2"}, dnsmessage.RCodeSuccess
	})
	rules := strictRules()
	rules.AllowCIDRs = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")} // stands for a public address
	p := through(t, way.at(), ClientOptions{Rules: rules, Resolver: dns})
	for i := range 6 {
		looks.Store(int64(i))
		r := post(t, p, "http://rebind.test"+port)
		if i%2 == 1 {
			require.Equal(t, ClassBlocked, r.ErrorClass)
		} else {
			require.Equal(t, 500, r.StatusCode, r.ErrorClass)
		}
	}
	require.Equal(t, 500, post(t, p, "http://both.test"+port).StatusCode)
	public := "127.0.0.2" + port
	require.Equal(t, []string{public, public, public, public}, way.targets())
	require.Empty(t, inside.messages())
}

// S11: what the proxy does wrong costs no try, at whichever attempt, counts against no receiver, and ends in time.
func TestS11FaultsOfTheProxyAreNoTries(t *testing.T) {
	t.Parallel()
	const budget = 500 * time.Millisecond
	target := receive(t, nil)
	url := func(answer func(net.Conn, string)) string { return listenProxy(t, answer).at() }
	deaf := listenRaw(t, func(_ *net.TCPConn, _ *bufio.Reader) { <-t.Context().Done() })
	blackhole(t, net.IPv4(127, 0, 0, 4), int(deaf.addr.Port()))
	for row, proxy := range map[string]string{
		"down":                  shut(t),
		"no such name":          "http://proxy.test:3128",
		"swallows packets":      "http://127.0.0.4" + portOf(deaf.addr.String()),
		"407":                   url(says("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n")),
		"403":                   url(says("HTTP/1.1 403 Forbidden\r\n\r\n")),
		"500":                   url(says("HTTP/1.1 500 Oh\r\nContent-Length: 1\r\n\r\nx")),
		"429":                   url(says("HTTP/1.1 429 Slow\r\nRetry-After: 99999\r\n\r\n")),
		"redirect":              url(says("HTTP/1.1 302 Found\r\nLocation: " + target.URL + "\r\n\r\n")),
		"garbage":               url(says("SSH-2.0-OpenSSH_9.9\r\n")),
		"closes":                url(says("")),
		"half an answer":        url(says("HTTP/1.1 200 OK\r\nX: ")),
		"endless header":        url(func(c net.Conn, _ string) { gush(c, "HTTP/1.1 200 OK\r\n", "X: "+strings.Repeat("x", 1000)+"\r\n") }),
		"endless status line":   url(func(c net.Conn, _ string) { gush(c, "HTTP/1.1 200 ", strings.Repeat("x", 1000)) }),
		"endless interim ones":  url(func(c net.Conn, _ string) { gush(c, "", "HTTP/1.1 103 Early Hints\r\n\r\n") }),
		"hangs":                 url(silence),
		"trickles":              url(func(c net.Conn, _ string) { drip(c.(*net.TCPConn), "HTTP/1.1 200 OK\r\nX: ", "x") }),
		"never reads":           "http://" + deaf.addr.String(),
		"no TLS where promised": "https://" + deaf.addr.String(),
	} {
		t.Run("S11 "+row, func(t *testing.T) {
			t.Parallel()
			dns := resolver(t, names(map[string][]string{"target.test": {"127.0.0.1", "127.0.0.2"}}))
			p := through(t, proxy, ClientOptions{Rules: openRules(), Resolver: dns})
			start := time.Now()
			got := postOnce(t.Context(), p, withTimeout(claim(named("target.test", target.URL)), budget), 1)
			require.Less(t, time.Since(start), budget+4*time.Second)
			require.Equal(t, ClassProxy, got.ErrorClass)
			for _, tries := range []int{1, 5, 9} {
				require.Equal(t, Decision{
					State: Waiting, Reason: "proxy_error", Rule: "no try: proxy_error, again in 1m", Delay: time.Minute, NoTry: true,
				}, steady().Decide(got, tries, time.Now()))
			}
			require.Equal(t, neutral, judge(&Delivery{EndpointID: "ep"}, &got.Attempt))
			require.Equal(t, neutral, judge(&Delivery{}, &got.Attempt))
			text := told(t, got)
			for _, secret := range []string{"127.0.0", "proxy.test", "target.test", "refused", "CONNECT"} {
				require.NotContains(t, text, secret)
			}
		})
	}
	t.Cleanup(func() { require.Empty(t, target.messages()) })
}

// gush writes as fast as it is read, far beyond every bound, and tells how much.
func gush(c net.Conn, head, text string) (written int) {
	n, err := io.WriteString(c, head)
	for written = n; err == nil && written < 1<<30; written += n {
		n, err = io.WriteString(c, text)
	}
	return written
}

// S11: of an answer that never ends no more is read than a header may have.
func TestS11AnswersOfTheProxyAreBounded(t *testing.T) {
	t.Parallel()
	for head, text := range map[string]string{
		"HTTP/1.1 200 ":         strings.Repeat("x", 1000),
		"HTTP/1.1 200 OK\r\n":   "X: " + strings.Repeat("x", 1000) + "\r\n",
		"HTTP/1.1 100 \r\n\r\n": "HTTP/1.1 103 Early Hints\r\nX: " + strings.Repeat("x", 1000) + "\r\n\r\n",
	} {
		written := make(chan int, 1)
		way := listenProxy(t, func(c net.Conn, _ string) { written <- gush(c, head, text) })
		got := post(t, through(t, way.at(), ClientOptions{Rules: openRules()}), "http://127.0.0.1/")
		require.Equal(t, ClassProxy, got.ErrorClass, head)
		require.Less(t, <-written, 16<<20, "what the sockets hold, and a header")
	}
}

// S11: the proxy's word that the receiver cannot be reached is a try.
func TestS11UnreachableReceiversAreTries(t *testing.T) {
	t.Parallel()
	for _, status := range []string{"502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"} {
		way := listenProxy(t, says("HTTP/1.1 "+status+"\r\nRetry-After: 9999\r\n\r\n"))
		dns := resolver(t, names(map[string][]string{"two.test": {"127.0.0.1", "127.0.0.2"}}))
		p := through(t, way.at(), ClientOptions{Rules: openRules(), Resolver: dns})
		got := post(t, p, "http://two.test/")
		require.Equal(t, ClassConnect, got.ErrorClass, status)
		require.False(t, got.Local)
		require.Equal(t, "retry 2 of 5: connect_error, in 5m by the schedule", steady().Decide(got, 1, time.Now()).Rule)
		require.Equal(t, fails, judge(&Delivery{}, &got.Attempt))
		require.Len(t, way.targets(), 2, "both addresses were tried")
	}
}

// S11, R24: where one address fails, or swallows packets, the next is tried within the attempt.
func TestS11NextAddressIsTried(t *testing.T) {
	t.Parallel()
	good := receive(t, nil)
	for row, bad := range map[string]func(net.Conn, string){"502": says("HTTP/1.1 502 Bad Gateway\r\n\r\n"), "silence": silence} {
		t.Run("S11 "+row, func(t *testing.T) {
			t.Parallel()
			way := listenProxy(t, func(c net.Conn, target string) {
				if strings.HasPrefix(target, "127.0.0.1:") {
					open(c, target)
					return
				}
				bad(c, target)
			})
			dns := resolver(t, names(map[string][]string{"two.test": {"127.0.0.9", "127.0.0.1"}}))
			p := through(t, way.at(), ClientOptions{Rules: openRules(), Resolver: dns})
			got := post(t, p, named("two.test", good.URL))
			require.Equal(t, 204, got.StatusCode, got.ErrorClass)
			require.Equal(t, []string{"127.0.0.9" + portOf(good.URL), "127.0.0.1" + portOf(good.URL)}, way.targets())
		})
	}
}

// S11: a proxy that opens tunnels to others while it says nothing of one receiver waits for that receiver: a try. So does
// one that has answered for another address of the same.
func TestS11SilenceOfAWorkingProxyIsTheReceivers(t *testing.T) {
	t.Parallel()
	good := receive(t, nil)
	waiting := make(chan struct{}, 1)
	way := listenProxy(t, func(c net.Conn, target string) {
		switch {
		case strings.HasPrefix(target, "127.0.0.8:"):
			says("HTTP/1.1 504 Gateway Timeout\r\n\r\n")(c, target)
		case strings.HasPrefix(target, "127.0.0.9:"):
			waiting <- struct{}{}
			silence(c, target)
		default:
			open(c, target)
		}
	})
	dns := resolver(t, names(map[string][]string{"two.test": {"127.0.0.8", "127.0.0.9"}}))
	p := through(t, way.at(), ClientOptions{Rules: openRules(), Resolver: dns})
	slow := make(chan Result, 1)
	go func() { slow <- postOnce(t.Context(), p, withTimeout(claim("http://127.0.0.9/"), time.Second), 1) }()
	select {
	case <-waiting:
	case got := <-slow:
		t.Fatalf("the proxy was not asked: %s", got.ErrorClass)
	}
	require.Equal(t, 204, post(t, p, good.URL).StatusCode)
	alone := <-slow
	two := postOnce(t.Context(), p, withTimeout(claim("http://two.test/"), 300*time.Millisecond), 1)
	for _, got := range []Result{alone, two} {
		require.Equal(t, ClassTimeout, got.ErrorClass)
		require.Equal(t, "retry 2 of 5: timeout (connect), in 5m by the schedule", steady().Decide(got, 1, time.Now()).Rule)
	}
}

// S11: what goes wrong before the proxy is asked, or beyond its tunnel, is what it always was.
func TestS11FaultsOfOthersAreNotTheProxys(t *testing.T) {
	t.Parallel()
	way := listenProxy(t, nil)
	hanging := listenRaw(t, func(c *net.TCPConn, _ *bufio.Reader) { hang(c) })
	breaking := listenRaw(t, func(c *net.TCPConn, r *bufio.Reader) { readRequest(r) })
	for row, c := range map[string]struct {
		zone  zone
		url   string
		class Class
		rule  string
	}{
		"no such name":          {names(nil), "http://receiver.test/", ClassDNS, "dns_error"},
		"a silent resolver":     {func(string) ([]string, dnsmessage.RCode) { return nil, silent }, "http://receiver.test/", ClassDNS, "dns_error"},
		"refused":               {nil, shut(t), ClassConnect, "connect_error"},
		"never answers":         {nil, hanging.url, ClassTimeout, "timeout (answer)"},
		"never shakes hands":    {nil, strings.Replace(hanging.url, "http", "https", 1), ClassTimeout, "timeout (tls)"},
		"closes":                {nil, breaking.url, ClassReset, "reset"},
		"closes in a handshake": {nil, strings.Replace(breaking.url, "http", "https", 1), ClassTLS, "tls_error"},
	} {
		t.Run("S11 "+row, func(t *testing.T) {
			t.Parallel()
			o := ClientOptions{Rules: openRules()}
			if c.zone != nil {
				o.Resolver = resolver(t, c.zone)
			}
			got := postOnce(t.Context(), through(t, way.at(), o), withTimeout(claim(c.url), 500*time.Millisecond), 1)
			require.Equal(t, c.class, got.ErrorClass)
			require.Equal(t, "retry 2 of 5: "+c.rule+", in 5m by the schedule", steady().Decide(got, 1, time.Now()).Rule)
		})
	}
}

// S11: connections to a proxy that hangs or refuses, and tunnels to a receiver that does, end with their attempt.
func TestS11NothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 3)
	refusing := func(text string) string {
		return listenProxy(t, func(c net.Conn, target string) {
			says(text)(c, target)
			silence(c, target)
			ended <- struct{}{}
		}).at()
	}
	hanging := listenRaw(t, func(c *net.TCPConn, _ *bufio.Reader) {
		hang(c)
		ended <- struct{}{}
	})
	for _, c := range []struct{ proxy, url string }{
		{refusing(""), hanging.url},
		{refusing("HTTP/1.1 407 No\r\n\r\n"), hanging.url},
		{listenProxy(t, nil).at(), strings.Replace(hanging.url, "http", "https", 1)},
	} {
		p := through(t, c.proxy, ClientOptions{Rules: openRules()})
		postOnce(t.Context(), p, withTimeout(claim(c.url), 200*time.Millisecond), 1)
		select {
		case <-ended:
		case <-time.After(2 * time.Second):
			t.Fatal("the connection outlives its attempt")
		}
	}
}

// S11: a proxy behind TLS, under a name that only its certificate and our resolver know, and whose lookup is not told as
// the receiver's.
func TestS11ProxyBehindTLS(t *testing.T) {
	t.Parallel()
	ca, stranger := newAuthority(t), newAuthority(t)
	cert := ca.issue(t, "proxy.test", time.Now().Add(time.Hour))
	way := &exit{}
	way.rawServer = listenRaw(t, func(c *net.TCPConn, _ *bufio.Reader) {
		over := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
		way.serve(over, bufio.NewReader(over), nil)
	})
	dns := resolver(t, names(map[string][]string{"proxy.test": {"127.0.0.1"}}))
	https := receiveTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "receiver.test", time.Now().Add(time.Hour))}}, true)
	proxy := "https://" + proxyInfo + "proxy.test" + portOf(way.addr.String())
	p := through(t, proxy, ClientOptions{Rules: openRules(), Resolver: dns, CAFile: ca.file})
	got := post(t, p, receive(t, nil).URL)
	require.Equal(t, 204, got.StatusCode, got.ErrorClass)
	require.Contains(t, string(got.Timings), `"connect":`)
	require.NotContains(t, string(got.Timings), `"dns":`)
	require.NotContains(t, string(got.Timings), `"tls":`)
	require.Equal(t, ClassTLS, post(t, p, https.URL).ErrorClass, "the receiver's certificate is for another name")

	p = through(t, proxy, ClientOptions{Rules: openRules(), Resolver: dns, CAFile: stranger.file})
	require.Equal(t, ClassProxy, post(t, p, https.URL).ErrorClass, "S11: nobody vouches for the proxy")
}

// What a receiver says before it is asked comes with the proxy's answer, and is kept.
func TestTunnelKeepsWhatCameEarly(t *testing.T) {
	t.Parallel()
	way := listenProxy(t, says("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nSSH-2.0-"))
	p := through(t, way.at(), ClientOptions{Rules: openRules()})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	conn, err := p.Client.proxy.dial(ctx, "tcp", "127.0.0.1:22")
	require.NoError(t, err)
	defer conn.Close()
	early, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "SSH-2.0-", string(early))
}

// S11: the environment's proxies are ignored beside a configured one too. Not parallel: the environment is the process's.
func TestS11EnvironmentIsIgnoredBesideAProxy(t *testing.T) {
	other, way, target := receive(t, nil), listenProxy(t, nil), receive(t, nil)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"} {
		t.Setenv(name, other.URL)
	}
	t.Setenv("NO_PROXY", "*")
	p := through(t, way.at(), ClientOptions{Rules: openRules()})
	require.Equal(t, 204, post(t, p, target.URL).StatusCode)
	require.Nil(t, p.Client.transport.Proxy)
	require.Len(t, way.targets(), 1)
	require.Empty(t, other.messages())
}

// S11: an attempt keeps nothing of the proxy's credentials or address, whatever came of it.
func TestS11AttemptsKeepNothingOfTheProxy(t *testing.T) {
	t.Parallel()
	target := receive(t, nil)
	for _, answer := range []func(net.Conn, string){nil, says("HTTP/1.1 407 No\r\n\r\n"), says("HTTP/1.1 502 No\r\n\r\n")} {
		way := listenProxy(t, answer)
		p := through(t, way.at(), ClientOptions{Rules: openRules()})
		kept, err := json.Marshal(post(t, p, target.URL))
		require.NoError(t, err)
		require.Len(t, way.targets(), 1)
		require.Contains(t, way.asked[0], credentials())
		for _, secret := range []string{credentials(), "pass", "gate", "Proxy-Authorization", portOf(way.addr.String())} {
			require.NotContains(t, string(kept), secret)
		}
	}
}

func TestProxyURLs(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"http://proxy:3128", "http://proxy:3128/", "https://u:p@proxy.example:443", "http://[::1]:8080", "http://u@10.0.0.1:80", "HTTP://proxy:1",
	} {
		require.NoError(t, CheckProxy(good), good)
	}
	for _, bad := range []string{
		"", "proxy:3128", "http://proxy", "http://:3128", "http://proxy:0", "http://proxy:70000", "http://proxy:", "socks5://hush@proxy:1080",
		"http://u:hush@proxy:3128/path", "http://u:hush@proxy:3128?x", "http://u:hush@proxy:3128?", "http://u:hush@proxy:3128#x",
		"http://u:hush%zz@proxy:3128", "http://u:hu sh@proxy:3128", "http://u:hush@pro xy:3128", "http://u:hush@proxy:port", "://hush",
	} {
		err := CheckProxy(bad)
		require.Error(t, err, bad)
		require.NotContains(t, err.Error(), "hush")
		if bad == "" {
			continue
		}
		_, err = NewClient(ClientOptions{Proxy: bad})
		require.ErrorContains(t, err, "callbacks.proxy ")
		require.NotContains(t, err.Error(), "hush")
	}
}
