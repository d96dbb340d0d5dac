package callbacks

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// shut is the URL of a port at which nothing listens.
func shut(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return "http://" + l.Addr().String()
}

// told is all that tenants read of an attempt: its row, and what was decided. Times are left out.
func told(t *testing.T, r Result) string {
	t.Helper()
	d := steady().Decide(r, 1, time.Now())
	shown, err := json.Marshal([]any{r.ErrorClass, r.StatusCode, r.Snippet, string(r.Timings), d.State, d.Reason, d.Rule, d.Delay})
	require.NoError(t, err)
	return regexp.MustCompile(`:\d+`).ReplaceAllString(string(shown), ":0")
}

// S10: what tenants read of a failed attempt gives a class, and nothing of the network behind it.
func TestErrorsTellNothingAboutTheNetwork(t *testing.T) {
	t.Parallel()
	listening := listenRaw(t, func(c *net.TCPConn, r *bufio.Reader) { readRequest(r); _ = c.SetLinger(0) })
	dead := shut(t)
	fail := func(string) ([]string, dnsmessage.RCode) { return nil, dnsmessage.RCodeServerFailure }
	for row, c := range map[string]struct {
		rules Rules
		zone  zone
		url   string
		class Class
	}{
		"connection refused": {openRules(), nil, dead, ClassConnect},
		"reset":              {openRules(), nil, listening.url, ClassReset},
		"no TLS":             {openRules(), nil, strings.Replace(listening.url, "http:", "https:", 1), ClassTLS},
		"blocked literal":    {strictRules(), nil, listening.url, ClassBlocked},
		"blocked name":       {strictRules(), names(map[string][]string{"inside.test": {"127.0.0.1"}}), named("inside.test", dead), ClassBlocked},
		"no such name":       {openRules(), names(nil), named("inside.test", dead), ClassDNS},
		"a resolver's error": {openRules(), fail, named("inside.test", dead), ClassDNS},
	} {
		t.Run("S10 "+row, func(t *testing.T) {
			t.Parallel()
			o := ClientOptions{Rules: c.rules}
			if c.zone != nil {
				o.Resolver = resolver(t, c.zone)
			}
			r := post(t, poster(t, o), c.url)
			require.Equal(t, c.class, r.ErrorClass)
			text := told(t, r)
			for _, secret := range []string{"127.0.0", "::1", "inside.test", "refused", "dial", "lookup", "tcp", "x509"} {
				require.NotContains(t, text, secret)
			}
		})
	}
}

// S10: of an address inside, nobody learns whether something listens there: not by the text, and not by the time, since
// nothing is dialled.
func TestBlockedLooksTheSameWhateverIsThere(t *testing.T) {
	t.Parallel()
	listening := listenRaw(t, func(c *net.TCPConn, _ *bufio.Reader) { hang(c) })
	dns := resolver(t, names(map[string][]string{"inside.test": {"127.0.0.1"}}))
	p := poster(t, ClientOptions{Rules: strictRules(), Resolver: dns})
	there, absent := post(t, p, named("inside.test", listening.url)), post(t, p, named("inside.test", shut(t)))
	require.Equal(t, ClassBlocked, there.ErrorClass)
	require.Equal(t, told(t, there), told(t, absent))
	require.NotContains(t, string(there.Timings), "connect")
	require.Zero(t, listening.count())
}

// S11: a proxy in the environment is not asked, whether it works, refuses or is down, and costs no attempt. Not
// parallel: the environment is the process's.
func TestProxyFromTheEnvironmentIsNotUsed(t *testing.T) {
	asked := receive(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusProxyAuthRequired)
		_, _ = io.WriteString(w, "pay")
	})
	target := receive(t, nil)
	for row, proxy := range map[string]string{"up, answers 407": asked.URL, "down": shut(t)} {
		t.Run("S11 "+row, func(t *testing.T) {
			for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"} {
				t.Setenv(name, proxy)
			}
			dns := resolver(t, names(map[string][]string{"target.test": {"127.0.0.1"}, "inside.test": {"10.0.0.1"}}))
			p := poster(t, ClientOptions{Rules: openRules(), Resolver: dns})
			require.Equal(t, 204, post(t, p, named("target.test", target.URL)).StatusCode)
			require.Equal(t, ClassBlocked, post(t, p, named("inside.test", target.URL)).ErrorClass, "the guard judges the target")
			require.Nil(t, p.Client.transport.Proxy, "net/http reads the environment once in a process: the first test decides")
		})
	}
	require.Empty(t, asked.messages())
	require.Len(t, target.messages(), 2)
}
